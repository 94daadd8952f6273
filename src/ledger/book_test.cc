#include "ledger/book.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <map>
#include <random>
#include <thread>

#include "ledger/ledger_for_test.h"
#include "ledger/verify.h"

namespace mill::ledger {
namespace {

std::unique_ptr<Book> opened(const std::string& address, BookOptions options = {}) {
  auto book = open_book(address, std::move(options));
  EXPECT_TRUE(book.has_value()) << (book ? "" : book.error().message);
  return book ? std::move(*book) : nullptr;
}
Verification verified(const std::string& address) {
  auto journal = open_journal(address, true);
  EXPECT_TRUE(journal.has_value());
  auto found = verify(**journal);
  EXPECT_TRUE(found.has_value());
  return std::move(*found);
}
class BookTest : public OnEachJournal {};

void must(const Result<Ticket>& ticket) {
  ASSERT_TRUE(ticket.has_value()) << ticket.error().message;
}

TEST_P(BookTest, WhatWasBookedIsThereAfterARestart) {
  {
    auto book = opened(folder / "j");
    must(book->post(credit(1000)));
    must(book->post(hold(1, 300)));
    must(book->post(of_hold(Kind::kSettle, 1, 120)));
    must(book->post(hold(2, 200)));
    must(book->post(of_hold(Kind::kVoid, 2)));
    EXPECT_EQ(book->balance(1, kUsd).available(), 880);
  }
  auto book = opened(folder / "j");
  EXPECT_EQ(book->balance(1, kUsd), (Balance{.credit = 880, .held = 0, .charged = 120}));
  EXPECT_TRUE(book->audit().has_value());
  book.reset();
  const Verification found = verified(folder / "j");
  EXPECT_TRUE(found.ok()) << found.wrong;
  EXPECT_EQ(found.entries, 5);
}

TEST_P(BookTest, ASecondSettleIsTheFirstOne) {
  auto book = opened(folder / "j");
  must(book->post(credit(1000)));
  must(book->post(hold(1, 300)));
  must(book->post(of_hold(Kind::kSettle, 1, 100)));
  for (int i = 0; i < 10'000; ++i) {
    const auto again = book->post(of_hold(Kind::kSettle, 1, 100));
    ASSERT_TRUE(again.has_value());
    ASSERT_TRUE(again->existed);
    ASSERT_EQ(again->charge, 100);
  }
  EXPECT_EQ(book->balance(1, kUsd).charged, 100);
  EXPECT_EQ(book->health().booked_seq, 3);
}

TEST_P(BookTest, NothingIsHeldBeyondTheCredit) {
  auto book = opened(folder / "j");
  must(book->post(credit(100)));
  must(book->post(hold(1, 60)));
  const auto refused = book->post(hold(2, 41));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kPermission);
  must(book->post(hold(3, 40)));
}

TEST_P(BookTest, ManyThreadsOnOneNearlyEmptyCreditNeverOvershoot) {
  std::atomic<int64_t> settled{0}, refused{0};
  constexpr int kThreads = 64, kRequests = 100'000;
  constexpr Nano kCredit = 50'000;
  {
    auto book = opened(folder / "j");
    must(book->post(credit(kCredit)));
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(static_cast<uint64_t>(t));
        for (int i = t; i < kRequests; i += kThreads) {
          const auto number = static_cast<uint64_t>(i) + 1;
          auto ticket = book->post(hold(number, 10));
          if (!ticket) {
            ASSERT_TRUE(ticket.error().code == Code::kPermission ||
                        ticket.error().code == Code::kOverloaded)
                << ticket.error().message;
            ++refused;
            continue;
          }
          const Nano charge = static_cast<Nano>(random() % 11);
          for (;;) {
            ticket = book->post(of_hold(Kind::kSettle, number, charge));
            if (ticket || ticket.error().code != Code::kOverloaded) break;
            std::this_thread::yield();
          }
          ASSERT_TRUE(ticket.has_value()) << ticket.error().message;
          settled += charge;
        }
      });
    }
  }
  auto book = opened(folder / "j");
  const Balance balance = book->balance(1, kUsd);
  EXPECT_EQ(balance.charged, settled);  // none lost, none twice
  EXPECT_LE(balance.charged, kCredit);  // no overshoot
  EXPECT_EQ(balance.credit + balance.charged, kCredit);
  EXPECT_EQ(balance.held, 0);
  EXPECT_GT(refused, 0);
}

