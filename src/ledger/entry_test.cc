#include "ledger/entry.h"

#include <gtest/gtest.h>

#include <random>

#include "ledger/ledger_for_test.h"
#include "ledger/money.h"

namespace mill::ledger {
namespace {

Entry full() {
  Entry e = hold(7, 123'456'789);
  e.kind = Kind::kSettle;
  e.seq = 42;
  e.at_ns = 1'700'000'000'123'456'789;
  e.held = 200'000'000;
  e.tokens = {1, 2, 3, 4, 5, 6, 7};
  e.tier = 2;
  e.flags = kStream | kBatch;
  e.reason = Reason::kLength;
  e.delivered_bytes = 99;
  e.residue = -12;
  e.microjoules = 5;
  e.energy_cost = 6;
  e.co2_micrograms = 7;
  e.actor = "key_1";
  e.body = std::string("note\0more", 9);
  return e;
}
std::string bytes_of(const Entry& entry) {
  std::string out;
  encode(entry, out);
  return out;
}

TEST(Entry, ReadsAsItWasWritten) {
  const Entry entry = full();
  ASSERT_TRUE(validate(entry).has_value()) << validate(entry).error().message;
  const auto read = decode(bytes_of(entry));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(*read, entry);
}

TEST(Entry, AnOverheadIsNobodysEnergy) {
  Entry entry;
  entry.kind = Kind::kOverhead;
  entry.flags = kEnergyRapl | kEnergyPriced;
  entry.microjoules = 5;
  entry.energy_cost = 6;
  entry.currency = kUsd;
  ASSERT_TRUE(validate(entry).has_value()) << validate(entry).error().message;
  EXPECT_TRUE(postings(entry).empty());
  EXPECT_EQ(*decode(bytes_of(entry)), entry);
  const auto refused = [](Entry other, const char* field) {
    const Status valid = validate(other);
    ASSERT_FALSE(valid.has_value()) << field;
    EXPECT_EQ(valid.error().param, field);
  };
  Entry other = entry;
  other.payer.org = 1;
  refused(other, "payer");
  other = entry;
  other.amount = 1;
  refused(other, "amount");
  other = entry;
  other.hold[0] = 1;
  refused(other, "hold");
  other = entry;
  other.flags |= kEnergyModel;
  refused(other, "flags");
  other = entry;
  other.currency = {};
  EXPECT_TRUE(validate(other).has_value()) << "no tariff";
}

TEST(Entry, EveryShorterOrLongerTextIsRefused) {
  const std::string bytes = bytes_of(full());
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(decode(std::string_view(bytes).substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(decode(bytes + '\0').has_value());
}

// A changed bit is another entry or none: in either case another hash.
TEST(Entry, EveryChangedBitChangesTheHash) {
  const Entry entry = full();
  const std::string bytes = bytes_of(entry);
  Chain chain;
  const Hash256 hash = chain.hash({}, entry);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << (bit % 8));
    const auto read = decode(changed);
    if (!read) continue;
    ASSERT_NE(*read, entry) << bit;
    ASSERT_NE(chain.hash({}, *read), hash) << bit;
  }
}

TEST(Entry, GarbageIsRefusedAndNeverMore) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 100'000; ++i) {
    std::string bytes(random() % 120, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (i % 2 == 0 && !bytes.empty()) bytes[0] = bytes_of(full())[0];
    const auto read = decode(bytes);
    if (read) {
      ASSERT_EQ(bytes_of(*read), bytes);
    }
  }
}

TEST(Entry, ItsLinesSumToZero) {
  for (const Entry& entry : {full(), credit(5), credit(-5), hold(1, 9), of_hold(Kind::kVoid, 1)}) {
    Nano sum = 0;
    for (const Posting& line : postings(entry)) sum += line.amount;
    EXPECT_EQ(sum, 0) << name(entry.kind);
  }
}

TEST(Entry, IdsSortByTimeAndReadBack) {
  const std::array<uint8_t, 10> random{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const HoldId early = ulid(1'000, random), late = ulid(1'001, random);
  EXPECT_LT(to_string(early), to_string(late));
  EXPECT_EQ(to_string(early).size(), 26U);
  EXPECT_EQ(parse_hold_id(to_string(late)).value(), late);
  EXPECT_EQ(ulid_ms(late), 1'001);
  EXPECT_FALSE(parse_hold_id("no id").has_value());
}

TEST(Money, DecimalsAreExactOrRefused) {
  for (const auto& [text, amount] : {std::pair{"0", int64_t{0}},
                                     {"12.5", 12'500'000'000},
                                     {"-0.000000001", -1},
                                     {"9223372036.854775807", INT64_MAX}}) {
    ASSERT_EQ(parse_amount(text).value(), amount) << text;
    EXPECT_EQ(format_amount(amount), text);
  }
  for (const char* text :
       {"", "nan", "inf", "1e3", "+1", " 1", "1 ", "0.0000000001", "1,5", "--1", "0x1", "."}) {
    EXPECT_EQ(parse_amount(text).error().code, Code::kInvalid) << text;
  }
  EXPECT_EQ(parse_amount("9223372036.854775808").error().code, Code::kTooLarge);
  EXPECT_FALSE(parse_currency("usd").has_value());
  EXPECT_FALSE(parse_currency("US").has_value());
  EXPECT_EQ(to_string(parse_currency("CREDITS").value()), "CREDITS");
}

}  // namespace
}  // namespace mill::ledger
