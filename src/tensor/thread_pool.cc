#include "tensor/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

namespace mill::tensor {

// Spins a while (a member is rarely more than microseconds behind), then sleeps in the kernel, so that a busy machine with more
// threads than cores still makes progress.
class Barrier {
 public:
  explicit Barrier(int members) : members_(members) {}

  void wait() {
    const uint32_t round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.fetch_add(1, std::memory_order_release);
      round_.notify_all();
      return;
    }
    for (int spin = 0; spin < kSpins; ++spin) {
      if (round_.load(std::memory_order_acquire) != round) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    round_.wait(round, std::memory_order_acquire);
  }

 private:
  static constexpr int kSpins = 4000;  // about 40 µs
  const int members_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> round_{0};
};

void Team::wait() {
  if (barrier_) barrier_->wait();
}

std::pair<int64_t, int64_t> Team::share(int64_t count, int64_t grain) const {
  const int64_t units = (count + grain - 1) / grain;
  const int64_t first = units * index_ / size_ * grain;
  const int64_t last = units * (index_ + 1) / size_ * grain;
  return {std::min(first, count), std::min(last, count)};
}

struct ThreadPool::Impl {
  explicit Impl(int members) : barrier(members) {}

  std::mutex turn;  // held by the caller of run()
  std::mutex mutex;
  std::condition_variable go;
  const std::function<void(Team&)>* work = nullptr;
  uint64_t job = 0;
  bool ending = false;
  Barrier barrier;
  std::vector<std::thread> threads;

  void serve(int index, int size) {
    uint64_t seen = 0;
    for (;;) {
      const std::function<void(Team&)>* job_work = nullptr;
      {
        std::unique_lock lock(mutex);
        go.wait(lock, [&] { return ending || job != seen; });
        if (ending) return;
        seen = job;
        job_work = work;
      }
      Team team(index, size, &barrier);
      (*job_work)(team);
      team.wait();
    }
  }
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>(threads)) {
  MILL_CHECK(threads >= 1);
  for (int i = 1; i < threads; ++i) {
    impl_->threads.emplace_back([this, i, threads] { impl_->serve(i, threads); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->go.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

int ThreadPool::size() const { return static_cast<int>(impl_->threads.size()) + 1; }

void ThreadPool::run(const std::function<void(Team&)>& work) {
  std::lock_guard turn(impl_->turn);
  if (size() == 1) {
    Team alone(0, 1, nullptr);
    work(alone);
    return;
  }
  {
    std::lock_guard lock(impl_->mutex);
    impl_->work = &work;
    ++impl_->job;
  }
  impl_->go.notify_all();
  Team team(0, size(), &impl_->barrier);
  work(team);
  team.wait();
}

}  // namespace mill::tensor
