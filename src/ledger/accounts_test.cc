#include "ledger/accounts.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "ledger/ledger_for_test.h"

namespace mill::ledger {
namespace {

// Entries in order, as the book gives them.
class Line {
 public:
  Accounts accounts;
  Result<Applied> post(Entry entry) {
    entry.seq = accounts.seq() + 1;
    entry.at_ns = entry.seq;
    if (Status filled = accounts.complete(entry); !filled) return fail(std::move(filled).error());
    return accounts.apply(entry);
  }
  Balance balance() const { return accounts.balance(1, kUsd); }
};

TEST(Accounts, AHoldIsReservedAndWhatIsNotChargedComesBack) {
  Line line;
  ASSERT_TRUE(line.post(credit(100)));
  ASSERT_TRUE(line.post(hold(1, 60)));
  EXPECT_EQ(line.balance().available(), 40);
  ASSERT_TRUE(line.post(of_hold(Kind::kExtend, 1, 30)));
  EXPECT_EQ(line.balance().available(), 10);
  ASSERT_TRUE(line.post(of_hold(Kind::kSettle, 1, 25)));
  EXPECT_EQ(line.balance(), (Balance{.credit = 75, .charged = 25}));
}

TEST(Accounts, RefusalsLeaveNoTrace) {
  Line line;
  ASSERT_TRUE(line.post(credit(100)));
  ASSERT_TRUE(line.post(hold(1, 60)));
  const std::string before = line.accounts.snapshot();
  EXPECT_EQ(line.post(hold(2, 41)).error().code, Code::kPermission);
  EXPECT_EQ(line.post(of_hold(Kind::kSettle, 1, 61)).error().code, Code::kInvalid);
  EXPECT_EQ(line.post(of_hold(Kind::kSettle, 9, 1)).error().code, Code::kNotFound);
  EXPECT_EQ(line.post(of_hold(Kind::kExtend, 1, 41)).error().code, Code::kPermission);
  EXPECT_EQ(line.post(credit(-50)).error().code, Code::kPermission);
  // Nor in a currency that the books have not seen: a checkpoint would differ from the entries.
  Entry strange = credit(-50);
  strange.currency = *parse_currency("EUR");
  EXPECT_EQ(line.post(strange).error().code, Code::kPermission);
  EXPECT_EQ(line.accounts.snapshot(), before);
}

TEST(Accounts, AHoldEndsOnce) {
  Line line;
  ASSERT_TRUE(line.post(credit(100)));
  ASSERT_TRUE(line.post(hold(1, 60)));
  ASSERT_TRUE(line.post(of_hold(Kind::kVoid, 1)));
  EXPECT_EQ(line.post(of_hold(Kind::kSettle, 1, 1)).error().code, Code::kInvalid);
  EXPECT_TRUE(line.post(of_hold(Kind::kVoid, 1))->existed);
  EXPECT_FALSE(line.post(hold(1, 60)).has_value());
  EXPECT_EQ(line.balance(), (Balance{.credit = 100}));
}

TEST(Accounts, PostPaidMayOweUpToItsLimit) {
  Line line;
  Entry limit = credit(50);
  limit.kind = Kind::kLimit;
  ASSERT_TRUE(line.post(limit));
  ASSERT_TRUE(line.post(hold(1, 50)));
  EXPECT_EQ(line.post(hold(2, 1)).error().code, Code::kPermission);
  ASSERT_TRUE(line.post(of_hold(Kind::kSettle, 1, 50)));
  EXPECT_EQ(line.balance().credit, -50);
  EXPECT_TRUE(line.accounts.audit().has_value());
}

TEST(Accounts, AReversalGivesBackAtMostTheCharge) {
  Line line;
  ASSERT_TRUE(line.post(credit(100)));
  ASSERT_TRUE(line.post(hold(1, 60)));
  ASSERT_TRUE(line.post(of_hold(Kind::kSettle, 1, 40)));
  ASSERT_TRUE(line.post(of_hold(Kind::kReversal, 1, 30)));
  EXPECT_FALSE(line.post(of_hold(Kind::kReversal, 1, 11)).has_value());
  ASSERT_TRUE(line.post(of_hold(Kind::kReversal, 1, 10)));
  EXPECT_EQ(line.balance(), (Balance{.credit = 100}));
}

// Random life against books kept the plain way; every so often the snapshot is restored and must go
// on the same.
TEST(Accounts, RandomLifeKeepsTheInvariants) {
  const char* given = std::getenv("MILL_TEST_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  Line line;
  struct Plain {
    Nano credit = 0, charged = 0;
    std::map<uint64_t, Nano> open;
    Nano held() const {
      Nano sum = 0;
      for (const auto& [id, amount] : open) sum += amount;
      return sum;
    }
  };
  std::map<uint64_t, Plain> orgs;
  uint64_t next = 1;
  for (int step = 0; step < 100'000; ++step) {
    const uint64_t org = 1 + random() % 3;
    Plain& plain = orgs[org];
    const Nano amount = static_cast<Nano>(random() % 100);
    switch (random() % 6) {
      case 0:
        ASSERT_TRUE(line.post(credit(amount + 1, org)));
        plain.credit += amount + 1;
        break;
      case 1:
      case 2: {
        const bool due = plain.credit - plain.held() >= amount;
        const auto done = line.post(hold(next, amount, {.org = org, .project = 1, .key = 1}));
        ASSERT_EQ(done.has_value(), due) << "step " << step << (done ? "" : done.error().message);
        if (due) plain.open[next] = amount;
        ++next;
        break;
      }
      default: {
        if (plain.open.empty()) break;
        const auto [id, held] =
            *std::next(plain.open.begin(), static_cast<long>(random() % plain.open.size()));
        if (random() % 3 == 0) {
          ASSERT_TRUE(line.post(of_hold(random() % 2 ? Kind::kVoid : Kind::kExpire, id)));
          plain.open.erase(id);
        } else {
          const bool due = amount <= held;
          ASSERT_EQ(line.post(of_hold(Kind::kSettle, id, amount)).has_value(), due);
          if (due) plain.credit -= amount, plain.charged += amount, plain.open.erase(id);
        }
      }
    }
    if (step % 1000 == 0) {
      ASSERT_TRUE(line.accounts.audit().has_value()) << line.accounts.audit().error().message;
      const std::string bytes = line.accounts.snapshot();
      ASSERT_TRUE(line.accounts.restore(bytes));
      ASSERT_EQ(line.accounts.snapshot(), bytes);
      for (const auto& [id, books] : orgs) {
        ASSERT_EQ(
            line.accounts.balance(id, kUsd),
            (Balance{.credit = books.credit, .held = books.held(), .charged = books.charged}));
      }
    }
  }
}

}  // namespace
}  // namespace mill::ledger
