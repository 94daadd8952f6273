#include "net/http_connection.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/log.h"
#include "net/request_id.h"

namespace mill::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr size_t kReadBytes = 64 << 10;    // of a body, at a time
constexpr size_t kIdleBufferBytes = 4096;  // what an idle connection may keep
constexpr size_t kWriteSlice = 64 << 10;   // what must move within one write_stall

std::string_view view(const boost::beast::flat_buffer& buffer) {
  return {static_cast<const char*>(buffer.data().data()), buffer.size()};
}

}  // namespace

void HttpRegistry::add(HttpConnection& connection, std::weak_ptr<HttpConnection> handle) {
  std::lock_guard lock(mutex_);
  open_.emplace(&connection, std::move(handle));
}

void HttpRegistry::remove(HttpConnection& connection) {
  std::lock_guard lock(mutex_);
  open_.erase(&connection);
  if (open_.empty()) emptied_.notify_all();
}

std::vector<std::shared_ptr<HttpConnection>> HttpRegistry::all() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<HttpConnection>> connections;
  for (const auto& [_, handle] : open_) {
    if (auto connection = handle.lock()) connections.push_back(std::move(connection));
  }
  return connections;
}

bool HttpRegistry::wait_until_empty(Instant deadline) {
  std::unique_lock lock(mutex_);
  return emptied_.wait_until(lock, deadline, [&] { return open_.empty(); });
}

HttpConnection::HttpConnection(Socket socket, HttpLoop& loop, HttpShared& shared)
    : socket_(std::move(socket)), loop_(loop), shared_(shared), timer_(socket_.get_executor()) {
  shared_.probe->open_connections.fetch_add(1);
  loop_.connections.fetch_add(1);
}

HttpConnection::~HttpConnection() {
  release_body();
  shared_.probe->open_connections.fetch_sub(1);
  loop_.connections.fetch_sub(1);
  shared_.registry.remove(*this);
}

Task<void> HttpConnection::run() {
  bool answered = false;
  while (keep_alive_ && !left_) {
    const Status begun = co_await wait_for_first_byte();
    if (!begun) co_return close();
    auto head = co_await read_head();
    if (!head) {
      const HttpRequest unread;
      co_await refuse(std::move(head.error()), unread);
      break;
    }
    keep_alive_ = head->keep_alive;
    auto body = co_await read_body(*head);
    if (!body) {
      co_await refuse(std::move(body.error()), head->request);
      break;
    }
    HttpRequest request = std::move(head->request);
    request.body = std::move(*body);
    const auto theirs = request.header("x-request-id");
    RequestId id = theirs && is_sane_request_id(*theirs) ? RequestId(*theirs) : new_request_id();
    const Status served = co_await serve(std::move(request), std::move(id));
    release_body();
    answered = served.has_value();
    if (!served || will_close()) break;
  }
  if (answered && !left_) co_await linger();
  close();
}

Task<void> HttpConnection::turn_away() {
  keep_alive_ = false;
  Refusal full{503, "the server has no room for one more connection: try again"};
  const HttpRequest unread;
  co_await refuse(std::move(full), unread);
  close();
}

Task<Status> HttpConnection::wait_for_first_byte() {
  if (buffer_.size() == 0 && buffer_.capacity() > kIdleBufferBytes) {
    buffer_.clear();
    buffer_.shrink_to_fit();
  }
  const Instant deadline = now() + shared_.options.limits.idle_time;
  for (;;) {
    // An empty line before a request is left over from sloppy clients; RFC 9112, 2.2, asks to
    // ignore it.
    if (view(buffer_).starts_with("\r\n")) buffer_.consume(2);
    if (buffer_.size() > 0 && view(buffer_) != "\r") co_return Status();
    if (shared_.draining) co_return fail(Code::kCancelled, "draining");
    waiting_for_first_byte_ = true;
    Refusal silent;
    const auto read = co_await read_more(kIdleBufferBytes, deadline, std::move(silent));
    waiting_for_first_byte_ = false;
    if (!read) co_return fail(Code::kCancelled, "no request came");
  }
}

