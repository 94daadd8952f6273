#include "maas/tenancy/acts.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "maas/tenancy/tenancy_for_test.h"

namespace mill::maas {
namespace {

std::vector<Act> one_of_each() {
  CreateKey key = key_act(1, 7, "naïve ключ 钥匙");
  key.user = 3;
  key.expires_ns = kNow;
  key.only.models = {"smollm2", "qwen"};
  key.only.networks = {*parse_cidr("10.0.0.0/8"), *parse_cidr("2001:db8::/32")};
  CreateAdminKey admin = admin_act(2, 5, 9);
  admin.expires_ns = -1;
  return {CreateOrganization{id_of(1), "Ada", "USD"_currency},
          RenameOrganization{1, "Ada & Co"},
          ArchiveOrganization{UINT64_MAX},
          CreateProject{id_of(2), 1, "p", Tier::kBatch, 12345},
          RenameProject{2, "q"},
          SetProjectShare{2, Tier::kPriority, 1},
          ArchiveProject{2},
          CreateServiceAccount{id_of(3), 2, "robot"},
          DeleteServiceAccount{3},
          AddUser{id_of(4), 1, "a@b", "A", Role::kMember},
          SetUserRole{4, Role::kOwner},
          RemoveUser{4},
          key,
          admin,
          UpdateKey{5, "n", INT64_MAX, key.only},
          RotateKey{5, key.hash, key.tail},
          RevokeKey{5},
          SetLimit{{1, 2, 0, "m"}, "requests_per_minute", 60},
          SetSpendLimit{1, 0, "CNY"_currency, Period::kMonth, std::nullopt},
          SetSpendAlert{1, 2, "USD"_currency, Period::kDay, 5, "ops@example.com"},
          SetPriceBook{std::string("PB\1\0\xff", 5)},
          WithdrawPriceBook{-3},
          SetCreditAlert{1, 5'000'000'000},
          SetWebhook{1, "https://a.example/hook", std::string(32, '\x7f'), kNow},
          DisableWebhook{1, "it is gone"}};
}

TEST(Acts, EveryActComesBackAsItWas) {
  const std::vector<Act> acts = one_of_each();
  ASSERT_EQ(acts.size(), std::variant_size_v<Act>);
  for (size_t i = 0; i < acts.size(); ++i) {
    EXPECT_EQ(acts[i].index(), i);  // one of each
    const auto read = decode_act(encode(acts[i]));
    ASSERT_TRUE(read) << i << " " << read.error().message;
    EXPECT_EQ(*read, acts[i]) << i;
  }
}

// What is written once is read forever: these bytes are in somebody's journal.
TEST(Acts, TheBytesAreThoseOfFormat1) {
  EXPECT_EQ(encode(RenameOrganization{300, "Ada"}), std::string("AC\x01\x02\xAC\x02\x03"
                                                                "Ada"));
  EXPECT_EQ(encode(RevokeKey{5}), std::string("AC\x01\x11\x05"));
  EXPECT_EQ(encode(SetLimit{{1, 2, 0, ""}, "x", -1}),
            std::string("AC\x01\x12\x01\x02\x00\x00\x01x\x01\x01", 12));
  EXPECT_EQ(encode(WithdrawPriceBook{1}), std::string("AC\x01\x16\x02"));
}

TEST(Acts, CutOrLongerBytesAreCorrupt) {
  for (const Act& act : one_of_each()) {
    const std::string whole = encode(act);
    for (size_t size = 0; size < whole.size(); ++size) {
      const auto read = decode_act(std::string_view(whole).substr(0, size));
      ASSERT_FALSE(read);
      EXPECT_EQ(read.error().code, Code::kCorrupt);
    }
    EXPECT_EQ(decode_act(whole + '\0').error().code, Code::kCorrupt);
  }
}

TEST(Acts, ALaterFormatOrActIsRefusedByName) {
  EXPECT_EQ(decode_act("AC\x02\x11\x05").error().code, Code::kUnsupported);
  EXPECT_EQ(decode_act("AC\x01\x1a\x05").error().code, Code::kUnsupported);
  EXPECT_EQ(decode_act(std::string_view("AC\x01\x00\x05", 5)).error().code, Code::kUnsupported);
  EXPECT_EQ(decode_act("PB\x01\x11\x05").error().code, Code::kCorrupt);
}

// Garbage, and acts with a few bytes changed: an error, or an act that writes just these bytes.
TEST(Acts, GarbageNeverCrashesAndNothingHasTwoForms) {
  const char* given = std::getenv("MILL_TEST_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE(testing::Message() << "MILL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  const std::vector<Act> acts = one_of_each();
  World world;
  size_t accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string bytes;
    if (i % 2 == 0) {
      bytes = std::string("AC\x01", 3) + static_cast<char>(1 + random() % 22);
      for (uint64_t left = random() % 80; left > 0; --left) bytes += static_cast<char>(random());
    } else {
      bytes = encode(acts[random() % acts.size()]);
      for (uint64_t left = 1 + random() % 3; left > 0; --left)
        bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const auto read = decode_act(bytes);
    if (!read) continue;
    ++accepted;
    ASSERT_EQ(encode(*read), bytes);
    static_cast<void>(world.d.check(*read, kNow));  // whatever it says, the answer is a value
    static_cast<void>(world.d.apply(*read, kNow));
  }
  EXPECT_GT(accepted, 1000u);
}

}  // namespace
}  // namespace mill::maas
