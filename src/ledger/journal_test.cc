#include "ledger/journal.h"

#include <gtest/gtest.h>

#include <thread>

#include "ledger/ledger_for_test.h"

namespace mill::ledger {
namespace {

std::vector<Entry> chained(int64_t from, int64_t count, Hash256 previous = {}) {
  Chain chain;
  std::vector<Entry> entries;
  for (int64_t i = 0; i < count; ++i) {
    Entry entry = i % 2 == 0 ? credit(5) : hold(static_cast<uint64_t>(from + i), 3);
    entry.seq = from + i;
    entry.at_ns = 1000 * entry.seq;
    entry.body = i % 3 == 0 ? std::string("a\0b", 3) : "";
    entry.previous = previous;
    entry.hash = previous = chain.hash(previous, entry);
    entries.push_back(std::move(entry));
  }
  return entries;
}

class JournalTest : public OnEachJournal {};

std::unique_ptr<Journal> opened(const std::string& address) {
  auto journal = open_journal(address);
  EXPECT_TRUE(journal.has_value()) << (journal ? "" : journal.error().message);
  return std::move(*journal);
}
std::vector<Entry> all(Journal& journal, const Range& range = {}) {
  std::vector<Entry> found;
  EXPECT_TRUE(journal.scan(range, [&](const Entry& entry) -> Status {
    found.push_back(entry);
    return {};
  }));
  return found;
}

TEST_P(JournalTest, WhatWasAppendedIsReadAgainToTheByte) {
  const std::vector<Entry> entries = chained(1, 50);
  {
    auto journal = opened(folder / "j");
    ASSERT_TRUE(journal->append(std::span(entries).first(20)));
    ASSERT_TRUE(journal->append(std::span(entries).subspan(20)));
  }
  auto journal = opened(folder / "j");
  EXPECT_EQ(all(*journal), entries);
  EXPECT_EQ(journal->head().value(), (Head{50, 50'000, entries.back().hash}));
}

TEST_P(JournalTest, RangesAreOfSeqTimeAndKind) {
  auto journal = opened(folder / "j");
  ASSERT_TRUE(journal->append(chained(1, 50)));
  EXPECT_EQ(all(*journal, {.from_seq = 10, .to_seq = 12}).size(), 3U);
  EXPECT_EQ(all(*journal, {.from_seq = 10, .to_seq = 12})[0].previous, all(*journal)[8].hash);
  EXPECT_EQ(all(*journal, {.from_ns = 10'000, .to_ns = 12'000}).size(), 2U);
  EXPECT_EQ(all(*journal, {.from_ns = 9'999, .to_ns = 10'001})[0].seq, 10);
  EXPECT_TRUE(all(*journal, {.from_ns = 51'000}).empty());
  EXPECT_EQ(all(*journal, {.kinds = {Kind::kHold}}).size(), 25U);
}

// Whoever books looks up ids under locks that a visitor may want: it must not wait for the scan.
TEST_P(JournalTest, AnIdIsLookedUpWhileAScanRuns) {
  auto journal = opened(folder / "j");
  ASSERT_TRUE(journal->append(chained(1, 5)));
  int found = 0;
  EXPECT_TRUE(journal->scan({.to_seq = 1}, [&](const Entry&) -> Status {
    std::thread([&] { found += journal->find(id_of(77)).has_value() ? 1 : 0; }).join();
    return {};
  }));
  EXPECT_EQ(found, 1);
}

TEST_P(JournalTest, WhatDoesNotFollowIsRefusedWhole) {
  auto journal = opened(folder / "j");
  std::vector<Entry> entries = chained(1, 5);
  entries[3].seq = 9;
  EXPECT_EQ(journal->append(entries).error().code, Code::kInvalid);
  EXPECT_EQ(journal->append(chained(2, 1)).error().code, Code::kInvalid);
  EXPECT_TRUE(all(*journal).empty());
  EXPECT_TRUE(journal->append(chained(1, 5)));
}

TEST_P(JournalTest, ASecondOwnerIsTurnedAwayAndAReaderIsNot) {
  auto journal = opened(folder / "j");
  ASSERT_TRUE(journal->append(chained(1, 3)));
  const auto second = open_journal(folder / "j");
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::kPermission);
  auto reader = open_journal(folder / "j", true);
  ASSERT_TRUE(reader.has_value()) << reader.error().message;
  EXPECT_EQ(all(**reader).size(), 3U);
}

TEST_P(JournalTest, OtherDatabasesAreRefusedByName) {
  EXPECT_EQ(open_journal(folder / "none", true).error().code, Code::kNotFound);
  folder.change(folder / "other", "CREATE TABLE t (x INTEGER)");
  EXPECT_EQ(open_journal(folder / "other").error().code, Code::kUnsupported);
  { opened(folder / "j"); }
  folder.change(folder / "j", "UPDATE meta SET value = '99' WHERE name = 'version'");
  const auto later = open_journal(folder / "j");
  ASSERT_FALSE(later.has_value());
  EXPECT_EQ(later.error().code, Code::kUnsupported);
  EXPECT_NE(later.error().message.find("99"), std::string::npos);
}

TEST_P(JournalTest, CheckpointsAreReplacedAndTheirBytesChecked) {
  {
    auto journal = opened(folder / "j");
    EXPECT_FALSE(journal->load_checkpoint("books")->has_value());
    ASSERT_TRUE(journal->save_checkpoint("books", {.seq = 1, .bytes = "old"}));
    ASSERT_TRUE(journal->save_checkpoint("books", {.seq = 2, .bytes = std::string("n\0w", 3)}));
    EXPECT_EQ(journal->load_checkpoint("books").value()->bytes, std::string("n\0w", 3));
  }
  folder.change(folder / "j", "UPDATE checkpoint SET bytes = 'lie'");
  EXPECT_FALSE(opened(folder / "j")->load_checkpoint("books")->has_value());
}

using Kept = std::vector<std::pair<int64_t, std::string>>;
Kept kept(Journal& journal) {
  Kept found;
  EXPECT_TRUE(
      journal.keepsakes([&](int64_t seq, int64_t at_ns, const Keepsake& keepsake) -> Status {
        EXPECT_EQ(at_ns, 1000 * seq);
        found.emplace_back(seq, keepsake.name + "=" + keepsake.bytes);
        return {};
      }));
  return found;
}
std::vector<Entry> with_keepsake(std::vector<Entry> entries, Keepsake keepsake) {
  entries.back().keepsake = std::make_shared<const Keepsake>(std::move(keepsake));
  return entries;
}

TEST_P(JournalTest, WhatIsKeptBesideAnEntryIsThereWithItOrNotAtAll) {
  const std::string bytes("n\0w", 3);
  const std::vector<Entry> first = with_keepsake(chained(1, 5), {.name = "a", .bytes = bytes});
  const std::vector<Entry> second = with_keepsake(chained(6, 2, first.back().hash), {.name = "b"});
  {
    auto journal = opened(folder / "j");
    ASSERT_TRUE(journal->append(first));
    EXPECT_EQ(kept(*journal), (Kept{{5, "a=" + bytes}}));
    // What keeps an entry out keeps out all of it.
    folder.change(folder / "j", "INSERT INTO kept SELECT 7, name, bytes, checksum FROM kept");
    EXPECT_FALSE(journal->append(second));
    ASSERT_TRUE(journal->reopen());
    EXPECT_EQ(journal->head()->seq, 5);
    folder.change(folder / "j", "DELETE FROM kept WHERE seq = 7");
    ASSERT_TRUE(journal->append(second));
  }
  auto journal = opened(folder / "j");
  EXPECT_EQ(kept(*journal), (Kept{{5, "a=" + bytes}, {7, "b="}}));
  EXPECT_EQ(all(*journal).size(), 7U);
}

TEST_P(JournalTest, WhatWasKeptGoesWhenItsOwnerSaysSoAndIsNotShownWhenItWasChanged) {
  auto journal = opened(folder / "j");
  Hash256 last{};
  for (int64_t seq = 1; seq <= 9; ++seq) {
    auto entries = with_keepsake(chained(seq, 1, last),
                                 {.name = std::to_string(seq), .forget_through = seq == 9 ? 6 : 0});
    last = entries.back().hash;
    ASSERT_TRUE(journal->append(entries));
  }
  EXPECT_EQ(kept(*journal), (Kept{{7, "7="}, {8, "8="}, {9, "9="}}));
  folder.change(folder / "j", "UPDATE kept SET bytes = 'lie' WHERE seq = 8");
  EXPECT_EQ(kept(*journal), (Kept{{7, "7="}, {9, "9="}}));
}

TEST_P(JournalTest, AJournalFromBeforeAnythingWasKeptIsTakenAsItIs) {
  { ASSERT_TRUE(opened(folder / "j")->append(chained(1, 5))); }
  folder.change(folder / "j", "DROP TABLE kept");
  auto reader = open_journal(folder / "j", true);
  ASSERT_TRUE(reader.has_value()) << reader.error().message;
  EXPECT_EQ(all(**reader).size(), 5U);
  EXPECT_TRUE(kept(*opened(folder / "j")).empty());
}

INSTANTIATE_TEST_SUITE_P(On, JournalTest, testing::Values("sqlite", "postgres"), name_of_journal);

TEST(OpenJournal, AnAddressThatIsNoneIsRefusedWithoutItsPassword) {
  for (const std::string address :
       {"", "mysql://u:secret@h/db", "postgres://u:sec%zzret@h/db", "postgres://u:s@h:secret/db",
        "postgres://u:my@secret:is@h/db"}) {
    const auto opened = open_journal(address);
    ASSERT_FALSE(opened.has_value()) << address;
    EXPECT_EQ(opened.error().message.find("sec"), std::string::npos) << opened.error().message;
  }
}

TEST(SqliteJournal, AFileThatIsNoDatabaseIsRefused) {
  const Folder folder;
  std::ofstream(folder / "text") << std::string(9000, 'x');
  EXPECT_EQ(open_sqlite_journal(folder / "text").error().code, Code::kCorrupt);
}

TEST(SqliteJournal, AnIndexOfBeforeGivesWayToTheOneOfToday) {
  const Folder folder;
  const auto open_and_read = [&] {
    const auto journal = open_sqlite_journal(folder / "j");
    ASSERT_TRUE(journal.has_value()) << journal.error().message;
    if (all(**journal).empty()) {
      EXPECT_TRUE((*journal)->append(chained(1, 3)));
    }
    EXPECT_EQ(all(**journal).size(), 3U);
  };
  open_and_read();
  sqlite_change(folder / "j",
                "DROP INDEX entry_found; CREATE INDEX entry_end ON entry (hold) "
                "WHERE hold IS NOT NULL AND kind IN (2, 6, 7, 8, 9, 10);");
  open_and_read();
  // Each of the two fails unless the index of before is gone, and the one of today is there.
  sqlite_change(folder / "j", "CREATE TABLE entry_end (x INTEGER); DROP INDEX entry_found;");
}

}  // namespace
}  // namespace mill::ledger
