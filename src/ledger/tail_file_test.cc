// The tail of a SQLite journal: what is read there again, and how a journal takes it over.
#include "ledger/tail_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "ledger/ledger_for_test.h"

namespace mill::ledger {
namespace {

constexpr int64_t kBytes = 4096;

std::vector<Entry> chained(int64_t from, int64_t count, Hash256 previous = {}) {
  Chain chain;
  std::vector<Entry> entries;
  for (int64_t i = 0; i < count; ++i) {
    Entry entry = i % 2 == 0 ? credit(5) : hold(static_cast<uint64_t>(from + i), 3);
    if (i % 2 == 0) entry.hold = id_of(static_cast<uint64_t>(from + i));
    entry.seq = from + i;
    entry.at_ns = 1000 * entry.seq;
    entry.previous = previous;
    entry.hash = previous = chain.hash(previous, entry);
    entries.push_back(std::move(entry));
  }
  return entries;
}
Head head_of(const Entry& entry) {
  return {entry.seq, entry.at_ns, entry.hash};
}

class TailFileTest : public testing::Test {
 protected:
  // SQLite makes a log with the permissions of its database.
  void SetUp() override { std::ofstream(folder / "j"); }
  std::string path() { return (folder / "j-tail").string(); }
  std::unique_ptr<TailFile> opened(bool read_only = false) {
    auto tail = TailFile::open("", path(), read_only);
    EXPECT_TRUE(tail.has_value()) << (tail ? "" : tail.error().message);
    return std::move(*tail);
  }
  std::unique_ptr<TailFile> begun() {
    auto tail = opened();
    EXPECT_TRUE(tail->begin(kBytes));
    return tail;
  }
  static void write(TailFile& tail, std::span<const Entry> group) {
    ASSERT_TRUE(tail.prepare(group).has_value());
    ASSERT_TRUE(tail.write());
  }
  std::vector<Entry> read_after(const Head& head) {
    auto found = opened(true)->read_after(head);
    EXPECT_TRUE(found.has_value());
    return std::move(*found);
  }
  std::string bytes() {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& bytes) { std::ofstream(path(), std::ios::binary) << bytes; }

