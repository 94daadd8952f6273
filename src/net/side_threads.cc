#include "net/side_threads.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

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

void SideThreads::post(std::function<void()> work) {
  boost::asio::post(pool_->threads, std::move(work));
}

}  // namespace mill::net