TEST_P(BookTest, HoldsThatADeadProcessLeftEndAtTheirLastProgress) {
  const std::string address = folder / "j";
  const pid_t child = fork();
  if (child == 0) {
    auto book = open_book(address);
    if (!book) _exit(1);
    (void)(*book)->post(credit(1000));
    (void)(*book)->post(hold(1, 300));
    (void)(*book)->post(of_hold(Kind::kProgress, 1, 70));
    const auto last = (*book)->post(hold(2, 200));
    if (!last || !(*book)->durable_blocking(*last)) _exit(1);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  auto book = opened(address);
  EXPECT_EQ(book->balance(1, kUsd), (Balance{.credit = 930, .held = 0, .charged = 70}));
  EXPECT_TRUE(book->open_holds().empty());
  const auto ended = book->find_resolved(id_of(1));
  ASSERT_TRUE(ended.has_value() && ended->has_value());
  EXPECT_EQ((*ended)->kind, Kind::kSettle);
}

TEST_P(BookTest, AnIdIsFoundWithItsEndAndItsReversals) {
  auto book = opened(folder / "j");
  must(book->post(credit(1000)));
  must(book->post(hold(1, 300)));
  must(book->post(hold(2, 300)));
  const Result<Ticket> settle = book->post(of_hold(Kind::kSettle, 1, 70));
  must(settle);
  must(book->post(of_hold(Kind::kSettle, 2, 71)));
  Entry back = of_hold(Kind::kReversal, 1, 30);
  back.model = "m";
  back.price_version = 1;
  back.tier = 2;
  back.flags = kBatch;
  const Result<Ticket> last = book->post(back);
  must(last);
  ASSERT_TRUE(book->durable_blocking(*last));
  const Result<std::vector<Entry>> found = book->find(id_of(1));
  ASSERT_TRUE(found.has_value()) << found.error().message;
  ASSERT_EQ(found->size(), 2u);
  EXPECT_EQ((*found)[0].seq, settle->seq);
  EXPECT_EQ((*found)[0].model, "m") << "as its hold";
  EXPECT_EQ((*found)[1].seq, last->seq);
  EXPECT_EQ((*found)[1].payer, kPayer);
  EXPECT_EQ((*found)[1].model, "m");
  EXPECT_EQ((*found)[1].price_version, 1);
  EXPECT_EQ((*found)[1].tier, 2);
  EXPECT_EQ((*found)[1].flags, kBatch);
  EXPECT_EQ(book->find(id_of(3))->size(), 0u);
  book.reset();
  EXPECT_TRUE(verified(folder / "j").ok()) << verified(folder / "j").wrong;
}

// A child books at random, tells what was acknowledged through a pipe, and is killed: whatever it
// had told is there, once.
TEST_P(BookTest, NothingAcknowledgedIsLostWhenTheProcessIsKilled) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  std::map<uint64_t, Nano> acknowledged;
  must(opened(folder / "j")->post(credit(int64_t{1} << 50)));
  for (uint64_t life = 0; life < 12; ++life) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const auto die_after = std::chrono::microseconds(2000 + random() % 60'000);
    const pid_t child = fork();
    if (child == 0) {
      close(pipe_ends[0]);
      const auto give_up = [](const std::string& why) {
        (void)!write(STDERR_FILENO, why.data(), why.size());
        _exit(1);
      };
      auto book = open_book(folder / "j", {.checkpoint_every = 50});
      if (!book) give_up(book.error().message);
      for (uint64_t i = 0;; ++i) {
        const uint64_t number = life << 32 | i;
        const Nano charge = static_cast<Nano>(number % 97);
        (void)(*book)->post(hold(number, 100));
        const auto ticket = (*book)->post(of_hold(Kind::kSettle, number, charge));
        if (!ticket) give_up(ticket.error().message);
        if (!(*book)->durable_blocking(*ticket)) give_up("not durable");
        const uint64_t told[2] = {number, static_cast<uint64_t>(charge)};
        if (write(pipe_ends[1], told, sizeof told) != sizeof told) _exit(1);
      }
    }
    close(pipe_ends[1]);
    // Every second life has booked something before it may be killed, the others perhaps nothing.
    uint64_t told[2];
    if (life % 2 == 1 && read(pipe_ends[0], told, sizeof told) == sizeof told) {
      acknowledged[told[0]] = static_cast<Nano>(told[1]);
    }
    std::this_thread::sleep_for(die_after);
    kill(child, SIGKILL);
    while (read(pipe_ends[0], told, sizeof told) == sizeof told)
      acknowledged[told[0]] = static_cast<Nano>(told[1]);
    close(pipe_ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
  }
  std::map<uint64_t, std::pair<Nano, int>> booked;
  auto book = opened(folder / "j");
  ASSERT_TRUE(book->scan({.kinds = {Kind::kSettle}}, [&](const Entry& entry) -> Status {
    uint64_t number = 0;
    for (size_t i = 0; i < 8; ++i) number |= uint64_t{entry.hold[8 + i]} << (8 * i);
    booked[number].first += entry.amount;
    ++booked[number].second;
    return {};
  }));
  EXPECT_FALSE(acknowledged.empty());
  for (const auto& [number, charge] : acknowledged) {
    ASSERT_TRUE(booked.contains(number)) << number;
    ASSERT_EQ(booked[number], (std::pair{charge, 1})) << number;
  }
  EXPECT_EQ(book->balance(1, kUsd).held, 0);
  EXPECT_TRUE(book->audit().has_value());
  book.reset();
  EXPECT_TRUE(verified(folder / "j").ok()) << verified(folder / "j").wrong;
}

// A journal that fails when told, before or after it has written.
class Moody final : public Journal {
 public:
  enum class Mood { kGood, kFailsBefore, kFailsAfter };
  explicit Moody(std::unique_ptr<Journal> inner) : inner_(std::move(inner)) {}
  std::atomic<Mood> mood{Mood::kGood};
  std::vector<size_t> batches;  // entries of each; of the writer's thread

  std::string where() const override { return inner_->where(); }
  Result<Head> head() override { return inner_->head(); }
  Status append(std::span<const Entry> entries) override {
    batches.push_back(entries.size());
    if (mood == Mood::kFailsBefore) return fail(Code::kIo, "no space left on device");
    Status done = inner_->append(entries);
    if (mood == Mood::kFailsAfter) return fail(Code::kIo, "fsync failed");
    return done;
  }
  Status scan(const Range& range, const Visitor& visit) override {
    return inner_->scan(range, visit);
  }
  Result<std::vector<Entry>> find(const HoldId& id, int64_t before) override {
    return inner_->find(id, before);
  }
  Status save_checkpoint(std::string_view name, const Checkpoint& at) override {
    return inner_->save_checkpoint(name, at);
  }
  Result<std::optional<Checkpoint>> load_checkpoint(std::string_view name) override {
    return inner_->load_checkpoint(name);
  }
  Status keepsakes(const KeepsakeVisitor& visit) override { return inner_->keepsakes(visit); }
  Status reopen() override { return inner_->reopen(); }

 private:
  std::unique_ptr<Journal> inner_;
};

TEST_P(BookTest, AFullDiskRefusesNewBusinessAndLosesNothing) {
  for (const Moody::Mood mood : {Moody::Mood::kFailsBefore, Moody::Mood::kFailsAfter}) {
    const std::string name = mood == Moody::Mood::kFailsBefore ? "before" : "after";
    auto inner = open_journal(folder / name);
    ASSERT_TRUE(inner.has_value());
    auto journal = std::make_unique<Moody>(std::move(*inner));
    Moody* moody = journal.get();
    auto book = Book::open(std::move(journal), {.retry_first = std::chrono::milliseconds(1)});
    ASSERT_TRUE(book.has_value());
    must((*book)->post(credit(1000)));
    const auto held = (*book)->post(hold(1, 100));
    must(held);
    ASSERT_TRUE((*book)->durable_blocking(*held));
    moody->mood = mood;
    const auto settle = (*book)->post(of_hold(Kind::kSettle, 1, 60));
    must(settle);
    const Status late = (*book)->durable_blocking(*settle, now() + std::chrono::milliseconds(50));
    if (mood == Moody::Mood::kFailsBefore) {
      ASSERT_FALSE(late.has_value());
      EXPECT_EQ(late.error().code, Code::kDeadline);
      const auto refused = (*book)->post(hold(2, 10));
      ASSERT_FALSE(refused.has_value());
      EXPECT_EQ(refused.error().code, Code::kIo);
      EXPECT_EQ((*book)->health().state, BookHealth::State::kRetrying);
    }
    moody->mood = Moody::Mood::kGood;
    ASSERT_TRUE((*book)->durable_blocking(*settle, now() + std::chrono::seconds(10)));
    must((*book)->post(hold(3, 10)));
    book->reset();
    const Verification found = verified(folder / name);
    EXPECT_TRUE(found.ok()) << found.wrong;
    EXPECT_EQ(found.balances.at(0).balance.charged, 60);
  }
}

// An organization with a limit and a payment, as one POST of an administrator makes it.
std::vector<Entry> opening(uint64_t org, Nano limit, Nano amount) {
  std::vector<Entry> entries(2);
  entries[0].kind = Kind::kAct;
  entries[0].body = "makes it";
  entries[1].kind = Kind::kLimit;
  entries[1].payer.org = org;
  entries[1].currency = kUsd;
  entries[1].amount = limit;
  entries.push_back(credit(amount, org));
  return entries;
}

TEST_P(BookTest, WhatIsPostedTogetherIsOneTransaction) {
  auto inner = open_journal(folder / "j");
  ASSERT_TRUE(inner.has_value());
  auto journal = std::make_unique<Moody>(std::move(*inner));
  Moody* moody = journal.get();
  auto book =
      Book::open(std::move(journal), {.max_batch = 1, .retry_first = std::chrono::milliseconds(1)});
  ASSERT_TRUE(book.has_value());
  const auto first = (*book)->post_together(opening(1, 50, 7));
  must(first);
  EXPECT_EQ(first->seq, 3);
  must((*book)->post(credit(1)));
  ASSERT_TRUE((*book)->durable_blocking({.seq = 4}));
  EXPECT_EQ(moody->batches, (std::vector<size_t>{3, 1}));
  // The disk fails between the two halves of it: nothing is there.
  moody->mood = Moody::Mood::kFailsBefore;
  must((*book)->post_together(opening(2, 50, 7)));
  EXPECT_FALSE((*book)->durable_blocking({.seq = 7}, now() + std::chrono::milliseconds(20)));
  book->reset();
  auto again = opened(folder / "j");
  EXPECT_EQ(again->health().booked_seq, 4);
  EXPECT_EQ(again->balance(2, kUsd), Balance());
  EXPECT_EQ(again->balance(1, kUsd), (Balance{.credit = 8, .limit = 50}));
}

TEST_P(BookTest, OfWhatIsPostedTogetherNothingIsBookedWhenOneIsRefused) {
  auto book = opened(folder / "j");
  must(book->post(credit(1)));
  const auto refused = book->post_together(opening(2, INT64_MAX - 5, 7));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kTooLarge);
  EXPECT_EQ(book->health().booked_seq, 1);
  EXPECT_EQ(book->balance(2, kUsd), Balance());
  must(book->post_together(opening(2, 50, 7)));
  ASSERT_TRUE(book->checkpoint());
  book.reset();
  const Verification found = verified(folder / "j");
  EXPECT_TRUE(found.ok()) << found.wrong;
  EXPECT_EQ(found.checkpoint_seq, 4);
}

