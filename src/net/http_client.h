// An HTTP/1.1 client for many requests at a time to one server: connections are kept and reused,
// answers are read as they come, every wait has an end.
//
// Lives on one loop, which outlives it: all its calls are made there. No TLS, no
// redirects, no retries: what went wrong is the caller's to count. A host's name is looked up by
// the system, in the system's own time.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "net/http.h"
#include "net/http_url.h"

namespace mill::net {

struct HttpClientLimits {
  Duration connect_time = std::chrono::seconds(10);
  Duration stall_time = std::chrono::seconds(300);  // no byte moves for so long: given up
  size_t header_bytes = 64 << 10;
  size_t body_bytes = 256 << 20;
  size_t idle_connections = 4096;  // kept for later; more are closed
};

struct HttpAnswer {
  int status = 0;
  std::vector<Header> headers;
  std::string body;  // what no reader took

  std::optional<std::string_view> header(std::string_view name) const;
};

class HttpClient {
 public:
  struct Call {
    std::string method = "GET";
    std::string target;           // after the path of the server's address
    std::vector<Header> headers;  // besides Host and Content-Length
    std::string body;
    Instant deadline = kNever;  // of the whole exchange
    // Takes the body of a 2xx as it comes, piece by piece; an error from it ends the exchange with
    // that error. Empty: the body is collected.
    std::function<Status(std::string_view)> reader;
  };

  HttpClient(HttpUrl server, HttpClientLimits limits);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Fails: kIo (no connection, or it was cut; the sentence tells which), kDeadline (the deadline,
  // connect_time or stall_time passed), kTooLarge (header_bytes, body_bytes), kCorrupt (not HTTP),
  // kInvalid (a header that would break the request). Any status is an answer.
  Task<Result<HttpAnswer>> send(Call call);

  int64_t connections_made() const { return connections_made_; }

 private:
  struct Connection;
  Task<Result<std::unique_ptr<Connection>>> connect(Instant deadline);
  Task<Result<HttpAnswer>> exchange(Connection& connection, const Call& call,
                                    const std::string& head);
  std::unique_ptr<Connection> take_idle();

  const HttpUrl server_;
  const HttpClientLimits limits_;
  std::vector<std::unique_ptr<Connection>> idle_;
  int64_t connections_made_ = 0;
};

}  // namespace mill::net
