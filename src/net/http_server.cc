#include "net/http_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <optional>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "net/http_connection.h"

namespace mill::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kTurnedAwayAtOnce =
    64;  // more connections too many than this are closed without a word

Error bind_error(const HttpServerOptions& options, const error_code& error) {
  const std::string place = options.host + ":" + std::to_string(options.port);
  if (error == asio::error::address_in_use) {
    return {Code::kIo,
            place + " is in use by another program: choose another port, or 0 for a free one",
            "port"};
  }
  if (error == asio::error::access_denied) {
    return {Code::kPermission, "no permission to listen on " + place + ": choose a port above 1023",
            "port"};
  }
  if (error == boost::system::errc::address_not_available) {
    return {Code::kInvalid, "this machine has no address " + options.host + " to listen on",
            "host"};
  }
  return {Code::kIo, "can't listen on " + place + ": " + error.message(), "host"};
}

}  // namespace

struct HttpServer::Core {
  explicit Core(int count) {
    for (int i = 0; i < count; ++i) loops.push_back(std::make_unique<HttpLoop>());
    acceptor.emplace(loops.front()->io.get_executor());
    for (const auto& loop : loops) work.emplace_back(loop->io.get_executor());
  }

  HttpShared shared;
  std::vector<std::unique_ptr<HttpLoop>> loops;  // a thread each; the first one accepts, too
  std::optional<asio::basic_socket_acceptor<tcp, Executor>> acceptor;
  std::vector<asio::executor_work_guard<Executor>> work;
  std::vector<std::thread> threads;
  uint16_t port = 0;

  Status bind();
  Task<void> accept_loop();
  HttpLoop& emptiest();
  void welcome(HttpConnection::Socket socket, HttpLoop& loop);
};

HttpLoop& HttpServer::Core::emptiest() {
  return **std::min_element(loops.begin(), loops.end(), [](const auto& a, const auto& b) {
    return a->connections.load() < b->connections.load();
  });
}

Status HttpServer::Core::bind() {
  const HttpServerOptions& options = shared.options;
  error_code error;
  tcp::endpoint endpoint;
  const auto address = asio::ip::make_address(options.host, error);
  if (!error) {
    endpoint = tcp::endpoint(address, options.port);
  } else {
    tcp::resolver resolver(loops.front()->io);
    const auto found = resolver.resolve(options.host, std::to_string(options.port), error);
    if (error || found.empty()) {
      return fail(
          Code::kInvalid,
          "the host '" + options.host + "' is neither an address nor a name of this machine",
          "host");
    }
    endpoint = *found.begin();
  }
  acceptor->open(endpoint.protocol(), error);
  if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor->bind(endpoint, error);
  if (!error) acceptor->listen(4096, error);
  if (error) return fail(bind_error(options, error));
  port = acceptor->local_endpoint(error).port();
  return {};
}

Task<void> HttpServer::Core::accept_loop() {
  Timer pause(loops.front()->io.get_executor());
  while (!shared.draining) {
    error_code error;
    HttpLoop& loop = emptiest();
    HttpConnection::Socket socket(loop.io.get_executor());
    co_await acceptor->async_accept(socket, asio::redirect_error(kAwait, error));
    if (shared.draining) co_return;
    if (!error) {
      welcome(std::move(socket), loop);
    } else if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
               error == asio::error::no_memory ||
               error == boost::system::errc::too_many_files_open_in_system) {
      // Out of descriptors: those that are open have to end first.
      log_warn("accept_failed").add("reason", error.message());
      pause.expires_at(now() + std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(kAwait, error));
    }
  }
}

void HttpServer::Core::welcome(HttpConnection::Socket socket, HttpLoop& loop) {
  error_code ignored;
  shared.probe->accepted.fetch_add(1);
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  if (shared.options.send_buffer_bytes > 0) {
    socket.set_option(asio::socket_base::send_buffer_size(shared.options.send_buffer_bytes),
                      ignored);
  }
  const int64_t open = shared.probe->open_connections.load();
  const int64_t limit = shared.options.limits.connections;
  if (open >= limit + kTurnedAwayAtOnce) return;
  const auto executor = socket.get_executor();
  auto connection = std::make_shared<HttpConnection>(std::move(socket), loop, shared);
  shared.registry.add(*connection, connection);
  const bool too_many = open >= limit;
  asio::co_spawn(
      executor,
      [](std::shared_ptr<HttpConnection> self, bool away) -> Task<void> {
        if (away) {
          co_await self->turn_away();
        } else {
          co_await self->run();
        }
      }(std::move(connection), too_many),
      [](std::exception_ptr error) {
        try {
          if (error) std::rethrow_exception(error);
        } catch (const std::exception& what) {
          log_error("connection_failed").add("what", what.what());
        }
      });
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(HttpServerOptions options,
                                                       HttpHandler handler) {
  MILL_CHECK(options.io_threads >= 1);
  auto core = std::make_shared<Core>(options.io_threads);
  core->shared.probe = options.probe ? options.probe : std::make_shared<HttpProbe>();
  core->shared.options = std::move(options);
  core->shared.handler = std::move(handler);
  MILL_TRY_DO(core->bind());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
}

HttpServer::HttpServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}

HttpServer::~HttpServer() {
  for (const auto& loop : core_->loops) loop->io.stop();
  for (std::thread& thread : core_->threads) thread.join();
}

uint16_t HttpServer::port() const {
  return core_->port;
}

const HttpProbe& HttpServer::probe() const {
  return *core_->shared.probe;
}

void HttpServer::start() {
  MILL_CHECK(core_->threads.empty());
  asio::co_spawn(core_->loops.front()->io, core_->accept_loop(), asio::detached);
  for (const auto& loop : core_->loops) {
    core_->threads.emplace_back([raw = loop.get()] { raw->io.run(); });
  }
}

Status HttpServer::drain(Instant deadline, Duration grace) {
  core_->shared.draining = true;
  asio::post(core_->loops.front()->io, [core = core_.get()] {
    error_code ignored;
    core->acceptor->close(ignored);
  });
  HttpRegistry& registry = core_->shared.registry;
  for (const auto& connection : registry.all()) connection->drain();
  if (registry.wait_until_empty(deadline)) return {};
  for (const auto& connection : registry.all()) connection->cut();
  if (registry.wait_until_empty(now() + grace)) return {};
  return fail(Code::kDeadline, "some answers did not end after their clients were cut off");
}

}  // namespace mill::net
