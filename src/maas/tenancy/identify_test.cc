#include <gtest/gtest.h>

#include "maas/tenancy/tenancy_for_test.h"

namespace mill::maas {
namespace {

void refused(const Directory& d, const std::string& bearer, const char* param,
             std::string_view peer = "10.0.0.1", int64_t now_ns = kNow) {
  const auto caller = d.identify(bearer, peer, now_ns);
  ASSERT_FALSE(caller);
  EXPECT_EQ(caller.error().code, Code::kPermission) << caller.error().message;
  EXPECT_EQ(caller.error().param, param) << caller.error().message;
}

TEST(Identify, AKeyOfAProject) {
  World w;
  must(w.d, key_act(50, 2, "flexible"));
  const auto caller = w.d.identify(secret_of(50), "", kNow);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->payer, (ledger::Payer{.org = 1, .project = 2, .key = 4}));
  EXPECT_EQ(caller->currency, "USD"_currency);
  EXPECT_EQ(caller->tier, Tier::kFlex);
  EXPECT_EQ(caller->weight, 0.5);
  EXPECT_FALSE(caller->admin);
  EXPECT_EQ(caller->org_name, "Ada");
  EXPECT_EQ(caller->project_name, "two");
  EXPECT_EQ(caller->key_name, "flexible");
  EXPECT_EQ(caller->org_id, id_of(1));
  EXPECT_EQ(caller->project_id, id_of(12));
  EXPECT_EQ(caller->key_id, id_of(50));
  EXPECT_TRUE(caller->may_infer("anything"));
  EXPECT_EQ(caller->may_administrate().error().param, "scope");
}

TEST(Identify, AnAdminKeyCannotAskAModel) {
  World w;
  const auto caller = w.d.identify(admin_secret_of(43), "10.0.0.1", kNow);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->payer, (ledger::Payer{.org = 1, .project = 0, .key = 3}));
  EXPECT_TRUE(caller->admin);
  EXPECT_EQ(caller->role, Role::kOwner);
  EXPECT_TRUE(caller->may_administrate());
  EXPECT_EQ(caller->may_infer("smollm2").error().code, Code::kPermission);
  EXPECT_EQ(caller->may_infer("smollm2").error().param, "scope");
}

TEST(Identify, WhatIsNoKey) {
  World w;
  refused(w.d, "", "key");
  refused(w.d, "sk-", "key");
  refused(w.d, secret_of(999), "key");  // well formed, and unknown
  refused(w.d, secret_of(41) + " ", "key");
  refused(w.d, " " + secret_of(41), "key");
  refused(w.d, std::string(1 << 20, 'a'), "key");
  refused(w.d, "sk-' OR 1=1 --", "key");
  // An admin's digits under a project's prefix are another text.
  refused(w.d, "sk-" + admin_secret_of(42).substr(9), "key");
}

TEST(Identify, TheInstantOfExpiry) {
  World w;
  CreateKey act = key_act(50);
  act.expires_ns = kNow + 10;
  must(w.d, act);
  EXPECT_TRUE(w.d.identify(secret_of(50), "", kNow + 9));
  refused(w.d, secret_of(50), "key", "", kNow + 10);
  refused(w.d, secret_of(50), "key", "", INT64_MAX);
  EXPECT_TRUE(w.d.identify(secret_of(50), "", INT64_MIN));
  must(w.d, UpdateKey{.key = 4, .name = "k", .expires_ns = 0});
  EXPECT_TRUE(w.d.identify(secret_of(50), "", INT64_MAX));
}

TEST(Identify, RevokedAndRotated) {
  World w;
  must(w.d, RevokeKey{1});
  refused(w.d, secret_of(41), "key");
  EXPECT_FALSE(w.d.standing(1, kNow));
  EXPECT_TRUE(w.d.standing(2, kNow));
  EXPECT_FALSE(w.d.standing(0, kNow));
  EXPECT_FALSE(w.d.standing(99, kNow));

  must(w.d, key_act(50));
  const CreateKey other = key_act(51);
  must(w.d, RotateKey{4, other.hash, other.tail});
  refused(w.d, secret_of(50), "key");
  const auto caller = w.d.identify(secret_of(51), "", kNow);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->payer.key, 4u);
  EXPECT_EQ(caller->key_id, id_of(50));
}

TEST(Identify, EndsWithWhatStandsAbove) {
  const auto dies = [](const Act& act, const CreateKey& key) {
    World w;
    must(w.d, CreateServiceAccount{id_of(32), 1, "second"});
    must(w.d, AddUser{id_of(22), 1, "b@example.com", "B", Role::kMember});
    must(w.d, key);
    must(w.d, key_act(60, 3));  // of the other organization: goes on
    ASSERT_TRUE(w.d.identify(secret_of(50), "", kNow));
    must(w.d, act);
    refused(w.d, secret_of(50), "key");
    EXPECT_FALSE(w.d.standing(4, kNow));
    EXPECT_TRUE(w.d.identify(secret_of(60), "", kNow));
  };
  CreateKey of_user = key_act(50), of_account = key_act(50);
  of_user.user = 2;
  of_account.service_account = 2;
  dies(ArchiveOrganization{1}, key_act(50));
  dies(ArchiveProject{1}, key_act(50));
  dies(RemoveUser{2}, of_user);
  dies(DeleteServiceAccount{2}, of_account);
}

TEST(Identify, ListsOfModels) {
  World w;
  CreateKey act = key_act(50);
  act.only.models = {"smollm2", "qwen"};
  must(w.d, act);
  const auto caller = w.d.identify(secret_of(50), "", kNow);
  ASSERT_TRUE(caller);
  EXPECT_TRUE(caller->may_infer("qwen"));
  for (const char* model : {"", "qwe", "qwen2", "QWEN", "llama"}) {
    EXPECT_EQ(caller->may_infer(model).error().param, "model") << model;
  }
}

TEST(Identify, ListsOfNetworks) {
  World w;
  CreateKey act = key_act(50);
  act.only.networks = {*parse_cidr("10.1.0.0/16"), *parse_cidr("2001:db8::/32")};
  must(w.d, act);
  for (const char* peer : {"10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "2001:db8::1"})
    EXPECT_TRUE(w.d.identify(secret_of(50), peer, kNow)) << peer;
  for (const char* peer : {"10.0.255.255", "10.2.0.0", "2001:db9::", "", "garbage", "::1"})
    refused(w.d, secret_of(50), "ip", peer);
  // A wrong key is told so, wherever it comes from.
  refused(w.d, secret_of(999), "key", "10.2.0.0");
}

TEST(Identify, ACallerOutlivesItsKey) {
  Result<Caller> caller = fail(Code::kInternal, "");
  {
    World w;
    CreateKey act = key_act(50);
    act.only.models = {"smollm2"};
    must(w.d, act);
    caller = w.d.identify(secret_of(50), "", kNow);
    must(w.d, UpdateKey{.key = 4, .name = "renamed"});
  }
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->key_name, "k");
  EXPECT_FALSE(caller->may_infer("qwen"));
}

}  // namespace
}  // namespace mill::maas