Task<tl::expected<RequestHead, Refusal>> HttpConnection::read_head() {
  const HttpLimits& limits = shared_.options.limits;
  const Instant deadline = now() + limits.header_time;
  HeadScanner scanner;
  for (;;) {
    const std::string_view received = view(buffer_).substr(0, limits.header_bytes);
    const auto size = scanner.scan(received);
    if (!size) co_return tl::unexpected<Refusal>(size.error());
    if (*size > 0) co_return parse_head(received.substr(0, *size), limits.header_fields);
    if (received.size() == limits.header_bytes) {
      co_return tl::unexpected<Refusal>(Refusal{431, "the header of the request is too large"});
    }
    Refusal late{408, "the header of the request did not come in time"};
    auto read =
        co_await read_more(limits.header_bytes - received.size(), deadline, std::move(late));
    if (!read) co_return tl::unexpected<Refusal>(std::move(read.error()));
  }
}

// The head is still at the front of the buffer: Beast reads it again and takes the body apart. It
// is the second opinion on the framing, and must agree with parse_head.
Task<tl::expected<std::string, Refusal>> HttpConnection::read_body(const RequestHead& head) {
  const HttpLimits& limits = shared_.options.limits;
  const Refusal too_large{413, "the body of the request is over the limit of " +
                                   std::to_string(limits.body_bytes) + " bytes"};
  const Refusal crowded{503, "too many large requests at a time: try again"};
  if (head.content_length > limits.body_bytes) co_return tl::unexpected<Refusal>(too_large);
  if (!reserve_body(head.content_length)) co_return tl::unexpected<Refusal>(crowded);

  http::request_parser<http::string_body> parser;
  parser.eager(true);
  parser.header_limit(static_cast<uint32_t>(limits.header_bytes + kReadBytes));
  parser.body_limit(limits.body_bytes);
  const Instant deadline = now() + limits.body_time;
  bool invite = head.expects_continue;
  for (;;) {
    error_code error;
    if (buffer_.size() > 0) buffer_.consume(parser.put(buffer_.data(), error));
    if (error == http::error::body_limit) co_return tl::unexpected<Refusal>(too_large);
    const bool agreed = !parser.is_header_done() || parser.chunked() == head.chunked;
    if ((error && error != http::error::need_more) || !agreed) {
      co_return tl::unexpected<Refusal>(Refusal{400, "the request is not valid HTTP/1.1"});
    }
    if (head.chunked && !reserve_body(parser.get().body().size() - reserved_body_)) {
      co_return tl::unexpected<Refusal>(crowded);
    }
    if (parser.is_done()) co_return std::move(parser.get().body());
    if (buffer_.size() >= kReadBytes) {
      co_return tl::unexpected<Refusal>(Refusal{400, "a line of the chunked body is too long"});
    }
    if (invite && buffer_.size() == 0 && parser.get().body().empty()) {
      std::string invitation = "HTTP/1.1 100 Continue\r\n\r\n";
      const Status invited = co_await write(std::move(invitation));
      if (!invited) co_return tl::unexpected<Refusal>(Refusal());
    }
    invite = false;
    Refusal late{408, "the body of the request did not come in time"};
    auto read = co_await read_more(kReadBytes - buffer_.size(), deadline, std::move(late));
    if (!read) co_return tl::unexpected<Refusal>(std::move(read.error()));
  }
}

Task<tl::expected<void, Refusal>> HttpConnection::read_more(size_t at_most, Instant deadline,
                                                            Refusal late) {
  arm(deadline);
  error_code error;
  const auto room = buffer_.prepare(at_most);
  const size_t count = co_await socket_.async_read_some(room, asio::redirect_error(kAwait, error));
  disarm();
  if (timed_out_) co_return tl::unexpected<Refusal>(std::move(late));
  if (error) co_return tl::unexpected<Refusal>(Refusal());
  buffer_.commit(count);
  co_return tl::expected<void, Refusal>();
}

