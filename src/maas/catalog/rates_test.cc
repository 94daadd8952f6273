#include "maas/catalog/rates.h"

#include <gtest/gtest.h>

#include <limits>

namespace mill::maas {
namespace {

TEST(Rates, RoundsHalfToEven) {
  const auto rounded = [](int64_t femto) { return round_half_even(femto)->amount; };
  const auto residue = [](int64_t femto) { return round_half_even(femto)->residue; };
  EXPECT_EQ(rounded(499'999), 0);
  EXPECT_EQ(rounded(500'000), 0);
  EXPECT_EQ(rounded(500'001), 1);
  EXPECT_EQ(rounded(1'500'000), 2);
  EXPECT_EQ(rounded(2'500'000), 2);
  EXPECT_EQ(rounded(-500'000), 0);
  EXPECT_EQ(rounded(-1'500'000), -2);
  EXPECT_EQ(rounded(-1'500'001), -2);
  EXPECT_EQ(rounded(-2'500'000), -2);
  EXPECT_EQ(residue(1'500'000), -500'000);
  EXPECT_EQ(residue(2'500'000), 500'000);
  EXPECT_EQ(residue(7), 7);
  EXPECT_EQ(residue(999'999), -1);
}

TEST(Rates, AnAmountThatDoesNotFitIsRefused) {
  const Femto most = Femto(std::numeric_limits<int64_t>::max()) * kFemtoPerNano;
  EXPECT_EQ(round_half_even(most)->amount, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(round_half_even(most + kFemtoPerNano).error().code, Code::kTooLarge);
  EXPECT_EQ(round_half_even(-most - 2 * kFemtoPerNano).error().code, Code::kTooLarge);
}

TEST(Rates, TheLargestPossibleSumDoesNotOverflow) {
  Rates rates;
  rates.fill(1'000'000'000'000'000'000);
  Quantities of;
  of.fill(std::numeric_limits<int64_t>::max());
  const auto exact = exact_charge(rates, of);
  ASSERT_TRUE(exact);
  EXPECT_EQ(print_femto(*exact), "73786976294838206456000.00")
      << "2^63 - 1, times 1e18, times 8, in 1e-15";
}

TEST(Rates, NegativeCountsAndThingsNotSoldAreNamed) {
  Rates rates{};
  rates[size_t(Item::kOutputImage)] = kNotSold;
  Quantities of{};
  EXPECT_EQ(*exact_charge(rates, of), 0) << "none of it needs no price";
  of[size_t(Item::kOutputImage)] = 1;
  EXPECT_EQ(exact_charge(rates, of).error().code, Code::kUnsupported);
  EXPECT_EQ(exact_charge(rates, of).error().param, "output_image");
  of = {};
  of[size_t(Item::kCacheRead)] = -1;
  EXPECT_EQ(exact_charge(rates, of).error().code, Code::kInvalid);
  EXPECT_EQ(exact_charge(rates, of).error().param, "cache_read");
}

TEST(Rates, PrintsAllDigitsThatAreNeeded) {
  EXPECT_EQ(print_femto(0), "0.00");
  EXPECT_EQ(print_femto(1), "0.000000000000001");
  EXPECT_EQ(print_femto(-1'500'000'000'000'000), "-1.50");
  EXPECT_EQ(print_femto(Femto(12) * 1'000'000'000'000'000 + 345'000'000'000'000), "12.345");
}

}  // namespace
}  // namespace mill::maas
