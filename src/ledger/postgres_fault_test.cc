// The journal on a PostgreSQL server whose sessions are ended, whose connections are cut after any
// number of bytes, and which is stopped without goodbye, while business goes on.
//
// MILL_TEST_SEED=n replays one life, MILL_TEST_STEPS=n makes it n times as long.
#include <gtest/gtest.h>

#include "ledger/life_for_test.h"
#include "ledger/postgres_journal.h"
#include "ledger/verify.h"

namespace mill::ledger {
namespace {

class PostgresFaults : public testing::Test {
 protected:
  void SetUp() override {
    server = PostgresServer::get();
    if (!server) GTEST_SKIP() << PostgresServer::why();
  }
  Result<std::unique_ptr<Book>> open_on(const std::string& url) {
    MILL_TRY(auto journal, open_postgres_journal(url, {.connect_seconds = 2}));
    return Book::open(std::move(journal), {.checkpoint_every = 25,
                                           .remembered = 8,
                                           .retry_first = std::chrono::milliseconds(1),
                                           .retry_longest = std::chrono::milliseconds(20)});
  }
  // Waits until the books are well again: nothing may be lost while the server is there.
  void settle(Book& book) {
    for (int i = 0; i < 2000 && book.health().state == BookHealth::State::kRetrying; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(book.health().state, BookHealth::State::kOk) << book.health().message;
  }
  void verify_all(const std::string& url) {
    auto journal = open_postgres_journal(url, {.read_only = true});
    ASSERT_TRUE(journal.has_value()) << journal.error().message;
    const auto found = verify(**journal);
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_TRUE(found->ok()) << found->wrong_seq << ": " << found->wrong;
  }
  PostgresServer* server = nullptr;
};

TEST_F(PostgresFaults, NothingIsLostWhenConnectionsAreCutAtAnyByte) {
  const Hush hush;
  const uint64_t seed = from_outside("MILL_TEST_SEED", std::random_device{}());
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  Proxy proxy(server->port());
  const std::string url = server->new_schema(proxy.port());
  Life life(seed, [] { return false; });
  const uint64_t cuts = 60 * from_outside("MILL_TEST_STEPS", 1);
  auto book = open_on(url);
  ASSERT_TRUE(book.has_value()) << book.error().message;
  for (uint64_t i = 0; i < cuts; ++i) {
    switch (random() % 3) {
      case 0:
        proxy.cut_after_sent(static_cast<int64_t>(random() % 6000));
        break;
      case 1:  // mostly in the middle of an answer: the outcome is unknown
        proxy.cut_after_received(static_cast<int64_t>(random() % 400));
        break;
      default:
        server->cut_sessions();
    }
    for (uint64_t steps = 3 + random() % 12; steps > 0; --steps) life.step(**book);
    life.settle_down(**book);
    settle(**book);
    if (i % 20 == 19) {  // and now and then a new process
      book->reset();
      proxy.cut_after_sent(INT64_MAX);
      proxy.cut_after_received(INT64_MAX);
      for (int tries = 0; tries < 5; ++tries) {
        book = open_on(url);
        if (book) break;
      }
      ASSERT_TRUE(book.has_value()) << book.error().message;
      ASSERT_EQ(life.check(**book), "");
    }
  }
  EXPECT_GT(proxy.cuts(), 0);
  EXPECT_GT(life.acknowledged(), 0);
  book->reset();
  verify_all(server->url(url.substr(url.rfind("%3D") + 3)));
}

TEST_F(PostgresFaults, NothingIsLostWhenTheServerStopsWithoutGoodbye) {
  const Hush hush;
  const uint64_t seed = from_outside("MILL_TEST_SEED", std::random_device{}());
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  const std::string url = server->new_schema();
  std::atomic<bool> down{false};
  Life life(seed, [&] { return down.load(); });
  const uint64_t stops = 3 * from_outside("MILL_TEST_STEPS", 1);
  for (uint64_t i = 0; i < stops; ++i) {
    auto book = open_on(url);
    ASSERT_TRUE(book.has_value()) << book.error().message;
    ASSERT_EQ(life.check(**book), "");
    for (int steps = 0; steps < 40; ++steps) life.step(**book);
    // Started by this thread: the server ends with the thread that started it.
    std::thread stopper([&] {
      EXPECT_TRUE(server->stop_at_once());
      down = true;
    });
    for (int steps = 0; steps < 20 && !down; ++steps) life.step(**book);
    stopper.join();
    ASSERT_TRUE(server->start());
    down = false;
    life.settle_down(**book);
    settle(**book);
    for (int steps = 0; steps < 20; ++steps) life.step(**book);
    life.settle_down(**book);
  }
  auto book = open_on(url);
  ASSERT_TRUE(book.has_value()) << book.error().message;
  ASSERT_EQ(life.check(**book), "");
  book->reset();
  verify_all(url);
}

}  // namespace
}  // namespace mill::ledger