TEST_P(BookTest, ACoroutineWaitsForTheDisk) {
  auto book = opened(folder / "j");
  boost::asio::io_context io;
  int durable = 0;
  for (int i = 0; i < 100; ++i) {
    const auto ticket = book->post(credit(1));
    must(ticket);
    boost::asio::co_spawn(
        io,
        [](Book& of, Ticket waited, int& count) -> Task<void> {
          const Status written = co_await of.durable(waited, kNever);
          if (written) ++count;
        }(*book, *ticket, durable),
        boost::asio::detached);
  }
  io.run();
  EXPECT_EQ(durable, 100);
}

TEST_P(BookTest, AListenerHearsOfEveryEntryOnceInOrder) {
  auto book = opened(folder / "j");
  for (int i = 0; i < 500; ++i) must(book->post(credit(1)));
  std::vector<int64_t> heard;
  std::atomic<int64_t> last{0};
  ASSERT_TRUE(book->subscribe(
      [&](std::span<const Entry> entries) {
        for (const Entry& entry : entries) heard.push_back(entry.seq);
        last = heard.back();
      },
      1));
  for (int i = 0; i < 500; ++i) must(book->post(credit(1)));
  while (last < 1000) std::this_thread::yield();
  ASSERT_EQ(heard.size(), 1000U);
  for (size_t i = 0; i < heard.size(); ++i) ASSERT_EQ(heard[i], static_cast<int64_t>(i) + 1);
}

