#include "tensor/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"

namespace mill::tensor {

namespace {

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// True as soon as done() is; false when it is not after `spins` looks.
template <class Done>
bool spin(int spins, const Done& done) {
  for (int i = 0; i < spins; ++i) {
    if (done()) return true;
    relax();
  }
  return false;
}

}  // namespace

// Spins a while (a member is rarely more than microseconds behind), then sleeps in the kernel, so
// that a busy machine with more threads than cores still makes progress. A member that waits for
// one last seen on its own core sleeps at once: its spinning would keep the other from running.
class Barrier {
 public:
  explicit Barrier(int members) : members_(members), seats_(static_cast<size_t>(members)) {}

  void wait(int member) {
    const uint32_t round = round_.load(std::memory_order_acquire);
    Seat& seat = seats_[static_cast<size_t>(member)];
    const int core = ::sched_getcpu();
    seat.core.store(core, std::memory_order_relaxed);
    seat.arrived.store(round + 1, std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.fetch_add(1, std::memory_order_release);
      round_.notify_all();
      return;
    }
    const auto over = [&] { return round_.load(std::memory_order_acquire) != round; };
    for (int turn = 0; turn < kTurns; ++turn) {
      if (spin(kSpinsOfATurn, over)) return;
      if (in_the_way(core, round)) break;
    }
    while (!over()) round_.wait(round, std::memory_order_acquire);
  }

 private:
  static constexpr int kTurns = 40;
  static constexpr int kSpinsOfATurn = 50;  // 1 to 2 µs
  struct alignas(64) Seat {
    std::atomic<int> core{-1};         // where the member was when it came last
    std::atomic<uint32_t> arrived{0};  // the round after the one it came for last
  };

  // Whether a member that has still to come was last on this core.
  bool in_the_way(int core, uint32_t round) const {
    return std::any_of(seats_.begin(), seats_.end(), [&](const Seat& other) {
      return other.arrived.load(std::memory_order_relaxed) != round + 1 &&
             other.core.load(std::memory_order_relaxed) == core;
    });
  }

  const int members_;
  std::vector<Seat> seats_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> round_{0};
};

void Team::wait() {
  if (barrier_) barrier_->wait(index_);
}

std::pair<int64_t, int64_t> Team::share(int64_t count, int64_t grain) const {
  const int64_t units = (count + grain - 1) / grain;
  const int64_t first = units * index_ / size_ * grain;
  const int64_t last = units * (index_ + 1) / size_ * grain;
  return {std::min(first, count), std::min(last, count)};
}

Team::Claims Team::claims(int64_t count) {
  MILL_CHECK(count >= 0 && count >> 32 == 0);
  ++round_;
  return {*this, count};
}

std::pair<int64_t, int64_t> Team::Claims::next() {
  if (!claimed_) return {0, std::exchange(count_, 0)};
  for (; helped_ < size_; ++helped_) {
    const auto [first, last] = next_of((index_ + helped_) % size_);
    if (first < last) return {first, last};
  }
  return {count_, count_};
}

// The next items of a member's share.
std::pair<int64_t, int64_t> Team::Claims::next_of(int member) {
  const auto [begin, end] = Team(member, size_, nullptr).share(count_);
  const int64_t count = end - begin;
  std::atomic<uint64_t>& share = claimed_[member].taken;
  uint64_t seen = share.load(std::memory_order_relaxed);
  for (;;) {
    const auto round = static_cast<uint32_t>(seen >> 32);
    // Who has begun a later round found nothing left of this one.
    const int64_t taken = round > round_   ? count
                          : round < round_ ? 0
                                           : static_cast<int64_t>(seen & 0xffffffffU);
    if (taken == count) return {end, end};
    const int64_t part = std::max<int64_t>(1, (count - taken) / (member == index_ ? 2 : 2 * size_));
    const uint64_t wanted = uint64_t{round_} << 32 | static_cast<uint64_t>(taken + part);
    if (share.compare_exchange_weak(seen, wanted, std::memory_order_relaxed)) {
      return {begin + taken, begin + taken + part};
    }
  }
}

struct ThreadPool::Impl {
  explicit Impl(int members) : claimed(static_cast<size_t>(members)), barrier(members) {}

  std::mutex turn;                                   // held by the caller of run()
  const std::function<void(Team&)>* work = nullptr;  // of the current job; null: end
  alignas(64) std::atomic<uint32_t> job{0};
  std::vector<ClaimedShare> claimed;  // [members] of the current job, see Team::Claims
  Barrier barrier;
  std::vector<std::thread> threads;

  // The others see `next` as their work.
  void start(const std::function<void(Team&)>* next) {
    work = next;
    job.fetch_add(1, std::memory_order_release);
    job.notify_all();
  }

  void serve(int index, int size) {
    for (uint32_t seen = 0;; ++seen) {
      const auto started = [&] { return job.load(std::memory_order_acquire) != seen; };
      if (!spin(kSpinsBetweenJobs, started)) {
        while (!started()) job.wait(seen, std::memory_order_acquire);
      }
      if (work == nullptr) return;
      Team team(index, size, &barrier, claimed.data());
      (*work)(team);
      team.wait();
    }
  }

  // 100 to 200 µs: what a decoding engine needs between two steps.
  static constexpr int kSpinsBetweenJobs = 5000;
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>(threads)) {
  MILL_CHECK(threads >= 1);
  for (int i = 1; i < threads; ++i) {
    impl_->threads.emplace_back([this, i, threads] { impl_->serve(i, threads); });
  }
}

ThreadPool::~ThreadPool() {
  impl_->start(nullptr);
  for (std::thread& thread : impl_->threads) thread.join();
}

int ThreadPool::size() const {
  return static_cast<int>(impl_->threads.size()) + 1;
}

void ThreadPool::run(const std::function<void(Team&)>& work) {
  std::lock_guard turn(impl_->turn);
  if (size() == 1) {
    Team alone(0, 1, nullptr);
    work(alone);
    return;
  }
  for (ClaimedShare& share : impl_->claimed) share.taken.store(0, std::memory_order_relaxed);
  impl_->start(&work);
  Team team(0, size(), &impl_->barrier, impl_->claimed.data());
  work(team);
  team.wait();
}

}  // namespace mill::tensor
