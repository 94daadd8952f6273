// Answers kept under the client's Idempotency-Key: a request that is sent again gets the first
// answer again, and is not charged again (the draft of the HTTP working group's "Idempotency-Key
// HTTP Header Field").
//
// A whole answer travels to the journal beside its charge, in one transaction, and load() finds it
// there after a restart; so what was charged is kept, and what a crash interrupted was not charged.
// A key whose request failed is free again. Kept in memory as well, up to a number of bytes and for
// a time; the oldest go first. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/book.h"

namespace mill::gateway {

struct KeptAnswer {
  std::string content_type;
  std::string body;       // of a stream: all its events
  std::string receipt;    // of the request that was charged
  int64_t seq = 0;        // its charge in the journal: not sent again before that is on the disk
  bool too_long = false;  // charged, and the body was not kept
};

class KeptAnswers {
 public:
  static constexpr size_t kLongestKey = 255;         // bytes, of printable ASCII
  static constexpr size_t kLongestAnswer = 4 << 20;  // of a longer one it is known that it was
  struct Options {
    size_t bytes = 64 << 20;  // of bodies and what they need
    Duration keep = std::chrono::hours(24);
  };
  KeptAnswers() : KeptAnswers(Options{}) {}
  explicit KeptAnswers(Options options) : options_(options) {}

  // What the journal has kept and is not too old. Once, before the first begin(). kIo, kCorrupt.
  Status load(ledger::Book& book, int64_t unix_ns, Instant now);

  // A request in flight, and its answer so far. Dropped without keep(), its key is free again. Must
  // not outlive the store; of one io thread.
  class Turn {
   public:
    Turn(Turn&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)),
          name_(std::move(other.name_)),
          answer_(std::move(other.answer_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (store_) store_->release(name_);
    }
    void is_of_type(std::string content_type) { answer_.content_type = std::move(content_type); }
    void append(std::string_view bytes);  // to the body; more than kLongestAnswer is forgotten
    // The answer is whole: what goes to the journal beside its charge.
    std::shared_ptr<const ledger::Keepsake> seal(std::string receipt);
    // It is on its way there as entry `seq`.
    void keep(int64_t seq, Instant now);

   private:
    friend class KeptAnswers;
    Turn(KeptAnswers* store, std::string name) : store_(store), name_(std::move(name)) {}
    KeptAnswers* store_;
    std::string name_;
    KeptAnswer answer_;
  };

  using Found = std::variant<Turn, std::shared_ptr<const KeptAnswer>>;
  struct Refusal {
    // 400: no key; 409: the first is still running; 410: it was charged, and its answer was too
    // long to be kept; 422: another request's key
    int status = 0;
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
    Instant since{};                           // it has been kept
  };
  void release(const std::string& name);
  std::shared_ptr<const ledger::Keepsake> pack(const std::string& name, const KeptAnswer& answer);
  void store(const std::string& name, KeptAnswer answer, Instant now);
  Status unpack(int64_t seq, Instant since, const ledger::Keepsake& keepsake);
  // Require the lock.
  void put(Entry& entry, const std::string& name, KeptAnswer answer, Instant since);
  void forget_old(Instant now);
  void forget_oldest();

  Options options_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;  // by owner and key
  std::map<int64_t, std::string> order_;            // of those with an answer, by their charge
  size_t bytes_ = 0;
  int64_t forgotten_seq_ = 0;  // the journal may forget as far
};

}  // namespace mill::gateway
