#include "net/side_threads.h"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mill::net {

struct SideThreads::Pool {
  explicit Pool(int count) : threads(static_cast<size_t>(count)) {}
  boost::asio::thread_pool threads;
};

SideThreads::SideThreads(int count) : pool_(std::make_unique<Pool>(count)) {}

SideThreads::~SideThreads() {
  pool_->threads.stop();
  pool_->threads.join();
}

Task<void> SideThreads::run(std::function<void()> work) {
  // Posting with the pool's executor bound moves this coroutine's resumption there and nothing
  // else; posting without it moves back.
  const auto pool = pool_->threads.get_executor();
  co_await boost::asio::post(boost::asio::bind_executor(pool, boost::asio::use_awaitable));
  work();
  co_await boost::asio::post(boost::asio::use_awaitable);
}

}  // namespace mill::net
