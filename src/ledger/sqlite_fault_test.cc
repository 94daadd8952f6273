// The journal on a disk that fails at every point at which it can, and at random ones: torn writes,
// a full disk, syncs that fail and forget, reads that fail, losses of power, bits that turn over.
//
// MILL_TEST_SEED=n replays one life, MILL_TEST_STEPS=n lives n times as many.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ledger/faulty_disk_for_test.h"
#include "ledger/life_for_test.h"
#include "ledger/verify.h"

namespace mill::ledger {
namespace {

constexpr const char* kFile = "/j";

Result<std::unique_ptr<Book>> open_on(const FaultyDisk& disk) {
  // A tail that is full after a few groups, and too small for some of them.
  auto journal = open_sqlite_journal(
      kFile, {.lock = false, .wal_pages = 12, .tail_bytes = 2500, .vfs = disk.vfs()});
  if (!journal) return fail(std::move(journal).error());
  return Book::open(std::move(*journal), {.checkpoint_every = 25,
                                          .remembered = 8,
                                          .retry_first = std::chrono::microseconds(50),
                                          .retry_longest = std::chrono::milliseconds(1),
                                          .open_wait = std::chrono::milliseconds(20)});
}

// Opens as a supervisor would: again, where a fault of the disk came in the middle.
Result<std::unique_ptr<Book>> open_again(FaultyDisk& disk) {
  for (int tries = 0;; ++tries) {
    auto book = open_on(disk);
    if (book || tries == 50) return book;
    if (disk.dead()) disk.power_on();
  }
}

std::unique_ptr<Journal> reader_on(const FaultyDisk& disk) {
  auto journal = open_sqlite_journal(kFile, {.read_only = true, .vfs = disk.vfs()});
  return journal ? std::move(*journal) : nullptr;
}

Result<Verification> verified(const FaultyDisk& disk) {
  MILL_TRY(const auto journal, open_sqlite_journal(kFile, {.read_only = true, .vfs = disk.vfs()}));
  return verify(*journal);
}

// What is wrong after the disk comes back, or nothing.
std::string recover(FaultyDisk& disk, Life& life) {
  disk.plan(Fault::kNone, 0);
  if (disk.dead()) disk.power_on();
  auto book = open_again(disk);
  if (!book) return "opening: " + book.error().message;
  if (std::string wrong = life.check(**book); !wrong.empty()) return wrong;
  book->reset();
  const auto found = verified(disk);
  if (!found) return "verifying: " + found.error().message;
  return found->ok() ? "" : fmt::format("entry {}: {}", found->wrong_seq, found->wrong);
}

// One life with one fault; how many points it had.
int64_t live(uint64_t seed, Fault fault, int64_t point, int steps, std::string& wrong) {
  FaultyDisk disk(seed ^ static_cast<uint64_t>(point));
  disk.plan(fault, point);
  Life life(seed, [&] { return disk.dead(); });
  // An idle reader, as an export leaves one: the log outlives the owner's connections then.
  std::unique_ptr<Journal> reader;
  if (auto book = open_again(disk); book) {
    if (point % 4 < 2) reader = reader_on(disk);
    for (int i = 0; i < steps && !disk.dead(); ++i) life.step(**book);
    life.settle_down(**book);
    // Half of the lives end by a loss of power, after whatever else has befallen them.
    if (point % 2 == 0) disk.cut_power();
    book->reset();
    reader.reset();
  } else {
    wrong = "opening: " + book.error().message;
  }
  const int64_t points = disk.points();
  if (wrong.empty()) wrong = recover(disk, life);
  // And once more from there: what was recovered is as good as what was acknowledged.
  disk.cut_power();
  if (wrong.empty()) wrong = recover(disk, life);
  if (wrong.empty() && fault == Fault::kNone && life.acknowledged() == 0)
    wrong = "nothing was done";
  return points;
}

TEST(SqliteFaults, NothingIsLostWhateverFailsAtAnyPoint) {
  const Hush hush;
  constexpr uint64_t kSeed = 7;
  constexpr int kSteps = 30;
  std::string wrong;
  const int64_t points = live(kSeed, Fault::kNone, 0, kSteps, wrong);
  ASSERT_EQ(wrong, "");
  ASSERT_GT(points, 100);
  for (const Fault fault : kFaults) {
    for (int64_t point = 1; point <= points; ++point) {
      live(kSeed, fault, point, kSteps, wrong);
      ASSERT_EQ(wrong, "") << name(fault) << " at point " << point << " of " << points;
    }
  }
}

TEST(SqliteFaults, NothingIsLostInRandomLives) {
  const Hush hush;
  const uint64_t times = from_outside("MILL_TEST_STEPS", 1);
  const uint64_t first = from_outside("MILL_TEST_SEED", std::random_device{}());
  const uint64_t lives = from_outside("MILL_TEST_SEED", 0) != 0 ? 1 : 100 * times;
  for (uint64_t i = 0; i < lives; ++i) {
    const uint64_t seed = first + i;
    SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
    std::mt19937_64 random(seed);
    FaultyDisk disk(seed);
    Life life(seed, [&] { return disk.dead(); });
    for (int incarnation = 0; incarnation < 4; ++incarnation) {
      disk.plan(Fault::kNone, 0);
      auto book = open_again(disk);
      ASSERT_TRUE(book.has_value()) << book.error().message;
      ASSERT_EQ(life.check(**book), "") << "incarnation " << incarnation;
      std::unique_ptr<Journal> reader;
      if (random() % 2 == 0) reader = reader_on(disk);
      for (int faults = 0; faults < 3 && !disk.dead(); ++faults) {
        const Fault fault = kFaults[random() % std::size(kFaults)];
        disk.plan(fault, disk.points() + static_cast<int64_t>(random() % 60));
        for (uint64_t steps = random() % 40; steps > 0 && !disk.dead(); --steps) life.step(**book);
      }
      if (random() % 3 == 0) life.settle_down(**book);
      if (random() % 2 == 0) disk.cut_power();
      book->reset();
      reader.reset();
      if (disk.dead()) disk.power_on();
    }
    ASSERT_EQ(recover(disk, life), "");
  }
}

// A transaction whose sync failed stands whole in the log, behind the end that the index knows
// while a reader keeps it. It was refused, so it may not be there again after a loss of power, in
// place of what was acknowledged by the tail since.
TEST(SqliteFaults, WhatWasRefusedDoesNotComeBackInPlaceOfWhatWasAcknowledged) {
  const Hush hush;
  const auto open = [](const FaultyDisk& disk) {
    return open_sqlite_journal(
        kFile, {.lock = false, .wal_pages = 12, .tail_bytes = 2500, .vfs = disk.vfs()});
  };
  Chain chain;
  const auto after = [&](const Entry* last, size_t body) {
    Entry entry = credit(5);
    entry.seq = last ? last->seq + 1 : 1;
    entry.body.assign(body, 'x');
    if (last) entry.previous = last->hash;
    entry.hash = chain.hash(entry.previous, entry);
    return entry;
  };
  const Entry first = after(nullptr, 0), refused = after(&first, 9000), next = after(&first, 0);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    FaultyDisk disk(seed);
    auto journal = open(disk);
    ASSERT_TRUE(journal.has_value());
    ASSERT_TRUE((*journal)->append({&first, 1}));
    ASSERT_TRUE(
        (*journal)->scan({}, [](const Entry&) { return Status(); }));  // it is in the tables
    auto reader = reader_on(disk);
    disk.plan(Fault::kSyncFails, disk.points());
    ASSERT_FALSE((*journal)->append({&refused, 1}));
    ASSERT_TRUE(disk.failed());
    journal->reset();
    journal = open(disk);
    ASSERT_TRUE(journal.has_value());
    ASSERT_EQ((*journal)->head()->seq, 1);
    ASSERT_TRUE((*journal)->append({&next, 1}));
    disk.cut_power();
    journal->reset();
    reader.reset();
    disk.power_on();
    journal = open(disk);
    ASSERT_TRUE(journal.has_value()) << journal.error().message;
    EXPECT_EQ((*journal)->head()->hash, next.hash);
  }
}

// A bit that turns over in the file is found, or it was in what nobody reads; the books never
// differ from what was acknowledged without a word.
TEST(SqliteFaults, ABitThatTurnsOverIsFoundOrHarmless) {
  const Hush hush;
  const uint64_t first = from_outside("MILL_TEST_SEED", std::random_device{}());
  const uint64_t lives = 30 * from_outside("MILL_TEST_STEPS", 1);
  uint64_t refused = 0;
  for (uint64_t i = 0; i < lives; ++i) {
    SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << first + i);
    FaultyDisk disk(first + i);
    Life life(first + i, [] { return false; });
    {
      auto book = open_again(disk);
      ASSERT_TRUE(book.has_value());
      for (int steps = 0; steps < 40; ++steps) life.step(**book);
      life.settle_down(**book);
    }
    for (int flips = 0; flips < 20; ++flips) ASSERT_TRUE(disk.flip_bit(kFile));
    const auto found = verified(disk);
    if (!found || !found->ok()) {
      ++refused;
      continue;
    }
    auto book = open_on(disk);
    if (!book) {
      ++refused;
      continue;
    }
    const std::string wrong = life.check(**book);
    // Found when what the tail has is moved to the tables.
    if (wrong.find("malformed") != std::string::npos) {
      ++refused;
      continue;
    }
    ASSERT_EQ(wrong, "");
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace mill::ledger
