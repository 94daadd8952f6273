#include "maas/catalog/price_version.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "maas/catalog/book_for_test.h"
#include "maas/catalog/civil_time.h"
#include "maas/catalog/quote.h"

namespace mill::maas {
namespace {

const ledger::Currency kUsd = *ledger::parse_currency("USD");
const ledger::Currency kCredits = *ledger::parse_currency("CREDITS");

int64_t at(const char* instant) {
  return *parse_instant(instant, "at");
}
const int64_t kOffPeak = at("2026-11-27T12:00:00Z");
const int64_t kPeak = at("2026-11-27T02:00:00Z");

std::shared_ptr<const PriceVersion> version() {
  auto checked = PriceVersion::check(book_for_test(), 7, 0);
  EXPECT_TRUE(checked) << checked.error().message;
  return *checked;
}

ledger::Nano cost(const Terms& terms, const ledger::Buckets& tokens) {
  return charge(*version()->pin(terms), tokens)->amount;
}

TEST(PriceVersion, DeepSeeksPricesByHand) {
  const ledger::Buckets tokens{.input_uncached = 1000,
                               .input_cache_read = 9000,
                               .output_text = 500,
                               .output_reasoning = 200};
  // 1000 x .15 + 9000 x .003 + 700 x .60 = 597 per million = 0.000597
  EXPECT_EQ(cost({"flash", kUsd, Tier::kDefault, false, kOffPeak}, tokens), 597'000);
  EXPECT_EQ(cost({"flash", kUsd, Tier::kDefault, false, kPeak}, tokens), 1'194'000);
  EXPECT_EQ(cost({"flash", kUsd, Tier::kDefault, true, kOffPeak}, tokens), 298'500);
  EXPECT_EQ(cost({"flash", kUsd, Tier::kBatch, false, kOffPeak}, tokens), 298'500);
  EXPECT_EQ(cost({"flash", kUsd, Tier::kBatch, true, kPeak}, tokens), 597'000) << "once, not twice";
  EXPECT_EQ(cost({"flash", kUsd, Tier::kPriority, false, kOffPeak}, tokens), 1'044'750);
  EXPECT_EQ(cost({"flash-latest", kUsd, Tier::kPriority, true, kPeak}, tokens), 1'044'750);
  // 1000 x 1.32 + 9000 x .044 + 700 x 3.96 = 4488 per million
  EXPECT_EQ(cost({"pro", kUsd, Tier::kDefault, false, kPeak}, tokens), 4'488'000);
}

TEST(PriceVersion, BandsOfATierWithPricesOfItsOwn) {
  const ledger::Buckets tokens{.input_uncached = 1'000'000};
  const int64_t night = at("2026-01-10T23:00:00Z");  // 00:00 in Berlin
  EXPECT_EQ(cost({"house", kCredits, Tier::kDefault, false, night}, tokens), 2'100'086'419);
  EXPECT_EQ(cost({"house", kCredits, Tier::kPriority, false, night}, tokens), 4'800'800'000);
  EXPECT_EQ(cost({"house", kCredits, Tier::kPriority, false, kOffPeak}, tokens), 6'001'000'000);
  EXPECT_EQ(cost({"house", kCredits, Tier::kFlex, false, kOffPeak}, tokens), 1'500'061'728);
}

TEST(PriceVersion, LinesAddUpToTheExactSum) {
  const auto of = version();  // the pin points into it
  const auto pin = of->pin({"house", kCredits, Tier::kDefault, false, kOffPeak});
  const auto bill = charge(*pin, {1, 2, 3, 4, 5, 6, 7});
  ASSERT_TRUE(bill);
  ASSERT_EQ(bill->lines.size(), kItemCount);
  Femto sum = 0;
  for (const ChargeLine& line : bill->lines) sum += line.exact;
  EXPECT_TRUE(sum == bill->exact);
  EXPECT_TRUE(bill->exact == Femto(bill->amount) * kFemtoPerNano + bill->residue);
  EXPECT_EQ(pin->price_version, 7);
  EXPECT_EQ(pin->band, "base");
}

TEST(PriceVersion, WhatIsNotSoldIsRefusedByName) {
  const auto refused = [&](const Terms& terms) { return version()->pin(terms).error(); };
  EXPECT_EQ(refused({"nobody", kUsd, Tier::kDefault, false, 0}).code, Code::kNotFound);
  EXPECT_EQ(refused({"nobody", kUsd, Tier::kDefault, false, 0}).param, "model");
  EXPECT_EQ(refused({"flash", kCredits, Tier::kDefault, false, 0}).param, "currency");
  EXPECT_EQ(refused({"flash", kUsd, Tier::kFlex, false, 0}).param, "service_tier");
  EXPECT_EQ(refused({"pro", kUsd, Tier::kDefault, true, 0}).param, "service_tier");
  EXPECT_EQ(refused({"flash", kUsd, Tier(9), false, 0}).code, Code::kUnsupported);
  const auto of = version();  // the pin points into it
  const auto pin = of->pin({"flash", kUsd, Tier::kDefault, false, 0});
  EXPECT_EQ(charge(*pin, {.output_image = 1}).error().param, "output_image");
  EXPECT_EQ(charge(*pin, {.input_uncached = -1}).error().param, "input");
}

TEST(PriceVersion, NoAnswerCostsMoreThanItsHold) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const auto book = version();
  for (int i = 0; i < 5000; ++i) {
    const auto pin = book->pin({"house", kCredits, Tier(random() % 3), false,
                                int64_t(random() % 1'000'000) * kNanosPerHour});
    ASSERT_TRUE(pin);
    const auto below = [&](int64_t n) { return int64_t(random() % uint64_t(n + 1)); };
    const HoldShape shape{below(100'000), below(8'000), below(2), below(2)};
    const int64_t read = below(shape.prompt_tokens);
    const int64_t write = below(shape.prompt_tokens - read);
    const int64_t out = below(shape.max_output_tokens);
    const int64_t thought = below(out);
    const auto bill =
        charge(*pin, {shape.prompt_tokens - read - write, read, write, shape.input_image_tokens,
                      out - thought, thought, shape.output_image_tokens});
    ASSERT_TRUE(bill);
    ASSERT_LE(bill->amount, *hold_amount(*pin, shape));
  }
}

TEST(PriceVersion, AcceptanceIsTheTimeInTheUlid) {
  // The example of the ULID specification.
  const auto id = *ledger::parse_hold_id("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(accepted_at(id), 1'469'922'850'259 * 1'000'000);
  ledger::HoldId far;
  far.fill(0xff);
  EXPECT_GT(accepted_at(far), 0);
}

TEST(PriceVersion, ModelsAndTheirEnds) {
  BookDraft draft = book_for_test();
  draft.models[0].deprecated_at = "2026-12-01";
  draft.models[0].retires_at = "2027-03-01";
  draft.models[0].replacement = "pro";
  const auto book = *PriceVersion::check(draft, 1, 0);
  const Model* flash = book->find("flash-latest");
  ASSERT_NE(flash, nullptr);
  EXPECT_EQ(flash->id, "flash");
  EXPECT_EQ(flash->context_tokens, 65536);
  EXPECT_FALSE(flash->deprecated(at("2026-11-30T23:59:59Z")));
  EXPECT_TRUE(flash->deprecated(at("2026-12-01")));
  EXPECT_FALSE(flash->retired(at("2027-02-28")));
  EXPECT_TRUE(flash->retired(at("2027-03-01")));
  EXPECT_EQ(book->find("Flash"), nullptr);
  EXPECT_EQ(book->prices("flash", kUsd).size(), 10u)
      << "base and peak of: default, default batch, priority, priority batch, batch";
  EXPECT_TRUE(book->prices("flash", kCredits).empty());
}

TEST(PriceVersion, AQuoteExplainsEachLine) {
  const auto of = version();  // the pin points into it
  const auto pin = of->pin({"flash", kUsd, Tier::kDefault, false, kPeak});
  const auto text =
      quote(*pin, kPeak, {.input_uncached = 1000, .input_cache_read = 9001, .output_text = 7});
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("band peak (accepted 2026-11-27T02:00:00Z)"), std::string::npos) << *text;
  EXPECT_NE(text->find("0.006"), std::string::npos) << *text;
  EXPECT_NE(text->find("0.000054006"), std::string::npos) << *text;
  EXPECT_NE(text->find("0.000362406"), std::string::npos) << *text;
}

// One change to a good book, and the field that must be named.
struct Wrong {
  const char* field;
  std::function<void(BookDraft&)> change;
};

std::vector<Wrong> wrong_prices() {
  std::vector<Wrong> all;
  for (const char* text : {"NaN", "nan", "inf", "-inf", "-0.15", "+0.15", "1e-3", "0x1", ".5", "5.",
                           "", " 1", "1 ", "0.1.2", "0,15", "1000000001", "0.0000000001",
                           "99999999999999999999999999999999999999999999"})
    all.push_back({"models[0].prices[0].rates.input",
                   [text](BookDraft& b) { b.models[0].prices[0].rates.input = text; }});
  return all;
}

std::vector<Wrong> wrong_books() {
  return {
      {"models", [](BookDraft& b) { b.models.clear(); }},
      {"effective_from", [](BookDraft& b) { b.effective_from = "tomorrow"; }},
      {"bands[1].name", [](BookDraft& b) { b.bands[1].name = "peak"; }},
      {"bands[1].zone", [](BookDraft& b) { b.bands[1].zone = "Europe/Atlantis"; }},
      {"models[1].id", [](BookDraft& b) { b.models[1].id = "flash"; }},
      {"models[1].id", [](BookDraft& b) { b.models[1].id = "a b"; }},
      {"models[0].aliases[0]", [](BookDraft& b) { b.models[0].aliases[0] = "pro"; }},
      {"models[1].fallbacks[0]", [](BookDraft& b) { b.models[1].fallbacks[0] = "pro"; }},
      {"models[1].fallbacks[0]", [](BookDraft& b) { b.models[1].fallbacks[0] = "flash-latest"; }},
      {"models[1].fallbacks[1]",
       [](BookDraft& b) {
         b.models[1].fallbacks = {"flash", "flash"};
       }},
      {"models[0].replacement", [](BookDraft& b) { b.models[0].replacement = "x"; }},
      {"models[0].context_tokens", [](BookDraft& b) { b.models[0].context_tokens = -1; }},
      {"models[0].max_output_tokens", [](BookDraft& b) { b.models[0].max_output_tokens = 70000; }},
      {"models[0].deprecated_at", [](BookDraft& b) { b.models[0].deprecated_at = "2026-02-30"; }},
      {"models[0].retires_at",
       [](BookDraft& b) {
         b.models[0].deprecated_at = "2026-02-02";
         b.models[0].retires_at = "2026-02-01";
       }},
      {"models[2].prices", [](BookDraft& b) { b.models[2].prices.clear(); }},
      {"models[1].prices[1].currency",
       [](BookDraft& b) { b.models[1].prices[1].currency = "USD"; }},
      {"models[1].prices[1].currency",
       [](BookDraft& b) { b.models[1].prices[1].currency = "usd"; }},
      {"models[0].prices[0].rates.output",
       [](BookDraft& b) { b.models[0].prices[0].rates.output = ""; }},
      {"models[0].prices[0].bands[0].band",
       [](BookDraft& b) { b.models[0].prices[0].bands[0].band = "noon"; }},
      {"models[0].prices[0].bands[1].band",
       [](BookDraft& b) {
         b.models[0].prices[0].bands.push_back({.band = "peak", .factor = "3"});
       }},
      {"models[0].prices[0].bands[1].band",  // in another zone
       [](BookDraft& b) {
         b.models[0].prices[0].bands.push_back({.band = "night", .factor = "3"});
       }},
      {"models[0].prices[0].bands[1].band",  // overlaps
       [](BookDraft& b) {
         b.bands.push_back({.name = "noon", .hours = {{"09:00", "12:00"}}});
         b.models[0].prices[0].bands.push_back({.band = "noon", .factor = "3"});
       }},
      {"models[0].prices[0].bands[0]",
       [](BookDraft& b) { b.models[0].prices[0].bands[0].factor = ""; }},
      {"models[0].prices[0].bands[0]",
       [](BookDraft& b) { b.models[0].prices[0].bands[0].rates.input = "1"; }},
      {"models[0].prices[0].bands[0].factor",
       [](BookDraft& b) { b.models[0].prices[0].bands[0].factor = "0"; }},
      {"models[0].prices[0].bands[0].factor",
       [](BookDraft& b) { b.models[0].prices[0].bands[0].factor = "NaN"; }},
      {"models[0].prices[0].bands[0].factor",  // 0.15 x 0.000000001 has eleven decimals
       [](BookDraft& b) { b.models[0].prices[0].bands[0].factor = "0.000000001"; }},
      {"models[1].prices[0].bands[0].rates.cache_read",  // a gap
       [](BookDraft& b) { b.models[1].prices[0].bands[0].rates.cache_read = ""; }},
      {"models[2].prices[0].tiers[0].bands",  // a gap
       [](BookDraft& b) { b.models[2].prices[0].tiers[0].bands.clear(); }},
      {"models[2].prices[0].tiers[0].rates.request",  // a gap
       [](BookDraft& b) { b.models[2].prices[0].tiers[0].rates.request = ""; }},
      {"models[2].prices[0].tiers[1].tier",
       [](BookDraft& b) { b.models[2].prices[0].tiers[1].tier = "priority"; }},
      {"models[2].prices[0].tiers[1].tier",
       [](BookDraft& b) { b.models[2].prices[0].tiers[1].tier = "default"; }},
      {"models[2].prices[0].tiers[1].tier",
       [](BookDraft& b) { b.models[2].prices[0].tiers[1].tier = "gold"; }},
      {"models[2].prices[0].tiers[1].bands",
       [](BookDraft& b) {
         b.models[2].prices[0].tiers[1].bands = {{.band = "night", .factor = "2"}};
       }},
      {"models[2].prices[0].rates.request",
       [](BookDraft& b) { b.models[2].prices[0].rates.request = "1000.000000001"; }},
      {"models[0].prices[0].batch_factor",
       [](BookDraft& b) { b.models[0].prices[0].batch_factor = "-0.5"; }},
  };
}

TEST(PriceVersion, EveryWrongFieldIsNamed) {
  for (const auto& list : {wrong_prices(), wrong_books()})
    for (const Wrong& wrong : list) {
      BookDraft draft = book_for_test();
      wrong.change(draft);
      const auto checked = PriceVersion::check(draft, 1, 0);
      ASSERT_FALSE(checked) << wrong.field;
      EXPECT_EQ(checked.error().code, Code::kInvalid);
      EXPECT_EQ(checked.error().param, wrong.field) << checked.error().message;
      EXPECT_EQ(checked.error().message.rfind(wrong.field, 0), 0u) << checked.error().message;
    }
}

TEST(PriceVersion, APriceOfZeroIsAPrice) {
  BookDraft draft = book_for_test();
  draft.models[0].prices[0].rates = {.input = "0", .cache_read = "0", .output = "0.000"};
  const auto book = PriceVersion::check(draft, 1, 0);
  ASSERT_TRUE(book);
  const auto pin = (*book)->pin({"flash", kUsd, Tier::kDefault, false, 0});
  const auto bill = charge(*pin, {.input_uncached = 5, .output_text = 3});
  EXPECT_EQ(bill->amount, 0);
  EXPECT_EQ(bill->lines.size(), 2u) << "what is free is still a line";
}

}  // namespace
}  // namespace mill::maas
