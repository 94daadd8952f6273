// Random business with a memory of its own: what was posted, what was acknowledged, and so what a
// journal must hold after whatever happened to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "ledger/book.h"
#include "ledger/ledger_for_test.h"

namespace mill::ledger {

uint64_t from_outside(const char* name, uint64_t fallback);

// Keeps what is written to standard error back: the thousands of errors that are meant to be.
class Hush {
 public:
  Hush();
  ~Hush();

 private:
  int kept_ = -1;
};

class Life {
 public:
  // `lost` tells that nothing of this incarnation will become durable any more.
  Life(uint64_t seed, std::function<bool()> lost) : random_(seed), lost_(std::move(lost)) {}

  // One thing at random: credits, holds, progress, ends, checkpoints. Waits for the disk mostly.
  void step(Book& book);
  // Ends what waits for the disk: everything posted is durable now, or the books are lost.
  void settle_down(Book& book);
  // What the journal must hold now, after recovery by Book::open: nothing that was acknowledged is
  // lost or changed, nothing is twice, no hold leaks, the balance adds up. What is there now is
  // acknowledged from here on, and what is not there may not come back. Empty, or what is wrong.
  std::string check(Book& book);

  int64_t acknowledged() const { return acknowledged_; }

 private:
  enum class State { kPosted, kDurable, kGone };
  struct Fact {  // one entry that may be there
    State state = State::kPosted;
    Kind kind = Kind::kCredit;
    Nano amount = 0;
    int64_t seq = 0;
  };
  struct Request {
    std::optional<Fact> begin, end;  // a credit has no end
    Nano held = 0, progress = 0;
  };

  void post(Book& book, Entry entry, std::optional<Fact> Request::*of, uint64_t number);
  void acknowledge(int64_t upto);
  std::string compare(uint64_t number, Request& mine, const Request& there);

  std::mt19937_64 random_;
  std::function<bool()> lost_;
  std::map<uint64_t, Request> requests_;
  std::vector<uint64_t> open_;
  uint64_t next_ = 1;
  Ticket last_;
  bool waiting_ = false;
  std::string stuck_;  // what kept the books from writing for ten seconds, with nothing lost
  int64_t acknowledged_ = 0;
};

}  // namespace mill::ledger
