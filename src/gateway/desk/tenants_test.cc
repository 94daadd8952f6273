// Organizations, projects, keys, service accounts, users and admin keys over HTTP.
#include "gateway/desk/desk_for_test.h"

namespace mill::gateway::desk {
namespace {

class TenantsTest : public DeskTest {};
#define TENANTS(name) TEST_F(TenantsTest, name)

TENANTS(AnOrganizationIsMadeNamedListedAndArchived) {
  const Reply made = must(post("/v1/organizations", R"({"name":"Ada","currency":"USD"})"));
  EXPECT_EQ(made.str("object"), "organization");
  EXPECT_TRUE(made.str("id").starts_with("org-"));
  EXPECT_EQ(made.str("currency"), "USD");
  EXPECT_EQ(made.str("archived_at"), "null");
  const std::string path = "/v1/organizations/" + made.str("id");
  EXPECT_EQ(must(post(path, R"({"name":"Ada & Co"})")).str("name"), "Ada & Co");
  EXPECT_EQ(must(get(path)).str("name"), "Ada & Co");
  EXPECT_EQ(must(get("/v1/organizations")).data().size(), 1u);
  EXPECT_EQ(must(post(path + "/archive")).str("status"), "archived");
  EXPECT_EQ(must(get("/v1/organizations")).data().size(), 0u);
  EXPECT_EQ(must(get("/v1/organizations?include_archived=true")).data().size(), 1u);
}

// Several acts of one POST are one: they stand side by side in the journal, or not at all.
TENANTS(AnOrganizationIsMadeWithItsMoneyOrNotAtAll) {
  const int64_t before = office->book().health().booked_seq;
  const Reply refused =
      post("/v1/organizations", R"({"name":"Eve","currency":"EUR","credit":"9000000000",)"
                                R"("credit_limit":"9000000000"})");
  EXPECT_EQ(refused.status, 413) << refused.text;
  EXPECT_EQ(must(get("/v1/organizations")).data().size(), 0u);
  EXPECT_EQ(office->book().health().booked_seq, before);
  const Reply made =
      must(post("/v1/organizations", R"({"name":"Ada","currency":"EUR","credit":"10.5",)"
                                     R"("credit_limit":"3"})"));
  EXPECT_EQ(office->book().health().booked_seq, before + 3);
  restart();
  const Reply balance = must(get("/v1/organizations/" + made.str("id") + "/balance"));
  EXPECT_EQ(balance.str("credit"), "10.50");
  EXPECT_EQ(balance.str("available"), "13.50");
}

TENANTS(SeveralLimitsOfOnePostHaveOneInstant) {
  const Tenant t = tenant("Ada");
  const int64_t before = office->book().health().booked_seq;
  must(post(in(t, "/rate_limits"),
            R"({"requests_per_minute":5,"requests_per_day":50,"concurrent_requests":2})"));
  must(post(in(t, "/service_accounts"), R"({"name":"bot"})"));
  std::vector<int64_t> instants;
  ASSERT_TRUE(office->book().scan({.from_seq = before + 1}, [&](const ledger::Entry& entry) {
    instants.push_back(entry.at_ns);
    return Status();
  }));
  ASSERT_EQ(instants.size(), 5u);
  EXPECT_EQ(instants[0], instants[2]);
  EXPECT_EQ(instants[3], instants[4]);
}

TENANTS(AProjectIsMadeChangedListedAndArchived) {
  const Tenant t = tenant("Ada");
  const Reply project = must(get(in(t)));
  EXPECT_EQ(project.str("object"), "organization.project");
  EXPECT_EQ(project.str("status"), "active");
  EXPECT_EQ(project.str("tier"), "default");
  EXPECT_GT(project.at("created_at").as_int64(), 1'700'000'000);
  const Reply changed = must(post(in(t), R"({"name":"two","tier":"priority","weight":2.5})"));
  EXPECT_EQ(changed.str("name"), "two");
  EXPECT_EQ(changed.str("tier"), "priority");
  EXPECT_EQ(changed.at("weight").as_double(), 2.5);
  const Reply list = must(get("/v1/organization/projects"));
  EXPECT_EQ(list.str("object"), "list");
  EXPECT_EQ(list.str("first_id"), t.project);
  EXPECT_EQ(list.str("last_id"), t.project);
  EXPECT_EQ(list.str("has_more"), "false");
  EXPECT_EQ(must(post(in(t, "/archive"))).str("status"), "archived");
  EXPECT_EQ(must(get("/v1/organization/projects")).str("first_id"), "null");
  EXPECT_EQ(must(get("/v1/organization/projects?include_archived=true")).data().size(), 1u);
  EXPECT_FALSE(office->keyring().identify(t.key, "127.0.0.1"));
}

TENANTS(AKeysSecretIsShownOnceAndInNoList) {
  const Tenant t = tenant("Ada");
  const Reply made = must(post(in(t, "/api_keys"), R"({"name":"batch","expires_at":4102444800,
      "models":["org/tiny"],"ip_allow_list":["127.0.0.0/8"]})"));
  const std::string secret = made.str("value"), id = made.str("id");
  ASSERT_TRUE(secret.starts_with("sk-"));
  EXPECT_TRUE(id.starts_with("key_"));
  const Reply one = must(get(in(t, "/api_keys/" + id)));
  EXPECT_EQ(one.str("object"), "organization.project.api_key");
  EXPECT_EQ(one.str("value"), "null");
  EXPECT_EQ(one.str("expires_at"), "4102444800");
  EXPECT_EQ(one.str("models"), R"(["org/tiny"])");
  EXPECT_EQ(one.str("ip_allow_list"), R"(["127.0.0.0/8"])");
  EXPECT_EQ(one.str("owner/project/id"), t.project);
  const Reply list = must(get(in(t, "/api_keys")));
  EXPECT_EQ(list.data().size(), 2u);
  for (const std::string* seen : {&secret, &t.key}) {
    EXPECT_EQ(list.text.find(*seen), std::string::npos);
    EXPECT_EQ(one.text.find(*seen), std::string::npos);
    EXPECT_EQ(must(get("/v1/organization/audit_logs")).text.find(*seen), std::string::npos);
  }
  EXPECT_TRUE(one.str("redacted_value").starts_with("sk-…")) << one.str("redacted_value");
}

TENANTS(AKeyIsUpdatedRotatedAndRevoked) {
  const Tenant t = tenant("Ada");
  const std::string path = in(t, "/api_keys/" + t.key_id);
  const Reply changed = must(post(path, R"({"name":"new","models":["base"]})"));
  EXPECT_EQ(changed.str("name"), "new");
  EXPECT_EQ(changed.str("models"), R"(["base"])");
  EXPECT_EQ(must(post(path, R"({"name":"newer"})")).str("models"), R"(["base"])");
  EXPECT_EQ(must(post(path, R"({"models":null})")).str("models"), "[]");
  const Reply rotated = must(post(path + "/rotate"));
  EXPECT_EQ(rotated.str("id"), t.key_id);
  EXPECT_NE(rotated.str("value"), t.key);
  EXPECT_FALSE(office->keyring().identify(t.key, "127.0.0.1"));
  EXPECT_TRUE(office->keyring().identify(rotated.str("value"), "127.0.0.1"));
  const Reply gone = must(erase(path));
  EXPECT_EQ(gone.str("object"), "organization.project.api_key.deleted");
  EXPECT_EQ(gone.str("deleted"), "true");
  EXPECT_FALSE(office->keyring().identify(rotated.str("value"), "127.0.0.1"));
  EXPECT_EQ(must(get(in(t, "/api_keys"))).data().size(), 0u);
  EXPECT_NE(must(get(path)).str("revoked_at"), "null");
  EXPECT_EQ(erase(path).status, 400);
}

TENANTS(WhatChangesNothingIsNoAct) {
  const Tenant t = tenant("Ada");
  must(post(in(t), R"({"name":"two","tier":"flex"})"));
  const int64_t before = office->book().health().booked_seq;
  EXPECT_EQ(must(post(in(t), R"({"name":"two","tier":"flex","weight":1})")).str("name"), "two");
  must(post(in(t), ""));
  must(post(in(t, "/api_keys/" + t.key_id), R"({"name":"k","models":null,"expires_at":null})"));
  must(post(in(t, "/api_keys/" + t.key_id)));
  must(post(in(t, "/rate_limits"), R"({"requests_per_minute":null})"));
  EXPECT_EQ(office->book().health().booked_seq, before);
  must(post(in(t), R"({"name":"three","tier":"default"})"));
  EXPECT_EQ(office->book().health().booked_seq, before + 2);
}

TENANTS(AServiceAccountComesWithAKey) {
  const Tenant t = tenant("Ada");
  const Reply made = must(post(in(t, "/service_accounts"), R"({"name":"bot"})"));
  EXPECT_EQ(made.str("object"), "organization.project.service_account");
  EXPECT_EQ(made.str("role"), "member");
  EXPECT_EQ(made.str("api_key/object"), "organization.project.service_account.api_key");
  const std::string secret = made.str("api_key/value"), id = made.str("id");
  EXPECT_TRUE(office->keyring().identify(secret, "127.0.0.1"));
  EXPECT_EQ(must(get(in(t, "/api_keys/" + made.str("api_key/id")))).str("owner/service_account/id"),
            id);
  EXPECT_EQ(must(post(in(t, "/service_accounts/" + id + "/api_keys"))).str("name"), "Secret Key");
  EXPECT_EQ(must(get(in(t, "/service_accounts"))).data().size(), 1u);
  EXPECT_EQ(must(get(in(t, "/service_accounts/" + id))).str("name"), "bot");
  EXPECT_EQ(must(post(in(t, "/service_accounts"),
                      R"({"name":"mute","create_service_account_only":true})"))
                .str("api_key"),
            "null");
  EXPECT_EQ(must(erase(in(t, "/service_accounts/" + id))).str("object"),
            "organization.project.service_account.deleted");
  EXPECT_FALSE(office->keyring().identify(secret, "127.0.0.1"));
}

TENANTS(UsersComeGoAndChangeTheirRoles) {
  const Tenant t = tenant("Ada");
  const Reply owner =
      must(post("/v1/organization/users", R"({"email":"ada@example.com","role":"owner"})"));
  EXPECT_EQ(owner.str("object"), "organization.user");
  EXPECT_EQ(owner.str("name"), "ada@example.com");
  const Reply user = must(post("/v1/organization/users",
                               R"({"email":"bob@example.com","name":"Bob","role":"reader"})"));
  const std::string path = "/v1/organization/users/" + user.str("id");
  EXPECT_EQ(must(post(path, R"({"role":"member"})")).str("role"), "member");
  EXPECT_EQ(must(get(path)).str("role"), "member");
  EXPECT_EQ(must(get("/v1/organization/users")).data().size(), 2u);
  EXPECT_EQ(must(get("/v1/organization/users?emails=BOB@example.com")).str("first_id"),
            user.str("id"));
  EXPECT_EQ(must(erase(path)).str("object"), "organization.user.deleted");
  EXPECT_EQ(must(get("/v1/organization/users")).data().size(), 1u);
  expect_error(post("/v1/organization/users", R"({"email":"x","role":"owner"})"), 400, "email");
  expect_error(post("/v1/organization/users", R"({"email":"x@y","role":"king"})"), 400, "role");
  expect_error(erase("/v1/organization/users/" + owner.str("id")), 400, "user");
}

TENANTS(AnAdminKeyIsTheOperatorsUnlessAnOrganizationIsNamed) {
  const Tenant t = tenant("Ada");
  const Reply own = must(
      post("/v1/organization/admin_api_keys", R"({"name":"second","expires_in_seconds":3600})"));
  EXPECT_EQ(own.str("object"), "organization.admin_api_key");
  EXPECT_EQ(own.str("owner/type"), "operator");
  EXPECT_TRUE(own.str("value").starts_with("sk-admin-"));
  const Reply list = must(get("/v1/organization/admin_api_keys"));
  EXPECT_EQ(list.data().size(), 2u);
  EXPECT_EQ(must(get("/v1/organization/admin_api_keys?order=desc&limit=1")).str("first_id"),
            own.str("id"));
  const std::string behind = "/v1/organization/admin_api_keys?before=" + own.str("id");
  EXPECT_EQ(must(get(behind)).str("first_id"), list.str("first_id"));
  EXPECT_EQ(list.text.find(own.str("value")), std::string::npos);
  const Reply theirs = must(get("/v1/organization/admin_api_keys?organization_id=" + t.org));
  ASSERT_EQ(theirs.data().size(), 1u);
  EXPECT_EQ(theirs.data()[0].at("owner").at("type"), "organization");
  const std::string path = "/v1/organization/admin_api_keys/" + own.str("id");
  EXPECT_EQ(must(get(path)).str("value"), "null");
  EXPECT_EQ(must(post(path, R"({"name":"spare"})")).str("name"), "spare");
  EXPECT_TRUE(must(post(path + "/rotate")).str("value").starts_with("sk-admin-"));
  EXPECT_EQ(must(erase(path)).str("object"), "organization.admin_api_key.deleted");
}

TENANTS(TheOperatorsLastKeyStays) {
  const Reply list = must(get("/v1/organization/admin_api_keys"));
  ASSERT_EQ(list.data().size(), 1u);
  expect_error(erase("/v1/organization/admin_api_keys/" + list.str("first_id")), 400, "key");
  EXPECT_EQ(get("/v1/organizations").status, 200);
}

TENANTS(RolesMayDoWhatTheyMay) {
  const Tenant t = tenant("Ada");
  const std::string of = "?organization_id=" + t.org;
  const auto key_of = [&](const std::string& role) {
    const Reply user = must(post("/v1/organization/users" + of,
                                 R"({"email":")" + role + R"(@x","role":")" + role + R"("})"));
    return must(post("/v1/organization/admin_api_keys" + of,
                     R"({"name":"k","user_id":")" + user.str("id") + R"("})"))
        .str("value");
  };
  const std::string owner = key_of("owner"), member = key_of("member"), reader = key_of("reader");
  for (const std::string& key : {owner, member, reader}) {
    EXPECT_EQ(send("GET", in(t), "", key).status, 200);
    EXPECT_EQ(send("GET", "/v1/organizations/" + t.org + "/balance", "", key).status, 200);
    // Money, shares and limits are the operator's.
    for (const char* path : {"/credit", "/credit_limit", "/write_off"})
      EXPECT_EQ(send("POST", "/v1/organizations/" + t.org + path, R"({"amount":"1"})", key).status,
                403);
    expect_error(send("POST", in(t), R"({"tier":"priority"})", key), 403, "scope");
    expect_error(send("POST", in(t, "/rate_limits"), R"({"requests_per_minute":1})", key), 403,
                 "scope");
    EXPECT_EQ(send("GET", "/v1/price_books", "", key).status, 403);
    EXPECT_EQ(send("POST", "/v1/organizations", R"({"name":"x","currency":"USD"})", key).status,
              403);
  }
  const std::string body = R"({"name":"n"})";
  EXPECT_EQ(send("POST", in(t, "/api_keys"), body, reader).status, 403);
  EXPECT_EQ(send("POST", in(t, "/api_keys"), body, member).status, 200);
  EXPECT_EQ(send("POST", "/v1/organization/projects", body, member).status, 403);
  EXPECT_EQ(send("POST", "/v1/organization/projects", body, owner).status, 200);
  EXPECT_EQ(send("POST", "/v1/organization/admin_api_keys", body, member).status, 403);
}

TENANTS(TheOperatorMustSayWhichOrganizationWhereThereAreSeveral) {
  expect_error(get("/v1/organization/projects"), 404, "");
  const Tenant a = tenant("A");
  EXPECT_EQ(get("/v1/organization/projects").status, 200);
  const Tenant b = tenant("B");
  expect_error(get("/v1/organization/projects"), 400, "organization_id");
  const Reply named =
      send("GET", "/v1/organization/projects", "", root, "OpenAI-Organization: " + b.org + "\r\n");
  EXPECT_EQ(named.str("first_id"), b.project);
  expect_error(send("GET", "/v1/organization/projects?organization_id=" + a.org, "", root,
                    "OpenAI-Organization: " + b.org + "\r\n"),
               400, "organization_id");
  EXPECT_EQ(get("/v1/organization/projects?organization_id=org-none").status, 404);
  // A project's own id is enough.
  EXPECT_EQ(get(in(a)).status, 200);
  EXPECT_EQ(get(in(a, "?organization_id=" + b.org)).status, 404);
}

TENANTS(ListsOf250KeysComeInPages) {
  const Tenant t = tenant("Ada");
  uint64_t project = 0;
  office->keyring().read([&](const maas::Directory& d) {
    project = d.find(maas::IdKind::kProject, t.project).value();
  });
  for (int i = 0; i < 250; ++i) {
    ASSERT_TRUE(
        office->create_key({.project = project, .name = "k" + std::to_string(i)}, "cli", kNever));
  }
  std::vector<std::string> seen;
  std::string after;
  std::vector<size_t> sizes;
  for (;;) {
    const Reply page =
        must(get(in(t, "/api_keys?limit=100" + (after.empty() ? "" : "&after=" + after))));
    sizes.push_back(page.data().size());
    for (const json::value& key : page.data())
      seen.emplace_back(key.as_object().at("id").as_string());
    EXPECT_EQ(page.str("first_id"), seen[seen.size() - page.data().size()]);
    after = page.str("last_id");
    EXPECT_EQ(after, seen.back());
    if (!page.at("has_more").as_bool()) break;
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{100, 100, 51}));
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()) - seen.begin(), 251);
  EXPECT_EQ(must(get(in(t, "/api_keys"))).data().size(), 20u);
  expect_error(get(in(t, "/api_keys?limit=0")), 400, "limit");
  expect_error(get(in(t, "/api_keys?limit=101")), 400, "limit");
  expect_error(get(in(t, "/api_keys?after=key_nobody")), 400, "after");
}

TENANTS(WhatWasDoneIsThereAfterARestart) {
  const Tenant t = tenant("Ada");
  const Reply before = must(get(in(t, "/api_keys/" + t.key_id)));
  restart();
  EXPECT_EQ(must(get(in(t, "/api_keys/" + t.key_id))).text, before.text);
  EXPECT_EQ(send("GET", in(t), "", t.admin).status, 200);
}

}  // namespace
}  // namespace mill::gateway::desk
