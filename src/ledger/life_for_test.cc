#include "ledger/life_for_test.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace mill::ledger {
namespace {

uint64_t number_of(const HoldId& id) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number |= uint64_t{id[8 + i]} << (8 * i);
  return number;
}

bool ends(Kind kind) {
  return kind == Kind::kSettle || kind == Kind::kVoid || kind == Kind::kExpire;
}

}  // namespace

uint64_t from_outside(const char* name, uint64_t fallback) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : fallback;
}

Hush::Hush() {
  kept_ = ::dup(STDERR_FILENO);
  const int nowhere = ::open("/dev/null", O_WRONLY);
  ::dup2(nowhere, STDERR_FILENO);
  ::close(nowhere);
}

Hush::~Hush() {
  ::dup2(kept_, STDERR_FILENO);
  ::close(kept_);
}

void Life::acknowledge(int64_t upto) {
  for (auto& [number, request] : requests_) {
    for (std::optional<Fact>* fact : {&request.begin, &request.end}) {
      if (*fact && (*fact)->state == State::kPosted && (*fact)->seq <= upto) {
        (*fact)->state = State::kDurable;
        ++acknowledged_;
      }
    }
  }
}

void Life::settle_down(Book& book) {
  if (!waiting_) return;
  waiting_ = false;
  for (int tries = 0; tries < 5'000; ++tries) {
    const Status done = book.durable_blocking(last_, now() + std::chrono::milliseconds(2));
    if (done) return acknowledge(last_.seq);
    if (done.error().code != Code::kDeadline || lost_()) return;
  }
  stuck_ = book.health().message;
}

void Life::post(Book& book, Entry entry, std::optional<Fact> Request::*of, uint64_t number) {
  const Kind kind = entry.kind;
  const Nano amount = entry.amount;
  const Result<Ticket> ticket = book.post(std::move(entry));
  if (!ticket) return;
  last_ = *ticket;
  waiting_ = true;
  requests_[number].*of = Fact{State::kPosted, kind, amount, ticket->seq};
}

void Life::step(Book& book) {
  const uint64_t dice = random_() % 100;
  if (requests_.empty() || dice < 5) {
    Entry paid = credit(static_cast<Nano>(1000 + random_() % 5000));
    paid.hold = id_of(next_);
    paid.body.assign(random_() % 3 == 0 ? random_() % 9000 : 0, 'x');  // of several pages at times
    post(book, std::move(paid), &Request::begin, next_);
    ++next_;
  } else if (dice < 50 || open_.empty()) {
    const auto held = static_cast<Nano>(50 + random_() % 100);
    post(book, hold(next_, held), &Request::begin, next_);
    if (requests_.contains(next_)) {
      requests_[next_].held = held;
      open_.push_back(next_);
    }
    ++next_;
  } else if (dice < 97) {
    const size_t which = random_() % open_.size();
    const uint64_t number = open_[which];
    Request& request = requests_[number];
    if (dice < 60) {
      request.progress +=
          static_cast<Nano>(random_() % static_cast<uint64_t>(request.held - request.progress + 1));
      const auto ticket = book.post(of_hold(Kind::kProgress, number, request.progress));
      if (ticket) last_ = *ticket, waiting_ = true;
    } else {
      const bool free = dice < 66;
      const Nano charge =
          free ? 0 : static_cast<Nano>(random_() % static_cast<uint64_t>(request.held + 1));
      post(book, of_hold(free ? Kind::kVoid : Kind::kSettle, number, charge), &Request::end,
           number);
      if (request.end) open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
    }
  } else if (!lost_()) {
    settle_down(book);
    if (!lost_() && book.health().state == BookHealth::State::kOk) (void)book.checkpoint();
  }
  if (random_() % 4 != 0) settle_down(book);
}

std::string Life::compare(uint64_t number, Request& mine, const Request& there) {
  const auto wrong = [&](std::string_view what) { return fmt::format("{}: {}", number, what); };
  if (!mine.begin) return wrong("an entry that nobody posted");
  if (mine.begin->state == State::kDurable && !there.begin) return wrong("its beginning is lost");
  if (mine.begin->state == State::kGone && there.begin) return wrong("what was gone came back");
  if (!there.begin) {
    mine.begin->state = State::kGone;
    if (there.end) return wrong("an end without a beginning");
    if (mine.end) mine.end->state = State::kGone;
    return {};
  }
  if (there.begin->kind != mine.begin->kind || there.begin->amount != mine.begin->amount) {
    return wrong("its beginning was changed");
  }
  mine.begin->state = State::kDurable;
  if (mine.begin->kind == Kind::kCredit) return {};
  if (!there.end) return wrong("its hold leaked");
  const bool same =
      mine.end && there.end->kind == mine.end->kind && there.end->amount == mine.end->amount;
  if (mine.end && mine.end->state == State::kDurable && !same) {
    return wrong("its end was lost or changed");
  }
  if (!same && there.end->amount > mine.progress) return wrong("recovery charged too much");
  mine.end = there.end;
  mine.end->state = State::kDurable;
  return {};
}

std::string Life::check(Book& book) {
  if (!stuck_.empty()) return "the books did not get over: " + stuck_;
  waiting_ = false;
  open_.clear();
  std::map<uint64_t, Request> there;
  std::string wrong;
  Nano credit = 0, charged = 0;
  const Status read = book.scan({}, [&](const Entry& entry) -> Status {
    if (entry.kind == Kind::kProgress) return {};
    const uint64_t number = number_of(entry.hold);
    std::optional<Fact>& place = ends(entry.kind) ? there[number].end : there[number].begin;
    if (place) wrong = fmt::format("{} is there twice", number);
    place = Fact{State::kDurable, entry.kind, entry.amount, entry.seq};
    if (entry.kind == Kind::kCredit) credit += entry.amount;
    if (entry.kind == Kind::kSettle) charged += entry.amount;
    return {};
  });
  if (!read) return "reading: " + read.error().message;
  if (!wrong.empty()) return wrong;
  for (auto& [number, found] : there) {
    if (!requests_.contains(number)) return fmt::format("{} was never posted", number);
  }
  for (auto& [number, mine] : requests_) {
    if (wrong = compare(number, mine, there[number]); !wrong.empty()) return wrong;
  }
  const Balance balance = book.balance(1, kUsd);
  if (balance != Balance{.credit = credit - charged, .held = 0, .charged = charged}) {
    return fmt::format("the balance is {} with {} held, {} charged; the entries say {} and {}",
                       balance.credit, balance.held, balance.charged, credit - charged, charged);
  }
  if (balance.available() < 0) return "less than nothing is available";
  if (!book.open_holds().empty()) return "a hold is open";
  if (const Status audit = book.audit(); !audit) return "audit: " + audit.error().message;
  return {};
}

}  // namespace mill::ledger
