#include "net/http_client.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

namespace mill::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Stream = beast::basic_stream<tcp, Executor>;
using Parser = http::response_parser<http::string_body>;

Instant soonest(Instant deadline, Duration from_now) {
  return std::min(deadline, now() + from_now);
}

bool breaks_a_line(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; });
}

Error read_error(const error_code& error) {
  if (error == beast::error::timeout) {
    return {Code::kDeadline, "the answer took longer than allowed", ""};
  }
  if (error == http::error::header_limit || error == http::error::body_limit ||
      error == http::error::buffer_overflow) {
    return {Code::kTooLarge, "the answer is larger than the limit", ""};
  }
  if (error == http::error::end_of_stream) {
    return {Code::kIo, "the server closed the connection without an answer", ""};
  }
  if (error == http::error::partial_message || error == asio::error::eof ||
      error == asio::error::connection_reset || error == asio::error::broken_pipe) {
    return {Code::kIo, "the connection was cut in the middle of an answer", ""};
  }
  if (error.category() == make_error_code(http::error::bad_version).category()) {
    return {Code::kCorrupt, "the server does not speak HTTP/1.1: " + error.message(), ""};
  }
  return {Code::kIo, "the connection failed: " + error.message(), ""};
}

}  // namespace

struct HttpClient::Connection {
  explicit Connection(const Executor& executor) : stream(executor) {}

  // Whether the server has closed it, or said something unasked, while it was idle.
  bool stale() {
    char byte = 0;
    const ssize_t got = ::recv(stream.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  }

  Stream stream;
  beast::flat_buffer buffer;
  bool reusable = false;
  bool answered = false;  // some bytes of the last request's answer came
};

std::optional<std::string_view> HttpAnswer::header(std::string_view name) const {
  for (const Header& header : headers) {
    if (equal_ignoring_case(header.name, name)) return header.value;
  }
  return std::nullopt;
}

HttpClient::HttpClient(HttpUrl server, HttpClientLimits limits)
    : server_(std::move(server)), limits_(limits) {}
HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Connection> HttpClient::take_idle() {
  while (!idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (!connection->stale()) return connection;
  }
  return nullptr;
}

Task<Result<std::unique_ptr<HttpClient::Connection>>> HttpClient::connect(Instant deadline) {
  const Executor executor = co_await asio::this_coro::executor;
  error_code error;
  std::vector<tcp::endpoint> places;
  if (const auto address = asio::ip::make_address(server_.host, error); !error) {
    places.emplace_back(address, server_.port);
  } else {
    asio::ip::basic_resolver<tcp, Executor> resolver(executor);
    const auto found = co_await resolver.async_resolve(server_.host, std::to_string(server_.port),
                                                       asio::redirect_error(kAwait, error));
    if (error) {
      co_return fail(Code::kIo, "no address for the host " + server_.host + ": " + error.message());
    }
    for (const auto& place : found) places.push_back(place);
  }
  auto connection = std::make_unique<Connection>(executor);
  connection->stream.expires_at(soonest(deadline, limits_.connect_time));
  co_await connection->stream.async_connect(places, asio::redirect_error(kAwait, error));
  if (error == beast::error::timeout) {
    co_return fail(Code::kDeadline, "no connection to " + server_.authority() + " in time");
  }
  if (error) {
    co_return fail(Code::kIo, "no connection to " + server_.authority() + ": " + error.message());
  }
  error_code ignored;
  connection->stream.socket().set_option(tcp::no_delay(true), ignored);
  ++connections_made_;
  co_return std::move(connection);
}

// One request and its answer over a connection; sets its `reusable`.
Task<Result<HttpAnswer>> HttpClient::exchange(Connection& connection, const Call& call,
                                              const std::string& head) {
  error_code error, unsent;
  Stream& stream = connection.stream;
  connection.reusable = connection.answered = false;
  stream.expires_at(soonest(call.deadline, limits_.stall_time));
  const std::array<asio::const_buffer, 2> request{asio::buffer(head), asio::buffer(call.body)};
  co_await asio::async_write(stream, request, asio::redirect_error(kAwait, unsent));
  if (unsent == beast::error::timeout) co_return fail(read_error(unsent));

  // A server may refuse a body and close before all of it was sent: its answer is worth reading.
  std::optional<Parser> parser;
  stream.expires_at(soonest(call.deadline, limits_.stall_time));
  do {
    parser.emplace();
    parser->header_limit(static_cast<uint32_t>(limits_.header_bytes));
    parser->body_limit(limits_.body_bytes);
    parser->skip(call.method == "HEAD");
    co_await http::async_read_header(stream, connection.buffer, *parser,
                                     asio::redirect_error(kAwait, error));
    connection.answered = connection.answered || !error || connection.buffer.size() > 0;
  } while (!error && parser->get().result_int() / 100 == 1);  // an interim answer
  if (error) co_return fail(read_error(unsent ? unsent : error));

  HttpAnswer answer{.status = static_cast<int>(parser->get().result_int())};
  for (const auto& field : parser->get()) {
    answer.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  const bool streamed = call.reader && answer.status / 100 == 2;
  for (;;) {
    std::string& piece = parser->get().body();
    if (!piece.empty() && streamed) {
      MILL_CO_TRY_DO(call.reader(piece));
      piece.clear();
    }
    if (parser->is_done()) break;
    stream.expires_at(soonest(call.deadline, limits_.stall_time));
    co_await http::async_read_some(stream, connection.buffer, *parser,
                                   asio::redirect_error(kAwait, error));
    if (error) co_return fail(read_error(error));
  }
  answer.body = std::move(parser->get().body());
  connection.reusable = parser->keep_alive() && connection.buffer.size() == 0 && !unsent;
  co_return answer;
}

Task<Result<HttpAnswer>> HttpClient::send(Call call) {
  std::string head = call.method + " " + server_.path + call.target + " HTTP/1.1\r\n";
  if (breaks_a_line(std::string_view(head).substr(0, head.size() - 2))) {
    co_return fail(Code::kInvalid, "the method or target of a request holds control bytes");
  }
  head += "Host: " + server_.authority() + "\r\n";
  for (const Header& header : call.headers) {
    if (breaks_a_line(header.name) || breaks_a_line(header.value)) {
      co_return fail(Code::kInvalid, "the header " + header.name + " holds control bytes");
    }
    head += header.name + ": " + header.value + "\r\n";
  }
  head += "Content-Length: " + std::to_string(call.body.size()) + "\r\n\r\n";

  std::unique_ptr<Connection> connection = take_idle();
  const bool kept = connection != nullptr;
  if (!kept) {
    MILL_CO_TRY(connection, co_await connect(call.deadline));
  }
  Result<HttpAnswer> answer = co_await exchange(*connection, call, head);
  if (!answer && kept && !connection->answered && answer.error().code == Code::kIo) {
    MILL_CO_TRY(connection, co_await connect(call.deadline));
    answer = co_await exchange(*connection, call, head);
  }
  if (answer && connection->reusable && idle_.size() < limits_.idle_connections) {
    connection->stream.expires_never();
    idle_.push_back(std::move(connection));
  }
  co_return answer;
}

}  // namespace mill::net
