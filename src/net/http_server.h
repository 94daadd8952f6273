// An HTTP/1.1 server: reads requests strictly and under absolute deadlines, hands each to one
// handler, and drains.
//
// Every connection is a coroutine on one of the io threads, and stays there. The server never reads
// a second request of a connection before the first is answered; bytes that come early wait. No
// TLS: that is a proxy's job.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "net/http.h"
#include "net/http_exchange.h"

namespace mill::net {

struct HttpLimits {
  int32_t connections = 4096;           // one more is answered with 503 and closed
  size_t header_bytes = 32 << 10;       // over it: 431
  size_t header_fields = 100;           // over it: 431
  size_t body_bytes = 16 << 20;         // over it: 413
  size_t body_bytes_total = 512 << 20;  // of all requests being read or answered; over it: 503
  Duration header_time =
      std::chrono::seconds(10);  // from a request's first byte to the end of its head: 408
  Duration body_time =
      std::chrono::seconds(60);  // from the end of the head to the end of the body: 408
  Duration idle_time = std::chrono::seconds(75);  // between requests, and before the first: closed
  Duration write_stall =
      std::chrono::seconds(30);  // for each 64 KiB of an answer: the client counts as gone
  Duration linger_time = std::chrono::seconds(1);  // after a refusal, for the client to read it
};

// What the server has seen; written by its threads, read by anyone.
struct HttpProbe {
  std::atomic<int64_t> open_connections{0};
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> requests{0};      // handed to the handler
  std::atomic<int64_t> refused{0};       // answered with 4xx or 503 before the handler
  std::atomic<int64_t> clients_left{0};  // closed or reset while an answer was being made
  std::atomic<int64_t> writes_stalled{0};
  std::atomic<int64_t> body_bytes{0};  // held at present
};

// Answers one request. Must not throw; is called on the connection's thread.
using HttpHandler = std::function<Task<void>(HttpExchange&)>;

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an address or a name that this machine has
  uint16_t port = 0;               // 0: a free one, see port()
  int io_threads = 1;
  int send_buffer_bytes = 0;  // of a socket, 0: the system's default
  HttpLimits limits;
  std::shared_ptr<HttpProbe> probe;  // null: the server makes its own
  // The answer to a request that is refused before the handler; null: the sentence as plain text.
  std::function<HttpReply(const Refusal&)> refusal_reply;
};

class HttpServer {
 public:
  // Binds and listens; nothing is accepted before start(). Fails with kInvalid (host), kPermission
  // (a port below 1024), kIo (the port is taken), each with a sentence that says what to do.
  static Result<std::unique_ptr<HttpServer>> listen(HttpServerOptions options, HttpHandler handler);

  // Stops at once what still runs: handlers are dropped where they wait, and the streams that they
  // read are cancelled. What handlers point to must still be there. Call drain() first for a polite
  // end.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;  // the real one
  const HttpProbe& probe() const;

  // Starts the io threads and returns. Once.
  void start();

  // Stops accepting, closes idle connections and waits until every running answer has ended. At
  // `deadline` the clients of those that still run are cut off, which cancels their answers. Fails
  // with kDeadline when some answer has not ended even `grace` later (the workers must still run
  // for them to end). From any thread but the server's own; blocks.
  Status drain(Instant deadline, Duration grace = std::chrono::seconds(5));

 private:
  struct Core;
  explicit HttpServer(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace mill::net
