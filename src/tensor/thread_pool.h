// The compute threads: all of them run one function together, as a Team.
//
// One pool per process; the caller's thread is member 0. Between calls the others spin for
// a fraction of a millisecond and then sleep (nothing spins while the mill is idle).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace mill::tensor {

class Barrier;

// How much of a member's share of Team::Claims is taken: the round of claims << 32, and how many
// items of it.
struct alignas(64) ClaimedShare {
  std::atomic<uint64_t> taken{0};
};

// One member's view of the threads that run an operation together. Every operation of Backend is called by all members with the
// same arguments; each does its share and returns. Operations don't wait for each other: the caller places the waits.
class Team {
 public:
  Team(int index, int size, Barrier* barrier, ClaimedShare* claimed = nullptr)
      : index_(index), size_(size), barrier_(barrier), claimed_(claimed) {}
  int index() const { return index_; }
  int size() const { return size_; }
  // Returns when every member has called it; what they wrote before is then visible to all.
  void wait();
  // This member's part [first, second) of `count` items, in units of `grain`; parts differ by at most one unit.
  std::pair<int64_t, int64_t> share(int64_t count, int64_t grain = 1) const;
  // The same count for every member.  Requires: 0 <= count < 2^32.
  class Claims;
  Claims claims(int64_t count);

 private:
  int index_, size_;
  Barrier* barrier_;       // null for a team of one
  ClaimedShare* claimed_;  // [size] of the pool; likewise
  uint32_t round_ = 0;     // of claims
};

// Items that the members take as they come for them, so that a core that is slow, or busy with something else, takes fewer. Each
// takes those of its share() first, whose inputs may lie in its caches, large parts and then ever smaller ones; then it helps the
// others.  Requires: a member takes until nothing is left before it begins its next Claims.
class Team::Claims {
 public:
  // The next items [first, second) for this member; none when all have been taken.
  std::pair<int64_t, int64_t> next();

 private:
  friend class Team;
  Claims(const Team& team, int64_t count)
      : claimed_(team.claimed_), round_(team.round_), index_(team.index_), size_(team.size_), count_(count) {}
  std::pair<int64_t, int64_t> next_of(int member);

  ClaimedShare* claimed_;
  uint32_t round_;
  int index_, size_;
  int helped_ = 0;  // members whose shares are all taken, from this one on
  int64_t count_;
};

class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // Requires: threads >= 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  int size() const;
  // Runs `work` on every member and returns when all have. Calls from several threads take turns.
  void run(const std::function<void(Team&)>& work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mill::tensor
