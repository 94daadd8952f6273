// Answers kept under the client's Idempotency-Key: a request that is sent again gets the first
// answer again, and is not charged again (the draft of the HTTP working group's "Idempotency-Key
// HTTP Header Field").
//
// Only whole, good answers are kept, in memory, up to a number of bytes and for a time; the oldest
// go first. A key whose request failed is free again. A restart forgets all. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "base/result.h"

namespace mill::gateway {

struct KeptAnswer {
  std::string content_type;
  std::string body;     // of a stream: all its events
  std::string receipt;  // of the request that was charged
};

class KeptAnswers {
 public:
  static constexpr size_t kLongestKey = 255;         // bytes, of printable ASCII
  static constexpr size_t kLongestAnswer = 4 << 20;  // a longer one is not kept
  struct Options {
    size_t bytes = 64 << 20;  // of bodies and what they need
    Duration keep = std::chrono::hours(24);
  };
  KeptAnswers() : KeptAnswers(Options{}) {}
  explicit KeptAnswers(Options options) : options_(options) {}

  // A request in flight. Dropped without keep(), its key is free again. Must not outlive the store.
  class Turn {
   public:
    Turn(Turn&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)), name_(std::move(other.name_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (store_) store_->release(name_);
    }
    void keep(KeptAnswer answer);

   private:
    friend class KeptAnswers;
    Turn(KeptAnswers* store, std::string name) : store_(store), name_(std::move(name)) {}
    KeptAnswers* store_;
    std::string name_;
  };

  using Found = std::variant<Turn, std::shared_ptr<const KeptAnswer>>;
  struct Refusal {
    int status = 0;  // 400: no key; 409: the first is still running; 422: another request's key
    std::string message;
  };
  // A turn to answer, or the answer that is kept. `owner`: whose key it is; two owners never meet.
  std::variant<Found, Refusal> begin(uint64_t owner, std::string_view key, std::string_view path,
                                     std::string_view body, Instant now);

  size_t bytes() const;

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Entry {
    Digest request{};
    std::shared_ptr<const KeptAnswer> answer;  // null: in flight
    Instant since{};
  };
  void release(const std::string& name);
  void store(const std::string& name, KeptAnswer answer);
  void forget_oldest();  // Requires: the lock

  Options options_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;     // by owner and key
  std::deque<std::pair<std::string, Instant>> order_;  // of those with an answer, oldest first
  size_t bytes_ = 0;
};

}  // namespace mill::gateway