Task<Status> HttpConnection::serve(HttpRequest request, RequestId id) {
  shared_.probe->requests.fetch_add(1);
  HttpExchange exchange(*this, std::move(request), std::move(id), now());
  try {
    co_await shared_.handler(exchange);
  } catch (const std::exception& error) {
    log_error("handler_failed").add("request_id", exchange.id()).add("what", error.what());
  }
  stop_watching();
  if (left_) co_return fail(Code::kCancelled, "the client left");
  if (exchange.state_ == HttpExchange::State::kStreaming) {
    // Without its last chunk the answer is visibly cut; a reset says so to a client of HTTP/1.0,
    // too.
    error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    left_ = true;
    co_return fail(Code::kInternal, "the answer was not ended");
  }
  if (exchange.answered()) co_return Status();
  HttpReply reply;
  reply.status = 500;
  keep_alive_ = false;
  if (shared_.options.refusal_reply) {
    reply = shared_.options.refusal_reply({500, "the server failed to answer this request"});
  }
  Status sent = co_await exchange.reply(std::move(reply));
  co_return sent;
}

Task<void> HttpConnection::refuse(Refusal refusal, const HttpRequest& request) {
  if (refusal.status == 0) {
    left_ = true;
    co_return;
  }
  keep_alive_ = false;
  shared_.probe->refused.fetch_add(1);
  HttpReply reply{.status = refusal.status,
                  .content_type = "text/plain",
                  .headers = {},
                  .body = refusal.sentence};
  if (shared_.options.refusal_reply) reply = shared_.options.refusal_reply(refusal);
  const auto theirs = request.header("x-request-id");
  RequestId id = theirs && is_sane_request_id(*theirs) ? RequestId(*theirs) : new_request_id();
  log_info("request")
      .add("method", request.method)
      .add("path", request.path().substr(0, 256))
      .add("status", refusal.status)
      .add("request_id", id)
      .add("refused", refusal.sentence);
  HttpRequest shape;  // what decides the form of the answer, without the request's weight
  shape.method = request.method;
  HttpExchange exchange(*this, std::move(shape), std::move(id), now());
  const Status sent = co_await exchange.reply(std::move(reply));
  if (sent) co_await linger();
  left_ = true;
}

// A close with unread bytes in the socket resets the connection, and the client may lose the
// answer. So the bytes are read and dropped for a moment; RFC 9112, 9.6.
Task<void> HttpConnection::linger() {
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  const Instant deadline = now() + shared_.options.limits.linger_time;
  for (;;) {
    buffer_.clear();
    Refusal silent;
    const auto read = co_await read_more(kReadBytes, deadline, std::move(silent));
    if (!read) co_return;
  }
}

Task<Status> HttpConnection::write(std::string bytes) {
  size_t done = 0;
  size_t slice_end = 0;
  Instant deadline = kNever;
  while (done < bytes.size()) {
    if (left_) co_return fail(Code::kCancelled, "the client has left");
    error_code error;
    done += socket_.write_some(asio::buffer(bytes.data() + done, bytes.size() - done), error);
    if (!error) continue;
    if (error != asio::error::would_block && error != asio::error::try_again) {
      client_has_left();
      co_return fail(Code::kCancelled, "the client has left");
    }
    if (done >= slice_end) {
      slice_end = done + kWriteSlice;
      deadline = now() + shared_.options.limits.write_stall;
    }
    arm(deadline);
    co_await socket_.async_wait(Socket::wait_write, asio::redirect_error(kAwait, error));
    disarm();
    if (timed_out_) {
      shared_.probe->writes_stalled.fetch_add(1);
      client_has_left();
      co_return fail(Code::kDeadline, "the client takes no bytes");
    }
  }
  co_return Status();
}

void HttpConnection::arm(Instant deadline) {
  timed_out_ = false;
  deadline_ = deadline;
  if (deadline < timer_due_) set_timer(deadline);
}

