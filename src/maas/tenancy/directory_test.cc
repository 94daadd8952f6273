#include "maas/tenancy/directory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "maas/catalog/book_for_test.h"
#include "maas/catalog/draft_codec.h"
#include "maas/tenancy/tenancy_for_test.h"
#include "maas/tenancy/text_rules.h"

namespace mill::maas {
namespace {

// Refused by check and by apply, with this field, and without a trace.
void refused(Directory& d, const Act& act, std::string_view param, Code code = Code::kInvalid) {
  const std::string before = d.snapshot();
  const Status checked = d.check(act, kNow);
  ASSERT_FALSE(checked) << param;
  EXPECT_EQ(checked.error().param, param) << checked.error().message;
  EXPECT_EQ(checked.error().code, code) << checked.error().message;
  const auto applied = d.apply(act, kNow);
  ASSERT_FALSE(applied) << param;
  EXPECT_EQ(applied.error().param, param);
  EXPECT_EQ(d.snapshot(), before);
}

TEST(Directory, SerialsCountPerKind) {
  World w;
  EXPECT_EQ(must(w.d, CreateOrganization{id_of(3), "Cleo", "USD"_currency}), 3u);
  must(w.d, ArchiveOrganization{3});
  EXPECT_EQ(must(w.d, CreateOrganization{id_of(4), "Dan", "USD"_currency}), 4u);
  EXPECT_EQ(must(w.d, key_act(50)), 4u);
  EXPECT_EQ(w.d.key(4)->org, 1u);
  EXPECT_EQ(w.d.next(IdKind::kKey), 5u);
  EXPECT_EQ(*w.d.find(IdKind::kKey, to_string(IdKind::kKey, id_of(50))), 4u);
  EXPECT_EQ(w.d.find(IdKind::kKey, to_string(IdKind::kKey, id_of(77))).error().code,
            Code::kNotFound);
  EXPECT_EQ(w.d.find(IdKind::kKey, "org-1").error().code, Code::kInvalid);
}

TEST(Directory, RefusesNames) {
  World w;
  const auto named = [](std::string name) {
    return CreateOrganization{id_of(99), std::move(name), "USD"_currency};
  };
  for (const std::string& name :
       {std::string(), std::string(129, 'x'), std::string("a\0b", 3), std::string("line\nfeed"),
        std::string("\xff"), std::string("\xc0\x80"), std::string("\xed\xa0\x80"),
        std::string("\xf4\x90\x80\x80"), std::string("cut \xe2\x82"), std::string("\x7f"),
        std::string("\xc2\x85"), std::string(" x"), std::string("x ")}) {
    refused(w.d, named(name), "name");
    refused(w.d, RenameOrganization{1, name}, "name");
    refused(w.d, RenameProject{1, name}, "name");
    refused(w.d, CreateServiceAccount{id_of(99), 1, name}, "name");
    refused(w.d, key_act(99, 1, name), "name");
    refused(w.d, UpdateKey{.key = 1, .name = name}, "name");
  }
  for (const std::string& name : {std::string(128, 'x'), std::string("Ключ 钥匙 🔑"),
                                  std::string("\xf4\x8f\xbf\xbf"), std::string("=cmd|' /C'!A0")})
    must(w.d, RenameOrganization{1, name});
}

TEST(Directory, RefusesParentsThatAreNotThereOrOver) {
  World w;
  must(w.d, CreateOrganization{id_of(3), "Cleo", "USD"_currency});
  must(w.d, CreateProject{.id = id_of(14), .org = 3, .name = "p"});
  must(w.d, AddUser{id_of(23), 3, "c@example.com", "C", Role::kOwner});
  must(w.d, ArchiveOrganization{3});
  must(w.d, ArchiveProject{2});
  const Code none = Code::kNotFound;
  for (const uint64_t serial : {uint64_t{0}, uint64_t{5}, UINT64_MAX}) {
    refused(w.d, CreateProject{.id = id_of(99), .org = serial, .name = "x"}, "organization", none);
    refused(w.d, ArchiveOrganization{serial}, "organization", none);
    refused(w.d, AddUser{id_of(99), serial, "a@b", "A", Role::kOwner}, "organization", none);
    refused(w.d, key_act(99, serial), "project", none);
    refused(w.d, CreateServiceAccount{id_of(99), serial, "x"}, "project", none);
    refused(w.d, ArchiveProject{serial}, "project", none);
    refused(w.d, SetProjectShare{.project = serial}, "project", none);
    refused(w.d, RevokeKey{serial}, "key", none);
    refused(w.d, RotateKey{.key = serial}, "key", none);
    refused(w.d, RemoveUser{serial}, "user", none);
    refused(w.d, DeleteServiceAccount{serial}, "service_account", none);
  }
  refused(w.d, CreateProject{.id = id_of(99), .org = 3, .name = "x"}, "organization");
  refused(w.d, ArchiveOrganization{3}, "organization");
  refused(w.d, key_act(99, 2), "project");
  refused(w.d, key_act(99, 4), "organization");  // its project is open, what is above is not
  refused(w.d, admin_act(99, 3), "organization");
  refused(w.d, SetUserRole{2, Role::kMember}, "organization");
  refused(w.d, ArchiveProject{2}, "project");
  must(w.d, RevokeKey{1});
  refused(w.d, RevokeKey{1}, "key");
  refused(w.d, UpdateKey{.key = 1, .name = "x"}, "key");
}

TEST(Directory, RefusesWhatExistsAlready) {
  World w;
  CreateKey same_id = key_act(99), same_secret = key_act(99);
  same_id.id = id_of(41);
  refused(w.d, same_id, "id");
  same_secret.hash = key_act(41).hash;
  refused(w.d, same_secret, "hash");
  must(w.d, RevokeKey{1});
  refused(w.d, same_secret, "hash");  // a revoked secret never comes back
  refused(w.d, RotateKey{2, key_act(41).hash, key_act(41).tail}, "hash");
  refused(w.d, CreateOrganization{id_of(1), "x", "USD"_currency}, "id");
  refused(w.d, CreateOrganization{ExternalId{}, "x", "USD"_currency}, "id");
  refused(w.d, AddUser{id_of(99), 1, "ADA@Example.com", "Ada", Role::kReader}, "email");
  must(w.d, AddUser{id_of(98), 2, "ada@example.com", "Ada", Role::kReader});  // elsewhere
}

TEST(Directory, RefusesFieldsOutOfRange) {
  World w;
  refused(w.d, CreateOrganization{id_of(99), "x", {}}, "currency");
  refused(w.d, CreateProject{.id = id_of(99), .org = 1, .name = "x", .weight_milli = 0}, "weight");
  refused(w.d, SetProjectShare{1, Tier::kDefault, 1'000'001}, "weight");
  refused(w.d, SetProjectShare{1, static_cast<Tier>(9), 1000}, "tier");
  refused(w.d, SetUserRole{1, static_cast<Role>(9)}, "role");
  for (const char* email : {"a", "@b", "a@", "a@b@c", "a b@c"})
    refused(w.d, AddUser{id_of(99), 1, email, "A", Role::kOwner}, "email");
  CreateKey key = key_act(99);
  key.hash = {};
  refused(w.d, key, "hash");
  key = key_act(99);
  key.tail = {'a', 'b', '\n', 'c'};
  refused(w.d, key, "tail");
}

TEST(Directory, RefusesListsOfKeys) {
  World w;
  CreateKey key = key_act(99);
  for (size_t i = 0; i <= kMaxKeyModels; ++i) key.only.models.push_back(fmt::format("m{}", i));
  refused(w.d, key, "models", Code::kTooLarge);
  key.only.models.pop_back();
  EXPECT_TRUE(w.d.check(key, kNow));
  key.only.models.back() = "m0";
  refused(w.d, key, "models");
  key.only.models.back() = "";
  refused(w.d, key, "models");
  key = key_act(99);
  key.only.networks.assign(kMaxKeyNetworks + 1, *parse_cidr("10.0.0.0/8"));
  refused(w.d, key, "ip_allow_list", Code::kTooLarge);
  key.only.networks = {Cidr{.bits = 200}};
  refused(w.d, key, "ip_allow_list");
  CreateAdminKey admin = admin_act(99);
  admin.only.models = {"m"};
  refused(w.d, admin, "models");
  refused(w.d, UpdateKey{.key = 2, .name = "x", .only = admin.only}, "models");
}

TEST(Directory, RefusesAnExpiryInThePastOnlyBeforeItIsJournaled) {
  World w;
  CreateKey key = key_act(99);
  for (const int64_t at : {kNow, kNow - 1, int64_t{-1}}) {
    key.expires_ns = at;
    EXPECT_EQ(w.d.check(key, kNow).error().param, "expires_at");
  }
  key.expires_ns = kNow + 1;
  EXPECT_TRUE(w.d.check(key, kNow));
  // Journaled in time, replayed late.
  EXPECT_TRUE(w.d.apply(key, kNow + 2));
}

TEST(Directory, RefusesOwnersOfElsewhere) {
  World w;
  must(w.d, AddUser{id_of(22), 2, "bob@example.com", "Bob", Role::kOwner});
  CreateKey key = key_act(99);
  key.user = 2;
  refused(w.d, key, "user");
  key.user = 1;
  key.service_account = 1;
  refused(w.d, key, "user");
  key = key_act(99, 2);
  key.service_account = 1;
  refused(w.d, key, "service_account");
  refused(w.d, admin_act(99, 1, 2), "user");
  refused(w.d, admin_act(99, 0, 1), "user");
}

TEST(Directory, KeepsTheLastOwner) {
  World w;
  refused(w.d, RemoveUser{1}, "user");
  refused(w.d, SetUserRole{1, Role::kMember}, "user");
  must(w.d, SetUserRole{1, Role::kOwner});
  must(w.d, AddUser{id_of(22), 1, "b@example.com", "B", Role::kOwner});
  must(w.d, RemoveUser{1});
  refused(w.d, RemoveUser{1}, "user");
  refused(w.d, RemoveUser{2}, "user");
  must(w.d, AddUser{id_of(24), 1, "ada@example.com", "Ada", Role::kReader});  // again, anew
}

TEST(Directory, LimitsAndSpending) {
  World w;
  const auto usd = "USD"_currency;
  refused(w.d, SetLimit{{}, "", 1}, "limit");
  refused(w.d, SetLimit{{}, "RPM", 1}, "limit");
  refused(w.d, SetLimit{{}, "x", -1}, "value");
  refused(w.d, SetLimit{{}, "x", kMaxLimit + 1}, "value");
  refused(w.d, SetLimit{{}, "x", std::nullopt}, "limit", Code::kNotFound);
  refused(w.d, SetLimit{{1, 3, 0, ""}, "x", 1}, "project");
  refused(w.d, SetLimit{{0, 1, 0, ""}, "x", 1}, "project");
  refused(w.d, SetLimit{{1, 2, 1, ""}, "x", 1}, "key");
  refused(w.d, SetLimit{{1, 0, 0, "m"}, "x", 1}, "model");
  must(w.d, SetLimit{{1, 1, 0, "m"}, "x", 7});
  must(w.d, SetLimit{{1, 1, 1, ""}, "x", kMaxLimit});
  EXPECT_EQ(w.d.limits().size(), 2u);
  must(w.d, SetLimit{{1, 1, 0, "m"}, "x", std::nullopt});
  EXPECT_EQ(w.d.limits().size(), 1u);

  refused(w.d, SetSpendLimit{0, 0, usd, Period::kDay, 1}, "organization");
  refused(w.d, SetSpendLimit{1, 0, {}, Period::kDay, 1}, "currency");
  refused(w.d, SetSpendLimit{1, 0, usd, static_cast<Period>(7), 1}, "period");
  refused(w.d, SetSpendLimit{1, 0, usd, Period::kDay, -1}, "amount");
  refused(w.d, SetSpendLimit{1, 0, usd, Period::kDay, std::nullopt}, "amount", Code::kNotFound);
  must(w.d, SetSpendLimit{1, 0, usd, Period::kDay, 5});
  EXPECT_EQ(w.d.spend_limits().begin()->second, 5);
  refused(w.d, SetSpendAlert{1, 0, usd, Period::kDay, 0, "ops"}, "amount");
  refused(w.d, SetSpendAlert{1, 0, usd, Period::kDay, 1, ""}, "amount", Code::kNotFound);
  for (size_t i = 1; i <= kMaxSpendAlerts; ++i)
    must(w.d, SetSpendAlert{1, 0, usd, Period::kDay, static_cast<int64_t>(i), "ops"});
  refused(w.d, SetSpendAlert{1, 0, usd, Period::kMonth, 1, "ops"}, "amount", Code::kTooLarge);
  must(w.d, SetSpendAlert{1, 0, usd, Period::kDay, 1, "others"});
  must(w.d, SetSpendAlert{1, 0, usd, Period::kDay, 1, ""});
  must(w.d, SetSpendAlert{1, 0, usd, Period::kMonth, 1, "ops"});
}

TEST(Directory, RefusesSpendingInAnotherCurrency) {
  World w;
  const auto usd = "USD"_currency, cny = "CNY"_currency;
  for (const uint64_t project : {0, 1}) {
    refused(w.d, SetSpendLimit{1, project, cny, Period::kDay, 5}, "currency");
    refused(w.d, SetSpendAlert{1, project, cny, Period::kDay, 5, "ops"}, "currency");
  }
  refused(w.d, SetSpendLimit{2, 3, usd, Period::kMonth, 5}, "currency");
  refused(w.d, SetSpendAlert{2, 0, "CREDITS"_currency, Period::kMonth, 5, "ops"}, "currency");
  must(w.d, SetSpendLimit{2, 3, cny, Period::kMonth, 5});
  must(w.d, SetSpendAlert{2, 0, cny, Period::kMonth, 5, "ops"});
  must(w.d, SetSpendLimit{1, 1, usd, Period::kDay, 5});
}

// A draft whose bytes are just as many.
std::string book_of(size_t bytes) {
  BookDraft draft = book_for_test();
  draft.note = std::string(1 << 14, 'x');  // so that its length has 3 bytes, and keeps them
  draft.note.resize(draft.note.size() + bytes - encode(draft).size(), 'x');
  return encode(draft);
}

TEST(Directory, PriceBooksAreThoseOfTheCatalog) {
  World w;
  const std::string good = encode(book_for_test());
  refused(w.d, SetPriceBook{""}, "book");
  refused(w.d, SetPriceBook{"PB"}, "book");
  refused(w.d, SetPriceBook{"models: []"}, "book");
  refused(w.d, SetPriceBook{good.substr(0, good.size() - 1)}, "book");
  refused(w.d, SetPriceBook{good + '\0'}, "book");
  refused(w.d, SetPriceBook{"PB\x02" + good.substr(3)}, "book");  // a later format
  // A length in more bytes than it needs: what it says is the same, and the bytes are not.
  const std::string empty = encode(BookDraft{});
  ASSERT_EQ(empty[3], '\0');
  const std::string longer = empty.substr(0, 3) + '\x80' + empty.substr(3);
  ASSERT_TRUE(decode_book(longer));
  refused(w.d, SetPriceBook{longer}, "book");
  refused(w.d, SetPriceBook{book_of(kMaxPriceBook + 1)}, "book", Code::kTooLarge);
  EXPECT_EQ(w.d.price_books(), 0);
  must(w.d, SetPriceBook{book_of(kMaxPriceBook)});
  refused(w.d, WithdrawPriceBook{2}, "number", Code::kNotFound);
  refused(w.d, WithdrawPriceBook{0}, "number", Code::kNotFound);
  must(w.d, WithdrawPriceBook{1});
  must(w.d, SetPriceBook{good});
  EXPECT_EQ(w.d.price_books(), 2);
}

TEST(Directory, TheLargestActFitsAnEntry) {
  ledger::Entry entry;
  entry.body = encode(SetPriceBook{std::string(kMaxPriceBook, 'x')});
  EXPECT_TRUE(ledger::validate(entry));
  CreateKey key = key_act(1, UINT32_MAX, std::string(kMaxName, 'x'));
  key.only.models.assign(kMaxKeyModels, std::string(128, 'x'));
  key.only.networks.assign(kMaxKeyNetworks, *parse_cidr("10.0.0.0/8"));
  entry.body = encode(key);
  EXPECT_TRUE(ledger::validate(entry));
}

TEST(Directory, WhoMayDoWhat) {
  World w;
  must(w.d, AddUser{id_of(22), 1, "m@example.com", "M", Role::kMember});
  must(w.d, AddUser{id_of(23), 1, "r@example.com", "R", Role::kReader});
  must(w.d, admin_act(44, 1, 2));
  must(w.d, admin_act(45, 1, 3));
  const auto may = [&](const std::string& secret, const Act& act) {
    const Status status = w.d.authorize(*w.d.identify(secret, "", kNow), act);
    if (!status) {
      EXPECT_EQ(status.error().param, "scope");
    }
    return status.has_value();
  };
  const std::string plant = admin_secret_of(42), owner = admin_secret_of(43);
  const std::string member = admin_secret_of(44), reader = admin_secret_of(45);
  struct Row {
    Act act;
    bool plant, owner, member;
  };
  const Row rows[] = {
      {CreateOrganization{id_of(9), "x", "USD"_currency}, true, false, false},
      {ArchiveOrganization{1}, true, false, false},
      {SetLimit{{1, 0, 0, ""}, "x", 1}, true, false, false},
      {SetSpendLimit{1, 0, "USD"_currency, Period::kDay, 1}, true, false, false},
      {SetSpendAlert{1, 0, "USD"_currency, Period::kDay, 1, "x"}, true, true, false},
      {SetSpendAlert{2, 0, "USD"_currency, Period::kDay, 1, "x"}, true, false, false},
      {SetCreditAlert{1, 1}, true, true, false},
      {SetCreditAlert{2, 1}, true, false, false},
      {SetWebhook{1, "https://a.example", std::string(32, 's')}, true, true, false},
      {SetWebhook{2, "https://a.example", std::string(32, 's')}, true, false, false},
      {DisableWebhook{1, "x"}, true, false, false},
      {SetPriceBook{"x"}, true, false, false},
      {SetProjectShare{.project = 1}, true, false, false},
      {CreateProject{.id = id_of(9), .org = 1, .name = "x", .weight_milli = 2000}, true, false,
       false},
      {CreateProject{.id = id_of(9), .org = 1, .name = "x"}, true, true, false},
      {CreateProject{.id = id_of(9), .org = 2, .name = "x"}, true, false, false},
      {RenameOrganization{1, "x"}, true, true, false},
      {RenameOrganization{2, "x"}, true, false, false},
      {ArchiveProject{1}, true, true, false},
      {ArchiveProject{3}, true, false, false},
      {ArchiveProject{99}, true, false, false},
      {AddUser{id_of(9), 1, "x@y", "x", Role::kOwner}, true, true, false},
      {SetUserRole{2, Role::kOwner}, true, true, false},
      {RemoveUser{2}, true, true, false},
      {admin_act(99, 1), true, true, false},
      {admin_act(99, 0), true, false, false},
      {RevokeKey{2}, true, false, false},  // the operator's
      {RevokeKey{3}, true, true, false},   // an admin key of the organization
      {RevokeKey{1}, true, true, true},
      {RotateKey{.key = 1}, true, true, true},
      {key_act(99, 1), true, true, true},
      {key_act(99, 3), true, false, false},
      {CreateServiceAccount{id_of(9), 2, "x"}, true, true, true},
      {DeleteServiceAccount{1}, true, true, true},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.act.index());
    EXPECT_EQ(may(plant, row.act), row.plant);
    EXPECT_EQ(may(owner, row.act), row.owner);
    EXPECT_EQ(may(member, row.act), row.member);
    EXPECT_FALSE(may(reader, row.act));
    EXPECT_FALSE(may(secret_of(41), row.act));
  }
  // A role that changes is felt by the keys that have it.
  must(w.d, SetUserRole{2, Role::kReader});
  EXPECT_FALSE(may(member, RevokeKey{1}));
}

TEST(Directory, AnOperatorKeyIsMissedWhenThereIsNone) {
  World w;
  EXPECT_TRUE(w.d.has_operator_key(kNow));
  must(w.d, RevokeKey{2});
  EXPECT_FALSE(w.d.has_operator_key(kNow));  // key 3 is an organization's
}

TEST(Directory, ListsInPages) {
  World w;
  for (uint64_t i = 0; i < 250; ++i) must(w.d, key_act(1000 + i, 2));
  for (uint64_t i = 0; i < 250; i += 3) must(w.d, RevokeKey{4 + i});
  for (const bool all : {false, true}) {
    std::vector<uint64_t> seen;
    PageRequest page{.limit = 100, .include_ended = all};
    for (;;) {
      const auto got = w.d.keys(2, page);
      ASSERT_TRUE(got);
      for (const auto& item : got->items) seen.push_back(item.serial);
      if (!got->has_more) break;
      ASSERT_EQ(got->items.size(), 100u);
      page.after = to_string(IdKind::kKey, got->items.back().record.id);
    }
    std::vector<uint64_t> expected;
    for (uint64_t i = 0; i < 250; ++i) {
      if (all || i % 3 != 0) expected.push_back(4 + i);
    }
    EXPECT_EQ(seen, expected);
  }
  EXPECT_EQ(w.d.keys(1, {})->items.size(), 1u);
  EXPECT_EQ(w.d.admin_keys(0, {})->items.size(), 1u);
  EXPECT_EQ(w.d.admin_keys(1, {})->items.size(), 1u);
  EXPECT_EQ(w.d.projects(1, {})->items.size(), 2u);
  EXPECT_EQ(w.d.organizations({})->items.size(), 2u);
  EXPECT_EQ(w.d.users(1, {})->items.size(), 1u);
  EXPECT_EQ(w.d.service_accounts(1, {})->items.size(), 1u);
  EXPECT_FALSE(w.d.keys(2, {.limit = 10})->items.empty());
  EXPECT_EQ(w.d.keys(2, {.limit = 0}).error().param, "limit");
  EXPECT_EQ(w.d.keys(2, {.limit = 101}).error().param, "limit");
  EXPECT_EQ(w.d.keys(2, {.after = "key_x"}).error().param, "after");
  // The cursor of another project's list shows nothing of it.
  EXPECT_EQ(w.d.keys(2, {.after = to_string(IdKind::kKey, id_of(41))}).error().param, "after");
}

TEST(Directory, TenThousandKeysTakeFewMegabytes) {
  World w;
  w.d = Directory();
  must(w.d, CreateOrganization{id_of(1), "Ada", "USD"_currency});
  must(w.d, CreateProject{.id = id_of(2), .org = 1, .name = "p"});
  std::vector<CreateKey> acts;
  for (uint64_t i = 0; i < 10'000; ++i) acts.push_back(key_act(100 + i, 1, "a key of 16 B.."));
  const size_t before = heap_bytes();
  for (const CreateKey& act : acts) ASSERT_TRUE(w.d.apply(act, kNow));
  const size_t per_key = (heap_bytes() - before) / acts.size();
  fmt::print("{} bytes a key\n", per_key);
  RecordProperty("bytes_per_key", static_cast<int>(per_key));
  if constexpr (kHeapIsCounted) {
    EXPECT_GT(per_key, sizeof(Key));  // the measure itself works
    EXPECT_LT(per_key, 600u);
  }
}

}  // namespace
}  // namespace mill::maas
