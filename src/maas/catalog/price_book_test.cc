#include "maas/catalog/price_book.h"

#include <gtest/gtest.h>

#include "maas/catalog/book_for_test.h"
#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

int64_t at(const char* instant) {
  return *parse_instant(instant, "at");
}

BookDraft from(const char* instant) {
  BookDraft draft = book_for_test();
  draft.effective_from = instant;
  return draft;
}

TEST(PriceBook, AVersionHoldsUntilTheNextBegins) {
  PriceBook book;
  const int64_t now = at("2026-11-01");
  EXPECT_EQ(book.at(now), nullptr);
  ASSERT_TRUE(book.add(from(""), now));
  ASSERT_TRUE(book.add(from("2027-01-01"), now));
  ASSERT_TRUE(book.add(from("2026-12-01"), now)) << "between the two";
  EXPECT_EQ(book.at(now - 1), nullptr);
  EXPECT_EQ(book.at(now)->number(), 1);
  EXPECT_EQ(book.at(at("2026-12-01") - 1)->number(), 1);
  EXPECT_EQ(book.at(at("2026-12-01"))->number(), 3);
  EXPECT_EQ(book.at(at("2027-06-01"))->number(), 2);
  EXPECT_EQ(book.number(3)->effective_from_ns(), at("2026-12-01"));
}

TEST(PriceBook, ThePastIsNotChanged) {
  PriceBook book;
  const int64_t now = at("2026-11-01");
  ASSERT_TRUE(book.add(from(""), now));
  const auto past = book.add(from("2026-10-31T23:59:59Z"), now);
  ASSERT_FALSE(past);
  EXPECT_EQ(past.error().param, "effective_from");
  ASSERT_TRUE(book.add(from("2026-12-01"), now));
  EXPECT_EQ(book.add(from("2026-12-01"), now).error().param, "effective_from") << "same instant";
  EXPECT_EQ(book.withdraw(1, now).error().code, Code::kPermission);
  EXPECT_EQ(book.withdraw(9, now).error().code, Code::kNotFound);
  EXPECT_EQ(book.withdraw(2, at("2026-12-01")).error().code, Code::kPermission);
}

TEST(PriceBook, AWithdrawnNumberIsNotUsedAgain) {
  PriceBook book;
  const int64_t now = at("2026-11-01");
  ASSERT_TRUE(book.add(from(""), now));
  ASSERT_TRUE(book.add(from("2026-12-01"), now));
  ASSERT_TRUE(book.withdraw(2, now));
  EXPECT_EQ(book.number(2), nullptr);
  EXPECT_EQ((*book.add(from("2026-12-01"), now))->number(), 3);
}

TEST(PriceBook, AClockThatWasSetBackDoesNotReachIntoThePast) {
  PriceBook book;
  ASSERT_TRUE(book.add(from(""), at("2026-11-01T12:00:00Z")));
  const int64_t earlier = at("2026-11-01T11:00:00Z");
  EXPECT_FALSE(book.add(from("2026-11-01T11:30:00Z"), earlier));
  EXPECT_EQ(book.withdraw(1, earlier).error().code, Code::kPermission);
  EXPECT_EQ(book.versions().size(), 1u);
}

TEST(PriceBook, AFailedActLeavesNoTrace) {
  PriceBook book;
  BookDraft bad = from("");
  bad.models[0].prices[0].rates.input = "NaN";
  EXPECT_FALSE(book.add(bad, 0));
  EXPECT_TRUE(book.versions().empty());
  EXPECT_EQ((*book.check(from(""), 0))->number(), 1);
  EXPECT_TRUE(book.versions().empty()) << "a preview adds nothing";
}

}  // namespace
}  // namespace mill::maas
