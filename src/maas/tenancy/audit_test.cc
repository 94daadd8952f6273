#include "maas/tenancy/audit.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "maas/catalog/book_for_test.h"
#include "maas/catalog/draft_codec.h"
#include "maas/tenancy/tenancy_for_test.h"

namespace mill::maas {
namespace {

using Fields = std::vector<AuditField>;

// An act, and the event that the trail must make of it.
struct Row {
  Act act;
  std::string type;
  uint64_t org = 0, project = 0;
  std::string target;
  Fields fields;
};

std::string org_text(uint64_t number) {
  return to_string(IdKind::kOrganization, id_of(number));
}
std::string project_text(uint64_t number) {
  return to_string(IdKind::kProject, id_of(number));
}
std::string key_text(uint64_t number) {
  return to_string(IdKind::kKey, id_of(number));
}
std::string user_text(uint64_t number) {
  return to_string(IdKind::kUser, id_of(number));
}
std::string account_text(uint64_t number) {
  return to_string(IdKind::kServiceAccount, id_of(number));
}
std::string shown(const KeyTail& tail, KeyKind kind = KeyKind::kProject) {
  return redacted(kind, tail);
}

std::vector<Row> makes_a_world() {
  CreateKey key = key_act(41);
  key.user = 1;
  key.expires_ns = kNow + kSecond;
  key.only = {.models = {"smollm2", "qwen"}, .networks = {*parse_cidr("10.0.0.0/8")}};
  const CreateAdminKey admin = admin_act(42, 1);
  return {
      {CreateOrganization{id_of(1), "Ada", "USD"_currency},
       "organization.created",
       1,
       0,
       org_text(1),
       {{"name", "", "Ada"}, {"currency", "", "USD"}}},
      {RenameOrganization{1, "Ada & Co"},
       "organization.updated",
       1,
       0,
       org_text(1),
       {{"name", "Ada", "Ada & Co"}}},
      {CreateProject{.id = id_of(11), .org = 1, .name = "one"},
       "project.created",
       1,
       1,
       project_text(11),
       {{"name", "", "one"}, {"tier", "", "default"}, {"weight", "", "1"}}},
      {RenameProject{1, "first"},
       "project.updated",
       1,
       1,
       project_text(11),
       {{"name", "one", "first"}}},
      {SetProjectShare{1, Tier::kFlex, 500},
       "project.updated",
       1,
       1,
       project_text(11),
       {{"tier", "default", "flex"}, {"weight", "1", "0.5"}}},
      {AddUser{id_of(21), 1, "ada@example.com", "Ada", Role::kOwner},
       "user.added",
       1,
       0,
       user_text(21),
       {{"email", "", "ada@example.com"}, {"name", "", "Ada"}, {"role", "", "owner"}}},
      {AddUser{id_of(22), 1, "bob@example.com", "Bob", Role::kReader},
       "user.added",
       1,
       0,
       user_text(22),
       {{"email", "", "bob@example.com"}, {"name", "", "Bob"}, {"role", "", "reader"}}},
      {SetUserRole{2, Role::kMember},
       "user.updated",
       1,
       0,
       user_text(22),
       {{"role", "reader", "member"}}},
      {CreateServiceAccount{id_of(31), 1, "robot"},
       "service_account.created",
       1,
       1,
       account_text(31),
       {{"name", "", "robot"}}},
      {key,
       "api_key.created",
       1,
       1,
       key_text(41),
       {{"name", "", "k"},
        {"expires_at", "", "1800000001"},
        {"models", "", "smollm2,qwen"},
        {"ip_allow_list", "", "10.0.0.0/8"},
        {"user", "", user_text(21)},
        {"redacted_value", "", shown(key.tail)}}},
      {admin,
       "admin_api_key.created",
       1,
       0,
       key_text(42),
       {{"name", "", "admin"}, {"redacted_value", "", shown(admin.tail, KeyKind::kAdmin)}}},
  };
}

std::vector<Row> changes_and_ends_it() {
  const CreateKey old_key = key_act(41), rotated = key_act(51);
  const CreateAdminKey old_admin = admin_act(42), new_admin = admin_act(52);
  const auto usd = "USD"_currency;
  return {
      {UpdateKey{.key = 1, .name = "renamed", .only = {.models = {"qwen"}}},
       "api_key.updated",
       1,
       1,
       key_text(41),
       {{"name", "k", "renamed"},
        {"expires_at", "1800000001", ""},
        {"models", "smollm2,qwen", "qwen"},
        {"ip_allow_list", "10.0.0.0/8", ""}}},
      {RotateKey{1, rotated.hash, rotated.tail},
       "api_key.rotated",
       1,
       1,
       key_text(41),
       {{"redacted_value", shown(old_key.tail), shown(rotated.tail)}}},
      {RotateKey{2, new_admin.hash, new_admin.tail},
       "admin_api_key.rotated",
       1,
       0,
       key_text(42),
       {{"redacted_value", shown(old_admin.tail, KeyKind::kAdmin),
         shown(new_admin.tail, KeyKind::kAdmin)}}},
      {UpdateKey{.key = 2, .name = "root"},
       "admin_api_key.updated",
       1,
       0,
       key_text(42),
       {{"name", "admin", "root"}}},
      {SetLimit{{1, 1, 0, "qwen"}, "requests_per_minute", 60},
       "rate_limit.updated",
       1,
       1,
       project_text(11),
       {{"requests_per_minute of qwen", "", "60"}}},
      {SetLimit{{1, 1, 0, "qwen"}, "requests_per_minute", 90},
       "rate_limit.updated",
       1,
       1,
       project_text(11),
       {{"requests_per_minute of qwen", "60", "90"}}},
      {SetLimit{{1, 1, 0, "qwen"}, "requests_per_minute", std::nullopt},
       "rate_limit.deleted",
       1,
       1,
       project_text(11),
       {{"requests_per_minute of qwen", "90", ""}}},
      {SetLimit{{}, "concurrent_requests", 7},
       "rate_limit.updated",
       0,
       0,
       "",
       {{"concurrent_requests", "", "7"}}},
      {SetSpendLimit{1, 0, usd, Period::kMonth, 1'500'000'000},
       "spend_limit.updated",
       1,
       0,
       org_text(1),
       {{"USD per month", "", "1.5"}}},
      {SetSpendLimit{1, 0, usd, Period::kMonth, std::nullopt},
       "spend_limit.deleted",
       1,
       0,
       org_text(1),
       {{"USD per month", "1.5", ""}}},
      {SetSpendAlert{1, 1, usd, Period::kDay, 2'000'000'000, "ops"},
       "spend_alert.updated",
       1,
       1,
       project_text(11),
       {{"USD per day above 2", "", "ops"}}},
      {SetSpendAlert{1, 1, usd, Period::kDay, 2'000'000'000, ""},
       "spend_alert.deleted",
       1,
       1,
       project_text(11),
       {{"USD per day above 2", "ops", ""}}},
      {SetCreditAlert{1, 3'000'000'000},
       "credit_alert.updated",
       1,
       0,
       org_text(1),
       {{"amount", "", "3"}}},
      {SetCreditAlert{1, std::nullopt},
       "credit_alert.deleted",
       1,
       0,
       org_text(1),
       {{"amount", "3", ""}}},
      {SetWebhook{1, "https://a.example/", std::string(32, 's')},
       "webhook.updated",
       1,
       0,
       org_text(1),
       {{"url", "", "https://a.example/"}, {"secret", "", "made"}}},
      {SetWebhook{1, "https://a.example/", std::string(32, 't'), kNow + 1'000'000},
       "webhook.updated",
       1,
       0,
       org_text(1),
       {{"secret", "", "rotated"}}},
      {DisableWebhook{1, "gone"},
       "webhook.disabled",
       1,
       0,
       org_text(1),
       {{"disabled", "", "gone"}}},
      {SetWebhook{1, "https://b.example/", std::string(32, 't')},
       "webhook.updated",
       1,
       0,
       org_text(1),
       {{"url", "https://a.example/", "https://b.example/"}, {"disabled", "gone", ""}}},
      {SetWebhook{1, "", ""},
       "webhook.deleted",
       1,
       0,
       org_text(1),
       {{"url", "https://b.example/", ""}}},
      {SetPriceBook{encode(book_for_test())},
       "price_book.created",
       0,
       0,
       "",
       {{"number", "", "1"}}},
      {WithdrawPriceBook{1}, "price_book.withdrawn", 0, 0, "", {{"number", "1", ""}}},
      {RevokeKey{1}, "api_key.deleted", 1, 1, key_text(41), {{"name", "renamed", ""}}},
      {RevokeKey{2}, "admin_api_key.deleted", 1, 0, key_text(42), {{"name", "root", ""}}},
      {DeleteServiceAccount{1},
       "service_account.deleted",
       1,
       1,
       account_text(31),
       {{"name", "robot", ""}}},
      {RemoveUser{2}, "user.deleted", 1, 0, user_text(22), {{"role", "member", ""}}},
      {ArchiveProject{1}, "project.archived", 1, 1, project_text(11), {}},
      {ArchiveOrganization{1}, "organization.archived", 1, 0, org_text(1), {}},
  };
}

std::vector<Row> one_life() {
  std::vector<Row> rows = makes_a_world();
  for (Row& row : changes_and_ends_it()) rows.push_back(std::move(row));
  return rows;
}

ledger::Entry entry_of(const Act& act, int64_t seq) {
  ledger::Entry entry;
  entry.kind = ledger::Kind::kAct;
  entry.seq = seq;
  entry.at_ns = kNow + seq;
  entry.actor = fmt::format("actor-{}", seq);
  entry.body = encode(act);
  return entry;
}

TEST(Audit, EveryActHasItsEvent) {
  AuditTrail trail;
  std::set<size_t> acts;
  int64_t seq = 0;
  for (const Row& row : one_life()) {
    SCOPED_TRACE(row.type);
    acts.insert(row.act.index());
    ++seq;
    const auto event = trail.next(entry_of(row.act, seq));
    ASSERT_TRUE(event) << event.error().message;
    EXPECT_EQ(event->seq, seq);
    EXPECT_EQ(event->at_ns, kNow + seq);
    EXPECT_EQ(event->actor, fmt::format("actor-{}", seq));
    EXPECT_EQ(event->type, row.type);
    EXPECT_EQ(event->org, row.org);
    EXPECT_EQ(event->project, row.project);
    EXPECT_EQ(event->target, row.target);
    ASSERT_EQ(event->fields.size(), row.fields.size());
    for (size_t i = 0; i < row.fields.size(); ++i) {
      EXPECT_EQ(event->fields[i].name, row.fields[i].name);
      EXPECT_EQ(event->fields[i].before, row.fields[i].before) << row.fields[i].name;
      EXPECT_EQ(event->fields[i].after, row.fields[i].after) << row.fields[i].name;
    }
  }
  EXPECT_EQ(acts.size(), std::variant_size_v<Act>);  // none was forgotten here
}

TEST(Audit, AKeyOfAServiceAccountNamesIt) {
  AuditTrail trail;
  int64_t seq = 0;
  for (const Act& act : std::vector<Act>{CreateOrganization{id_of(1), "Ada", "USD"_currency},
                                         CreateProject{.id = id_of(11), .org = 1, .name = "one"},
                                         CreateServiceAccount{id_of(31), 1, "robot"}}) {
    ASSERT_TRUE(trail.next(entry_of(act, ++seq)));
  }
  CreateKey key = key_act(41);
  key.service_account = 1;
  const auto event = trail.next(entry_of(key, ++seq));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->fields.back(), (AuditField{"service_account", "", account_text(31)}));
}

// Neither the secret, nor its hash in bytes, hex or base 62; of the secret only the last four
// digits may show.
TEST(Audit, NoEventHasASecretOrAHash) {
  std::vector<std::string> hidden;
  const auto hide = [&](const std::string& secret) {
    const ledger::Hash256 hash = ledger::sha256(secret);
    hidden.push_back(secret.substr(secret.size() - 49, 12));  // after the prefix
    hidden.push_back(secret.substr(secret.size() - 6));       // the checksum whole
    hidden.emplace_back(hash.begin(), hash.begin() + 6);
    hidden.push_back(fmt::format("{:02x}", fmt::join(hash.begin(), hash.begin() + 6, "")));
    hidden.push_back(fmt::format("{:02X}", fmt::join(hash.begin(), hash.begin() + 6, "")));
    std::array<char, 43> digits{};
    base62(hash, digits);
    hidden.emplace_back(digits.begin(), digits.begin() + 12);
  };
  for (const uint64_t number : {41, 51}) hide(secret_of(number));
  for (const uint64_t number : {42, 52}) hide(admin_secret_of(number));
  AuditTrail trail;
  int64_t seq = 0, keys = 0;
  for (const Row& row : one_life()) {
    const auto event = trail.next(entry_of(row.act, ++seq));
    ASSERT_TRUE(event);
    std::string all = event->id() + event->type + event->actor + event->target;
    for (const AuditField& field : event->fields) all += field.name + field.before + field.after;
    for (const std::string& text : hidden) EXPECT_EQ(all.find(text), all.npos) << row.type;
    keys += all.find("sk-") != all.npos ? 1 : 0;
  }
  EXPECT_EQ(keys, 4);  // the four events that show a tail
}

TEST(Audit, AnActThatIsNoneOrCannotBeIsAnError) {
  AuditTrail trail;
  ledger::Entry entry = entry_of(RenameOrganization{1, "x"}, 1);
  EXPECT_EQ(trail.next(entry).error().code, Code::kNotFound);
  entry.body = "garbage";
  EXPECT_EQ(trail.next(entry).error().code, Code::kCorrupt);
  ASSERT_TRUE(trail.next(entry_of(CreateOrganization{id_of(1), "Ada", "USD"_currency}, 1)));
}

TEST(Audit, Ids) {
  EXPECT_EQ(AuditEvent{.seq = 17}.id(), "audit_log-17");
  EXPECT_EQ(*parse_audit_id("audit_log-17"), 17);
  EXPECT_EQ(*parse_audit_id("audit_log-9223372036854775807"), INT64_MAX);
  for (const char* text : {"", "17", "audit_log-", "audit_log-0", "audit_log--1", "audit_log-1x",
                           "audit_log- 1", "audit_log-9223372036854775808", "AUDIT_LOG-1"}) {
    const auto seq = parse_audit_id(text);
    ASSERT_FALSE(seq) << text;
    EXPECT_EQ(seq.error().code, Code::kInvalid);
    EXPECT_EQ(seq.error().param, "after");
  }
}

TEST(Audit, Filters) {
  AuditEvent event{.seq = 3, .at_ns = kNow, .type = "api_key.created", .actor = "cli", .org = 1};
  event.project = 2;
  EXPECT_TRUE(AuditFilter{}.matches(event));
  EXPECT_TRUE((AuditFilter{.types = {"x", "api_key.created"}}.matches(event)));
  EXPECT_FALSE((AuditFilter{.types = {"api_key"}}.matches(event)));
  EXPECT_TRUE((AuditFilter{.actors = {"cli"}, .org = 1, .project = 2}.matches(event)));
  EXPECT_FALSE((AuditFilter{.actors = {"system"}}.matches(event)));
  EXPECT_FALSE((AuditFilter{.org = 2}.matches(event)));
  EXPECT_FALSE((AuditFilter{.project = 1}.matches(event)));
  EXPECT_TRUE((AuditFilter{.from_ns = kNow, .to_ns = kNow + 1}.matches(event)));
  EXPECT_FALSE((AuditFilter{.to_ns = kNow}.matches(event)));
  EXPECT_FALSE((AuditFilter{.from_ns = kNow + 1}.matches(event)));
}

}  // namespace
}  // namespace mill::maas
