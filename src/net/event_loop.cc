#include "net/event_loop.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>

namespace mill::net {

namespace asio = boost::asio;

struct EventLoop::Core {
  asio::io_context io{1};
};

EventLoop::EventLoop() : core_(std::make_unique<Core>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::start(Task<void> task) {
  asio::co_spawn(core_->io, std::move(task), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
}

void EventLoop::run() {
  core_->io.restart();
  core_->io.run();
}

Task<void> sleep_until(Instant when) {
  const auto executor = co_await asio::this_coro::executor;
  Timer timer(executor, when);
  boost::system::error_code cancelled;
  co_await timer.async_wait(asio::redirect_error(kAwait, cancelled));
}

}  // namespace mill::net
