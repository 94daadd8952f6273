// One connection of an HttpServer: reads a request, lets the handler answer it, and again. Internal
// to net.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "net/http_exchange.h"
#include "net/http_head.h"
#include "net/http_server.h"
#include "net/late_watch.h"

namespace mill::net {

// The connections that are open; shared by all threads.
class HttpRegistry {
 public:
  void add(HttpConnection& connection, std::weak_ptr<HttpConnection> handle);
  void remove(HttpConnection& connection);
  std::vector<std::shared_ptr<HttpConnection>> all();
  bool wait_until_empty(Instant deadline);

 private:
  std::mutex mutex_;
  std::condition_variable emptied_;
  std::unordered_map<HttpConnection*, std::weak_ptr<HttpConnection>> open_;
};

// One thread's loop, and what its connections share. Outlives them.
struct HttpLoop {
  boost::asio::io_context io{1};
  LateWatch late_watch{io.get_executor()};
  std::atomic<int64_t> connections{0};
};

// What every connection of one server shares. Outlives them.
struct HttpShared {
  HttpServerOptions options;
  HttpHandler handler;
  std::shared_ptr<HttpProbe> probe;
  HttpRegistry registry;
  std::atomic<bool> draining{false};
};

class HttpConnection final : public std::enable_shared_from_this<HttpConnection>,
                             private LateWatched {
 public:
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

  // Requires: `socket` is of that loop.
  HttpConnection(Socket socket, HttpLoop& loop, HttpShared& shared);
  ~HttpConnection() override;

  // The life of the connection. Runs on the socket's loop.
  Task<void> run();
  // The life of a connection too many: 503, then the close.
  Task<void> turn_away();

  // From any thread: closes when no request is being read or answered, else after the answer.
  void drain();
  // From any thread: closes now; the running answer is told that its client left.
  void cut();

  // For HttpExchange, on the loop.
  Task<Status> write(std::string bytes);
  void watch(std::function<void()> on_leave);
  void release_body();
  bool client_left() const { return left_; }
  bool from_this_machine() const;
  std::string peer_address() const;
  void close_after_answer() { keep_alive_ = false; }
  bool will_close() const { return !keep_alive_ || shared_.draining; }

 private:
  Task<tl::expected<RequestHead, Refusal>> read_head();
  Task<Status> wait_for_first_byte();
  Task<tl::expected<std::string, Refusal>> read_body(const RequestHead& head);
  // Appends to the buffer what the socket has, at most `at_most` bytes; `late` when `deadline`
  // passes first.
  Task<tl::expected<void, Refusal>> read_more(size_t at_most, Instant deadline, Refusal late);
  Task<Status> serve(HttpRequest request, RequestId id);
  Task<void> refuse(Refusal refusal, const HttpRequest& request);
  Task<void> linger();

  bool reserve_body(size_t bytes);
  void arm(Instant deadline);
  void disarm() { deadline_ = kNever; }
  void set_timer(Instant when);
  void on_timer();
  void watch_now() override;
  void on_readable(uint64_t watch, bool failed);
  void stop_watching();
  void client_has_left();
  void close();

  Socket socket_;
  HttpLoop& loop_;
  HttpShared& shared_;
  boost::beast::flat_buffer
      buffer_;  // received and not yet consumed; begins at a request's first byte
  // The deadline of the one read or write that goes on. The timer is set no later and left alone
  // when the deadline moves away: it looks again when it fires.
  Timer timer_;
  Instant deadline_ = kNever;
  Instant timer_due_ = kNever;
  bool timed_out_ = false;
  bool waiting_for_first_byte_ = false;
  bool keep_alive_ = true;
  bool left_ = false;
  uint64_t watch_ = 0;  // counts the watches, so that one that ends late is told from the next
  bool watching_ = false;
  std::function<void()> on_leave_;
  size_t reserved_body_ = 0;
};

}  // namespace mill::net
