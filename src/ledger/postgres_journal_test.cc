// What only a journal behind a network can suffer: sessions that end, owners that meet, servers
// that say nothing.
#include "ledger/postgres_journal.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ledger/ledger_for_test.h"
#include "ledger/verify.h"

namespace mill::ledger {
namespace {

class PostgresJournalTest : public testing::Test {
 protected:
  void SetUp() override {
    server = PostgresServer::get();
    if (!server) GTEST_SKIP() << PostgresServer::why();
    url = server->new_schema();
  }
  // Sessions of the journal that the test has open; the others are the readers'.
  std::string kill_writer() {
    return server->run(url,
                       "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = "
                       "'advisory' AND granted AND pid <> pg_backend_pid()");
  }
  PostgresServer* server = nullptr;
  std::string url;
};

std::vector<Entry> credits(int64_t from, int64_t count, Hash256 previous) {
  Chain chain;
  std::vector<Entry> entries;
  for (int64_t i = 0; i < count; ++i) {
    Entry entry = credit(5);
    entry.seq = from + i;
    entry.at_ns = entry.seq;
    entry.previous = previous;
    entry.hash = previous = chain.hash(previous, entry);
    entries.push_back(std::move(entry));
  }
  return entries;
}

TEST_F(PostgresJournalTest, ASessionThatEndedIsMadeAnewAndTheHeadTells) {
  auto journal = open_postgres_journal(url);
  ASSERT_TRUE(journal.has_value()) << journal.error().message;
  const auto first = credits(1, 3, {});
  ASSERT_TRUE((*journal)->append(first));
  EXPECT_EQ(kill_writer(), "1");
  const auto more = credits(4, 2, first.back().hash);
  const Status lost = (*journal)->append(more);
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, Code::kIo);
  EXPECT_EQ((*journal)->head().error().code, Code::kIo);
  ASSERT_TRUE((*journal)->reopen());
  EXPECT_EQ((*journal)->head()->seq, 3);
  ASSERT_TRUE((*journal)->append(more));
  // Readers are made anew without being asked to.
  server->cut_sessions();
  int seen = 0;
  EXPECT_TRUE((*journal)->scan({}, [&](const Entry&) -> Status {
    ++seen;
    return {};
  }));
  EXPECT_EQ(seen, 5);
}

TEST_F(PostgresJournalTest, AnOwnerWhoseSessionDiedNeverWritesAfterTheNextOne) {
  auto old = open_postgres_journal(url, {.owner_wait = std::chrono::milliseconds(300)});
  ASSERT_TRUE(old.has_value());
  const auto first = credits(1, 2, {});
  ASSERT_TRUE((*old)->append(first));
  EXPECT_EQ(kill_writer(), "1");
  auto next = open_postgres_journal(url);
  ASSERT_TRUE(next.has_value()) << next.error().message;
  EXPECT_EQ((*next)->head()->seq, 2);
  const auto more = credits(3, 1, first.back().hash);
  EXPECT_FALSE((*old)->append(more));
  const Status again = (*old)->reopen();
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Code::kPermission);
  EXPECT_NE(again.error().message.find("another process"), std::string::npos);
  EXPECT_FALSE((*old)->append(more));
  EXPECT_TRUE((*next)->append(more));
  EXPECT_FALSE((*old)->save_checkpoint("books", {.seq = 1, .bytes = "old"}));
}

// The lock alone would not do behind a pooler that hands sessions around.
TEST_F(PostgresJournalTest, AnAppendOfAnOlderEpochWritesNothing) {
  auto journal = open_postgres_journal(url);
  ASSERT_TRUE(journal.has_value());
  const auto first = credits(1, 2, {});
  ASSERT_TRUE((*journal)->append(std::span(first).first(1)));
  EXPECT_EQ(server->run(url, "UPDATE owner SET epoch = epoch + 1"), "");
  const Status late = (*journal)->save_checkpoint("books", {.seq = 1, .bytes = "late"});
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::kPermission);
  const Status append = (*journal)->append(std::span(first).subspan(1));
  ASSERT_FALSE(append.has_value());
  EXPECT_EQ(append.error().code, Code::kPermission);
  EXPECT_EQ(server->run(url, "SELECT count(*) FROM entry"), "1");
}

TEST_F(PostgresJournalTest, AServerThatSaysNothingCostsABoundedTime) {
  Proxy proxy(server->port());
  url = server->new_schema(proxy.port());
  auto journal = open_postgres_journal(
      url, {.connect_seconds = 2, .statement = std::chrono::milliseconds(300)});
  ASSERT_TRUE(journal.has_value()) << journal.error().message;
  const auto first = credits(1, 2, {});
  ASSERT_TRUE((*journal)->append(std::span(first).first(1)));
  proxy.swallow(true);
  const Instant start = now();
  const Status late = (*journal)->append(std::span(first).subspan(1));
  ASSERT_FALSE(late.has_value());
  EXPECT_NE(late.error().message.find("in time"), std::string::npos) << late.error().message;
  EXPECT_FALSE((*journal)->reopen());
  EXPECT_LT(to_seconds(now() - start), 8.0);
  // The old session is still there, as the server knows nothing of this: it is ended.
  proxy.swallow(false);
  ASSERT_TRUE((*journal)->reopen());
  EXPECT_EQ((*journal)->head()->seq, 1);
  EXPECT_TRUE((*journal)->append(std::span(first).subspan(1)));
}

TEST_F(PostgresJournalTest, AHugeBatchGoesInPiecesAllOrNone) {
  auto journal = open_postgres_journal(url);
  ASSERT_TRUE(journal.has_value());
  Chain chain;
  Hash256 previous{};
  std::vector<Entry> entries;
  for (int64_t seq = 1; seq <= 80; ++seq) {
    Entry entry;
    entry.seq = entry.at_ns = seq;
    entry.actor = "cli";
    entry.body.assign(kMaxBody, static_cast<char>(seq));
    entry.previous = previous;
    entry.hash = previous = chain.hash(previous, entry);
    entries.push_back(std::move(entry));
  }
  ASSERT_TRUE((*journal)->append(entries));
  ASSERT_TRUE((*journal)->reopen());
  EXPECT_EQ((*journal)->head()->seq, 80);
  EXPECT_TRUE(verify(**journal)->ok());
}

TEST_F(PostgresJournalTest, NoMessageHasThePassword) {
  const std::string password = "secret-of-tests";
  EXPECT_NE(url.find(password), std::string::npos);
  auto journal = open_postgres_journal(url);
  ASSERT_TRUE(journal.has_value());
  EXPECT_EQ((*journal)->where().find(password), std::string::npos) << (*journal)->where();
  std::string nowhere = url;
  nowhere.replace(nowhere.find(fmt::format(":{}/", server->port())), 7, ":1/");
  for (const std::string& address : {nowhere, url + "%20-cno_such_setting=" + password}) {
    const auto opened = open_postgres_journal(address, {.connect_seconds = 2});
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().message.find(password), std::string::npos) << opened.error().message;
  }
}

}  // namespace
}  // namespace mill::ledger
