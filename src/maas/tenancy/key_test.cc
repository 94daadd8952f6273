#include "maas/tenancy/key.h"

#include <gtest/gtest.h>

#include "maas/tenancy/tenancy_for_test.h"

namespace mill::maas {
namespace {

constexpr std::string_view kDigits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

// The check value of the CRC catalogue for CRC-32/ISO-HDLC.
TEST(Key, CrcIsTheOneOfZlib) {
  EXPECT_EQ(crc32("123456789"), 0xCBF43926u);
  EXPECT_EQ(crc32(""), 0u);
}

// Made by a few lines of Python with its own integers, zlib.crc32 and hashlib.
TEST(Key, SecretsAreThoseOfAnIndependentMaker) {
  std::array<uint8_t, 32> counting{}, full{};
  for (size_t i = 0; i < 32; ++i) counting[i] = static_cast<uint8_t>(i);
  full.fill(0xFF);
  const Secret project = mint_secret(KeyKind::kProject, counting);
  EXPECT_EQ(project.text, "sk-003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2j7ZOG");
  EXPECT_EQ(ledger::to_hex(project.hash),
            "ababce8c361546382dfdff62944d35c772a6d3e8ff5bac3e538482b5d9cf0cd7");
  const Secret admin = mint_secret(KeyKind::kAdmin, counting);
  EXPECT_EQ(admin.text, "sk-admin-003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0Q2Ral");
  EXPECT_EQ(mint_secret(KeyKind::kProject, full).text,
            "sk-yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp10KxnhU");
  EXPECT_EQ(to_string(IdKind::kProject, make_id(counting)), "proj_NU3MFagCXG9LRKRcwGkBIDlf");
}

TEST(Key, SecretsHaveTheirForm) {
  for (uint64_t i = 0; i < 200; ++i) {
    const Secret project = mint_secret(KeyKind::kProject, bytes_of(i));
    const Secret admin = mint_secret(KeyKind::kAdmin, bytes_of(i));
    EXPECT_EQ(project.text.size(), 52u);
    EXPECT_EQ(admin.text.size(), 58u);
    EXPECT_NE(project.hash, admin.hash);
    EXPECT_EQ(project.hash, ledger::sha256(project.text));
    const auto read = read_secret(project.text);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->kind, KeyKind::kProject);
    EXPECT_EQ(read->hash, project.hash);
    const auto other = read_secret(admin.text);
    ASSERT_TRUE(other);
    EXPECT_EQ(other->kind, KeyKind::kAdmin);
    EXPECT_EQ(redacted(KeyKind::kProject, project.tail),
              "sk-…" + project.text.substr(project.text.size() - 4));
  }
}

TEST(Key, TheChecksumFindsEverySingleWrongCharacter) {
  for (uint64_t i = 0; i < 20; ++i) {
    const KeyKind kind = i % 2 == 0 ? KeyKind::kProject : KeyKind::kAdmin;
    const std::string good = mint_secret(kind, bytes_of(i)).text;
    for (size_t at = 0; at < good.size(); ++at) {
      std::string wrong = good;
      for (int c = 0; c < 256; ++c) {
        wrong[at] = static_cast<char>(c);
        if (wrong == good) continue;
        const auto read = read_secret(wrong);
        ASSERT_FALSE(read) << wrong;
        EXPECT_EQ(read.error().code, Code::kPermission);
        EXPECT_EQ(read.error().param, "key");
      }
      std::string missing = good, doubled = good, swapped = good;
      missing.erase(at, 1);
      doubled.insert(at, 1, good[at]);
      EXPECT_FALSE(read_secret(missing));
      EXPECT_FALSE(read_secret(doubled));
      if (at + 1 < good.size() && good[at] != good[at + 1]) {
        std::swap(swapped[at], swapped[at + 1]);
        EXPECT_FALSE(read_secret(swapped));
      }
    }
  }
}

TEST(Key, AMessageNeverHoldsTheText) {
  std::string wrong = secret_of(1);
  wrong[20] = wrong[20] == 'a' ? 'b' : 'a';
  const auto read = read_secret(wrong);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message.find(wrong.substr(0, 12)), std::string::npos);
}

TEST(Key, HashesAreComparedWhole) {
  ledger::Hash256 a = ledger::sha256("x"), b = a;
  EXPECT_TRUE(same_hash(a, b));
  for (size_t i = 0; i < 256; ++i) {
    b[i / 8] ^= static_cast<uint8_t>(1 << i % 8);
    EXPECT_FALSE(same_hash(a, b));
    b = a;
  }
}

TEST(ExternalId, RoundTripsAndRefusals) {
  for (size_t k = 0; k < kIdKindCount; ++k) {
    const auto kind = static_cast<IdKind>(k);
    const ExternalId id = id_of(k);
    const std::string text = to_string(kind, id);
    EXPECT_EQ(text.size(), prefix(kind).size() + 24);
    const auto read = parse_id(kind, text);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, id);
    const auto other = static_cast<IdKind>((k + 1) % kIdKindCount);
    EXPECT_FALSE(parse_id(other, text));
    EXPECT_FALSE(parse_id(kind, text + "a"));
    EXPECT_FALSE(parse_id(kind, text.substr(0, text.size() - 1)));
    std::string bad = text;
    bad.back() = '-';
    EXPECT_FALSE(parse_id(kind, bad));
    EXPECT_FALSE(parse_id(kind, ""));
  }
}

TEST(ExternalId, AllDigitsAreUsedAboutEquallyOften) {
  std::array<int, 62> seen{};
  for (uint64_t i = 0; i < 5000; ++i) {
    for (const char c : id_of(i).digits) ++seen[kDigits.find(c)];
  }
  const int mean = 5000 * 24 / 62;  // 1935, standard deviation 44
  for (const int count : seen) EXPECT_NEAR(count, mean, 6 * 44);
}

}  // namespace
}  // namespace mill::maas