TEST_P(BookTest, LeasesThatRanOutEndAndTheClockMayJump) {
  Instant clock = now();
  int64_t wall = 1'700'000'000'000'000'000;
  auto book = opened(folder / "j", {.lease = std::chrono::minutes(1),
                                    .unix_ns = [&] { return wall; },
                                    .monotonic = [&] { return clock; }});
  must(book->post(credit(1000)));
  must(book->post(hold(1, 100)));
  wall -= int64_t{86'400} * 1'000'000'000;  // a day back
  must(book->post(hold(2, 100)));
  EXPECT_EQ(book->sweep().value_or(99), 0U);
  clock += std::chrono::seconds(61);
  must(book->post(of_hold(Kind::kProgress, 2, 10)));
  EXPECT_EQ(book->sweep().value_or(99), 1U);
  clock += std::chrono::seconds(61);
  EXPECT_EQ(book->sweep().value_or(99), 1U);
  EXPECT_EQ(book->balance(1, kUsd), (Balance{.credit = 990, .held = 0, .charged = 10}));
}

TEST_P(BookTest, AnEntryThatWasChangedIsFound) {
  {
    auto book = opened(folder / "j", {.checkpoint_every = 0});
    must(book->post(credit(1000)));
    must(book->post(hold(1, 300)));
    must(book->post(of_hold(Kind::kSettle, 1, 120)));
  }
  folder.change(folder / "j", "DELETE FROM checkpoint; UPDATE entry SET amount = 20 WHERE seq = 3");
  const auto book = open_book(folder / "j");
  ASSERT_FALSE(book.has_value());
  EXPECT_EQ(book.error().code, Code::kCorrupt);
  EXPECT_EQ(verified(folder / "j").wrong_seq, 3);
}

INSTANTIATE_TEST_SUITE_P(On, BookTest, testing::Values("sqlite", "postgres"), name_of_journal);

}  // namespace
}  // namespace mill::ledger