void HttpConnection::set_timer(Instant when) {
  timer_due_ = when;
  timer_.expires_at(when);
  timer_.async_wait([self = weak_from_this(), when](error_code dropped) {
    const auto alive = self.lock();
    if (!dropped && alive && alive->timer_due_ == when) alive->on_timer();
  });
}

void HttpConnection::on_timer() {
  timer_due_ = kNever;
  if (deadline_ == kNever) return;
  if (now() < deadline_) return set_timer(deadline_);
  timed_out_ = true;
  error_code ignored;
  socket_.cancel(ignored);
}

void HttpConnection::watch(std::function<void()> on_leave) {
  if (left_) return on_leave();
  const bool watching = on_leave_ != nullptr;
  on_leave_ = std::move(on_leave);
  if (watching) return;
  ++watch_;
  loop_.late_watch.add(*this);
}

void HttpConnection::watch_now() {
  watching_ = true;
  // Readiness only: the bytes are taken in on_readable, so that a watch can be dropped without
  // losing any.
  socket_.async_wait(Socket::wait_read,
                     [self = weak_from_this(), watch = watch_](error_code error) {
                       if (const auto alive = self.lock()) alive->on_readable(watch, bool(error));
                     });
}

void HttpConnection::on_readable(uint64_t watch, bool failed) {
  if (watch != watch_) return;
  watching_ = false;
  if (failed || left_) return;
  // A client that sends ahead is heard up to one buffer; beyond it, its leaving shows when
  // something is written.
  if (buffer_.size() >= kReadBytes) return;
  error_code error;
  const size_t count = socket_.read_some(
      buffer_.prepare(std::min(kReadBytes - buffer_.size(), kIdleBufferBytes)), error);
  if (error && error != asio::error::would_block && error != asio::error::try_again) {
    return client_has_left();
  }
  buffer_.commit(count);
  watch_now();
}

void HttpConnection::stop_watching() {
  on_leave_ = nullptr;
  ++watch_;
  if (is_linked()) unlink();
  if (!std::exchange(watching_, false)) return;
  error_code ignored;
  socket_.cancel(ignored);
}

void HttpConnection::client_has_left() {
  if (std::exchange(left_, true)) return;
  shared_.probe->clients_left.fetch_add(1);
  error_code ignored;
  socket_.cancel(ignored);
  if (const auto on_leave = std::exchange(on_leave_, nullptr)) on_leave();
}

void HttpConnection::close() {
  error_code ignored;
  socket_.close(ignored);
}

std::string HttpConnection::peer_address() const {
  boost::system::error_code gone;
  const auto peer = socket_.remote_endpoint(gone);
  return gone ? std::string() : peer.address().to_string();
}

bool HttpConnection::from_this_machine() const {
  boost::system::error_code gone;
  const auto peer = socket_.remote_endpoint(gone).address();
  if (gone) return false;
  const bool mapped = peer.is_v6() && peer.to_v6().is_v4_mapped();
  if (!mapped) return peer.is_loopback();
  return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, peer.to_v6()).is_loopback();
}

void HttpConnection::drain() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    error_code ignored;
    if (self->waiting_for_first_byte_) self->socket_.cancel(ignored);
  });
}

void HttpConnection::cut() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->client_has_left();
    self->close();
  });
}

bool HttpConnection::reserve_body(size_t bytes) {
  auto& held = shared_.probe->body_bytes;
  const auto more = static_cast<int64_t>(bytes);
  const auto limit = static_cast<int64_t>(shared_.options.limits.body_bytes_total);
  if (held.fetch_add(more) + more > limit && more > 0) {
    held.fetch_sub(more);
    return false;
  }
  reserved_body_ += bytes;
  return true;
}

void HttpConnection::release_body() {
  shared_.probe->body_bytes.fetch_sub(static_cast<int64_t>(std::exchange(reserved_body_, 0)));
}

}  // namespace mill::net
