#include "net/http_exchange.h"

#include <fmt/format.h>

#include "base/check.h"
#include "net/http_connection.h"

namespace mill::net {

HttpExchange::HttpExchange(HttpConnection& connection, HttpRequest request, RequestId id,
                           Instant received)
    : connection_(connection),
      request_(std::move(request)),
      id_(std::move(id)),
      received_(received) {}

void HttpExchange::drop_body() {
  request_.body = std::string();
  connection_.release_body();
}

std::string HttpExchange::head_of(const HttpReply& reply, std::string_view framing,
                                  size_t room) const {
  constexpr size_t kLine = 4;            // ": " and the end of a line
  constexpr size_t kStatusAndEnd = 128;  // besides what is counted
  room += kStatusAndEnd + reply.content_type.size() + id_.size() + framing.size();
  for (const Header& header : reply.headers)
    room += header.name.size() + header.value.size() + kLine;
  std::string head;
  head.reserve(room);
  const auto line = [&](std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
  };
  fmt::format_to(std::back_inserter(head), "HTTP/1.1 {} {}\r\n", reply.status,
                 reason_phrase(reply.status));
  if (!reply.content_type.empty()) line("Content-Type", reply.content_type);
  for (const Header& header : reply.headers) line(header.name, header.value);
  line("X-Request-Id", id_);
  head += framing;
  if (connection_.will_close()) {
    head += "Connection: close\r\n";
  } else if (request_.minor_version == 0) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  return head;
}

Task<Status> HttpExchange::reply(HttpReply reply) {
  MILL_CHECK(state_ == State::kUnanswered);
  state_ = State::kDone;
  status_ = reply.status;
  const bool bodiless = reply.status == 204 && reply.body.empty();
  const std::string framing =
      bodiless ? std::string() : fmt::format("Content-Length: {}\r\n", reply.body.size());
  std::string bytes = head_of(reply, framing, reply.body.size());
  if (request_.method != "HEAD") bytes += reply.body;
  Status sent = co_await connection_.write(std::move(bytes));
  co_return sent;
}

void HttpExchange::begin_stream(HttpReply head) {
  MILL_CHECK(state_ == State::kUnanswered);
  state_ = State::kStreaming;
  status_ = head.status;
  const bool chunked = request_.minor_version > 0;
  if (!chunked) connection_.close_after_answer();
  unsent_head_ = head_of(head, chunked ? "Transfer-Encoding: chunked\r\n" : "", 0);
}

Task<Status> HttpExchange::send(std::string bytes) {
  MILL_CHECK(state_ == State::kStreaming);
  if (bytes.empty()) co_return Status();  // an empty chunk would end the answer
  std::string framed = std::exchange(unsent_head_, {});
  if (request_.minor_version > 0) {
    fmt::format_to(std::back_inserter(framed), "{:x}\r\n", bytes.size());
    framed += bytes;
    framed += "\r\n";
  } else {
    framed += bytes;
  }
  Status sent = co_await connection_.write(std::move(framed));
  co_return sent;
}

Task<Status> HttpExchange::end_stream() {
  MILL_CHECK(state_ == State::kStreaming);
  state_ = State::kDone;
  std::string framed = std::exchange(unsent_head_, {});
  if (request_.minor_version > 0) framed += "0\r\n\r\n";
  Status sent = co_await connection_.write(std::move(framed));
  co_return sent;
}

void HttpExchange::when_client_leaves(std::function<void()> action) {
  connection_.watch(std::move(action));
}

bool HttpExchange::client_left() const {
  return connection_.client_left();
}

bool HttpExchange::from_this_machine() const {
  return connection_.from_this_machine();
}

std::string HttpExchange::peer_address() const {
  return connection_.peer_address();
}

}  // namespace mill::net