  const Folder folder;
};

TEST_F(TailFileTest, GroupsAreReadAgainFromAnyHeadOn) {
  const std::vector<Entry> entries = chained(1, 12);
  EXPECT_EQ(opened(true), nullptr);
  {
    const auto tail = begun();
    for (size_t i = 0; i < 12; i += 3) write(*tail, std::span(entries).subspan(i, 3));
  }
  EXPECT_EQ(read_after({}), entries);
  EXPECT_EQ(read_after(head_of(entries[4])), std::vector(entries.begin() + 5, entries.end()));
  EXPECT_TRUE(read_after(head_of(entries.back())).empty());
  // Of another history, or with a gap between.
  EXPECT_TRUE(read_after(head_of(chained(1, 5, entries[0].hash).back())).empty());
  const std::vector<Entry> later = chained(20, 2, entries.back().hash);
  EXPECT_TRUE(read_after({.seq = 0, .at_ns = 0, .hash = later[0].hash}).empty());
}

TEST_F(TailFileTest, AGroupIsThereWholeOrNotAtAllWhereverItIsCut) {
  const std::vector<Entry> entries = chained(1, 6);
  std::string before;
  {
    const auto tail = begun();
    write(*tail, std::span(entries).first(2));
    before = bytes();
    write(*tail, std::span(entries).subspan(2));
  }
  const std::string after = bytes();
  const auto first = std::mismatch(before.begin(), before.end(), after.begin()).first;
  const auto from = static_cast<size_t>(first - before.begin());
  const size_t size = after.find_last_not_of('\0') + 1 - from;
  ASSERT_GT(size, 300U);
  for (size_t cut = 0; cut < size; ++cut) {
    put(before.substr(0, from) + after.substr(from, cut) + before.substr(from + cut));
    ASSERT_EQ(read_after({}).size(), 2U) << cut;
  }
  for (size_t i = 0; i < size; ++i) {
    std::string flipped = after;
    flipped[from + i] ^= 4;
    put(flipped);
    ASSERT_EQ(read_after({}).size(), 2U) << i;
  }
  put(after);
  EXPECT_EQ(read_after({}).size(), 6U);
}

TEST_F(TailFileTest, AHalfIsWrittenOverOnlyWhenItsEntriesAreStored) {
  const std::vector<Entry> entries = chained(1, 400);
  const auto tail = begun();
  int64_t stored = 0;
  int switches = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto needed = tail->prepare(std::span(entries).subspan(i, 1));
    ASSERT_TRUE(needed.has_value());
    if (*needed > stored) {
      // All since what was stored is still to be read.
      const Head head = stored == 0 ? Head{} : head_of(entries[static_cast<size_t>(stored) - 1]);
      ASSERT_EQ(read_after(head).size(), i - static_cast<size_t>(stored));
      stored = *needed;
      ++switches;
    }
    ASSERT_TRUE(tail->write());
    const Head head = stored == 0 ? Head{} : head_of(entries[static_cast<size_t>(stored) - 1]);
    ASSERT_EQ(read_after(head).size(), i + 1 - static_cast<size_t>(stored));
  }
  EXPECT_GT(switches, 10);
}

TEST_F(TailFileTest, WhatWentToTheTablesDirectlyLeavesAGapThatTheyFill) {
  const std::vector<Entry> entries = chained(1, 12);
  {
    const auto tail = begun();
    write(*tail, std::span(entries).first(3));
    write(*tail, std::span(entries).subspan(7, 2));
    write(*tail, std::span(entries).subspan(9, 3));
  }
  EXPECT_EQ(read_after(head_of(entries[6])), std::vector(entries.begin() + 7, entries.end()));
  EXPECT_EQ(read_after(head_of(entries[7])).size(), 4U);
  EXPECT_EQ(read_after(head_of(entries[0])).size(), 2U);
}

TEST_F(TailFileTest, AGroupMayBeLargerThanWhatSqliteWritesAtATime) {
  const std::vector<Entry> entries = chained(1, 4000);
  {
    const auto tail = opened();
    ASSERT_TRUE(tail->begin(4 << 20));
    write(*tail, std::span(entries).first(3999));
    write(*tail, std::span(entries).subspan(3999));
  }
  ASSERT_GT(bytes().find_last_not_of('\0'), 2U << 17);
  EXPECT_EQ(read_after({}), entries);
}

TEST_F(TailFileTest, WhatIsTooLargeForAHalfIsTurnedAway) {
  const auto tail = begun();
  EXPECT_TRUE(tail->prepare(chained(1, 5)).has_value());
  EXPECT_FALSE(tail->prepare(chained(1, 50)).has_value());
}

TEST_F(TailFileTest, AFileKeepsItsHalvesWhenTheNextProgramWantsALargerOne) {
  const std::vector<Entry> entries = chained(1, 30);
  const auto write_all = [&] {
    const auto tail = begun();
    for (size_t i = 0; i < 30; ++i) write(*tail, std::span(entries).subspan(i, 1));
  };
  write_all();
  const size_t there = read_after(head_of(entries[14])).size();
  EXPECT_EQ(there, 15U);  // in both halves
  EXPECT_TRUE(opened()->begin(2 * kBytes));
  EXPECT_EQ(bytes().size(), 2U * kBytes);
  EXPECT_TRUE(read_after(head_of(entries[14])).empty());
}

// What a process that died has left there belongs to the journal, for readers too.
TEST_F(TailFileTest, AJournalTakesOverWhatItsTailHas) {
  const std::vector<Entry> entries = chained(1, 30);
  const std::string file = (folder / "j").string();
  {
    auto journal = open_sqlite_journal(file);
    ASSERT_TRUE(journal.has_value()) << journal.error().message;
    ASSERT_TRUE((*journal)->append(std::span(entries).first(20)));
  }
  // As journals of version 1 are, which have no tail.
  sqlite_change(file, "UPDATE meta SET value = '1' WHERE name = 'version'");
  write(*begun(), std::span(entries).subspan(20));
  const auto check = [&](bool read_only) {
    auto journal = open_sqlite_journal(file, {.read_only = read_only});
    ASSERT_TRUE(journal.has_value()) << journal.error().message;
    EXPECT_EQ((*journal)->head().value(), head_of(entries.back()));
    const auto all = [&](const Range& range) {
      std::vector<Entry> found;
      EXPECT_TRUE((*journal)->scan(range, [&](const Entry& entry) -> Status {
        found.push_back(entry);
        return {};
      }));
      return found;
    };
    EXPECT_EQ(all({}), entries);
    EXPECT_EQ(all({.from_seq = 19, .to_seq = 22}).size(), 4U);
    EXPECT_EQ(all({.from_seq = 24, .to_seq = 25}).size(), 2U);
    EXPECT_EQ(all({.from_ns = 19'000, .to_ns = 23'000}).size(), 4U);
    EXPECT_EQ(all({.kinds = {Kind::kCredit}}).size(), 15U);
    EXPECT_EQ((*journal)->find(id_of(5)).value().size(), 1U);
    EXPECT_EQ((*journal)->find(id_of(25)).value().size(), 1U);
    EXPECT_TRUE((*journal)->find(id_of(25), 25).value().empty());
    EXPECT_TRUE((*journal)->find(id_of(26)).value().empty());  // a hold ends nothing
  };
  check(true);
  check(true);
  check(false);
  // All of it is in the tables now, of a journal that programs from before the tail refuse.
  std::filesystem::remove(path());
  check(true);
  sqlite_change(file, "CREATE TABLE two (version CHECK (version = '2'))");
  sqlite_change(file, "INSERT INTO two SELECT value FROM meta WHERE name = 'version'");
}

// What waits in the tail of a running journal is found and read as the rest is.
TEST_F(TailFileTest, ARunningJournalReadsWhatWasJustAppended) {
  const std::vector<Entry> entries = chained(1, 500);
  auto journal = open_sqlite_journal(folder / "j");
  ASSERT_TRUE(journal.has_value()) << journal.error().message;
  for (size_t i = 0; i < entries.size(); ++i) {
    ASSERT_TRUE((*journal)->append(std::span(entries).subspan(i, 1)));
    if (i % 2 == 0) {
      const auto found = (*journal)->find(id_of(i + 1));
      ASSERT_TRUE(found.has_value());
      ASSERT_EQ(found->size(), 1U);
      ASSERT_EQ(found->front().seq, entries[i].seq);
    }
    if (i % 7 != 0) continue;
    size_t count = 0;
    ASSERT_TRUE((*journal)->scan({}, [&](const Entry& entry) -> Status {
      EXPECT_EQ(entry, entries[count++]);
      return {};
    }));
    ASSERT_EQ(count, i + 1);
  }
}

}  // namespace
}  // namespace mill::ledger
