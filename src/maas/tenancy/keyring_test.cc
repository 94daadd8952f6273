#include "maas/tenancy/keyring.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "maas/tenancy/keyring_for_test.h"

namespace mill::maas {
namespace {

#define KEYRING(name) TEST_F(KeyringTest, name)

KEYRING(AnActIsJournaledAndInEffectWhenItReturns) {
  const Done org =
      done(CreateOrganization{.id = id_of(1), .name = "Ada", .currency = "USD"_currency});
  EXPECT_EQ(org.serial, 1u);
  EXPECT_EQ(book->health().durable_seq, org.seq);
  const Done project = done(CreateProject{.org = 1, .name = "one"});
  EXPECT_EQ(project.seq, org.seq + 1);
  const MintedKey key = minted();
  EXPECT_EQ(key.done.serial, 1u);
  EXPECT_EQ(book->health().durable_seq, key.done.seq);
  const auto caller = keys->identify(key.secret, "");
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->payer, (ledger::Payer{.org = 1, .project = 1, .key = 1}));

  std::vector<Act> acts;
  ASSERT_TRUE(book->scan({}, [&](const ledger::Entry& entry) -> Status {
    EXPECT_EQ(entry.kind, ledger::Kind::kAct);
    EXPECT_EQ(entry.actor, "cli");
    EXPECT_EQ(entry.at_ns, kNow);
    EXPECT_EQ(entry.body.find(key.secret.substr(3)), std::string::npos);  // its hash alone
    auto act = decode_act(entry.body);
    EXPECT_TRUE(act);
    if (act) acts.push_back(std::move(*act));
    return {};
  }));
  ASSERT_EQ(acts.size(), 3u);
  EXPECT_EQ(acts[0], Act(CreateOrganization{id_of(1), "Ada", "USD"_currency}));
  const auto& drawn = std::get<CreateProject>(acts[1]);
  EXPECT_TRUE(is_valid(drawn.id));
  EXPECT_EQ(*keys->read([&](const Directory& d) {
    return d.find(IdKind::kProject, to_string(IdKind::kProject, drawn.id));
  }),
            project.serial);
  EXPECT_EQ(std::get<CreateKey>(acts[2]).hash, ledger::sha256(key.secret));
}

KEYRING(WhatIsRefusedLeavesNoEntry) {
  one_project();
  const std::string before = bytes();
  const auto refused = [&](Act act, const char* param) {
    const auto did = keys->administer(std::move(act), "cli", soon());
    ASSERT_FALSE(did);
    EXPECT_EQ(did.error().param, param) << did.error().message;
  };
  refused(CreateProject{.org = 2, .name = "x"}, "organization");
  refused(RevokeKey{1}, "key");
  refused(CreateProject{.org = 1, .name = ""}, "name");
  refused(SetSpendLimit{1, 0, "CNY"_currency, Period::kDay, 1}, "currency");
  refused(SetPriceBook{"no book"}, "book");
  EXPECT_EQ(keys->create_key({.project = 9, .name = "x"}, "cli", soon()).error().param, "project");
  EXPECT_EQ(keys->rotate_key(1, "cli", soon()).error().code, Code::kNotFound);
  EXPECT_EQ(keys->create_key({.project = 1, .name = "x", .expires_ns = kNow}, "cli", soon())
                .error()
                .param,
            "expires_at");
  EXPECT_EQ(book->health().booked_seq, 2);
  EXPECT_EQ(bytes(), before);
}

KEYRING(KeysAreMintedRotatedAndRevoked) {
  one_project();
  const MintedKey first = minted(), second = minted();
  EXPECT_NE(first.secret, second.secret);
  const auto admin = keys->create_admin_key({.name = "root"}, "cli", soon());
  ASSERT_TRUE(admin);
  EXPECT_TRUE(admin->secret.starts_with("sk-admin-"));
  EXPECT_TRUE(keys->identify(admin->secret, "")->admin);

  const uint64_t revision = keys->revision();
  const auto rotated = keys->rotate_key(first.done.serial, "cli", soon());
  ASSERT_TRUE(rotated);
  EXPECT_EQ(keys->revision(), revision + 1);
  EXPECT_EQ(rotated->done.serial, first.done.serial);
  EXPECT_FALSE(let_in(first.secret));
  EXPECT_EQ(keys->identify(rotated->secret, "")->payer.key, first.done.serial);
  const auto admin_again = keys->rotate_key(admin->done.serial, "cli", soon());
  ASSERT_TRUE(admin_again);
  EXPECT_TRUE(admin_again->secret.starts_with("sk-admin-"));

  EXPECT_TRUE(keys->standing(first.done.serial));
  done(RevokeKey{first.done.serial});
  EXPECT_FALSE(let_in(rotated->secret));
  EXPECT_EQ(keys->standing(first.done.serial).error().param, "key");
  EXPECT_TRUE(let_in(second.secret));
}

KEYRING(AKeyExpiresByTheClockWithoutAnAct) {
  one_project();
  const auto key =
      keys->create_key({.project = 1, .name = "k", .expires_ns = kNow + kSecond}, "cli", soon());
  ASSERT_TRUE(key);
  const uint64_t revision = keys->revision();
  wall = kNow + kSecond - 1;
  EXPECT_TRUE(let_in(key->secret));
  wall = kNow + kSecond;
  EXPECT_FALSE(let_in(key->secret));
  EXPECT_FALSE(keys->standing(key->done.serial));
  EXPECT_EQ(keys->revision(), revision);
}

KEYRING(ALiveOneAndReplayedOnesHaveTheSameBytes) {
  one_project();
  std::vector<MintedKey> made;
  const auto more = [&] {
    for (int i = 0; i < 8; ++i) {
      wall += kSecond;
      made.push_back(minted());
      ASSERT_TRUE(book->post(ledger::credit(5)));  // money lies between the acts
    }
    done(RevokeKey{made.back().done.serial});
    done(SetLimit{{1, 1, 0, "m"}, "requests_per_minute", 60});
    done(SetSpendAlert{1, 0, "USD"_currency, Period::kDay, 5, "ops"});
    ASSERT_TRUE(keys->rotate_key(made.front().done.serial, "cli", soon()));
  };
  more();
  const std::string half = bytes();
  open();  // without a checkpoint: all acts
  EXPECT_EQ(bytes(), half);
  EXPECT_EQ(journal->acts_read, 14);

  ASSERT_TRUE(keys->checkpoint());
  open();  // with one: none
  EXPECT_EQ(bytes(), half);
  EXPECT_EQ(journal->acts_read, 0);

  more();
  const std::string whole = bytes();
  EXPECT_NE(whole, half);
  open();  // with one and what came after
  EXPECT_EQ(bytes(), whole);
  EXPECT_EQ(journal->acts_read, 12);
  EXPECT_TRUE(let_in(made[1].secret));
  EXPECT_FALSE(let_in(made[0].secret));  // rotated
  EXPECT_FALSE(let_in(made[7].secret));  // revoked
}

KEYRING(ABrokenCheckpointIsOnlyASlowerStart) {
  one_project();
  const MintedKey key = minted();
  const std::string whole = bytes();
  std::string later = whole;
  later[2] = 3;
  for (const std::string& broken :
       {std::string("garbage"), std::string("DY"), later, whole.substr(0, whole.size() - 1),
        whole + '\0', whole.substr(0, 3)}) {
    ASSERT_TRUE(book->save_projection("tenancy", 3, broken));
    open();
    EXPECT_EQ(bytes(), whole);
    EXPECT_EQ(journal->acts_read, 3);
    EXPECT_TRUE(let_in(key.secret));
  }
  ASSERT_TRUE(keys->checkpoint());  // and the next one is good again
  open();
  EXPECT_EQ(journal->acts_read, 0);
  EXPECT_EQ(bytes(), whole);
}

KEYRING(AnEmptyBookHasNobodyAndNoCheckpoint) {
  EXPECT_TRUE(keys->checkpoint());
  EXPECT_FALSE(let_in(secret_of(1)));
  EXPECT_TRUE(keys->audit({}, 10)->events.empty());
}

// What somebody else posts past the keyring may be a revocation that this program cannot read: then
// nobody is let in, and a start says which entry it is.
class BadAct : public KeyringTest, public testing::WithParamInterface<std::string> {};

TEST_P(BadAct, ClosesTheDoor) {
  one_project();
  const MintedKey key = minted();
  const uint64_t revision = keys->revision();
  ledger::Entry entry;
  entry.kind = ledger::Kind::kAct;
  entry.body = GetParam();
  const auto posted = book->post(std::move(entry));
  ASSERT_TRUE(posted);
  // The writer tells of it after it is durable.
  for (const Instant until = soon(); keys->revision() == revision && now() < until;)
    std::this_thread::yield();
  EXPECT_GT(keys->revision(), revision);  // streams that run ask, too
  EXPECT_EQ(keys->identify(key.secret, "").error().code, Code::kInternal);
  EXPECT_EQ(keys->standing(key.done.serial).error().code, Code::kInternal);
  EXPECT_FALSE(keys->checkpoint());
  const auto did = keys->administer(RenameOrganization{1, "x"}, "cli", soon());
  ASSERT_FALSE(did);
  EXPECT_EQ(did.error().code, Code::kInternal);
  open_book();
  const auto again = new_keyring();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kCorrupt);
  EXPECT_NE(again.error().message.find(fmt::format("entry {}", posted->seq)), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(KeyringTest, BadAct,
                         testing::Values("garbage", std::string("AC\x02\x11\x01", 5),
                                         encode(RevokeKey{99}),
                                         encode(CreateProject{.id = id_of(7), .org = 9}),
                                         encode(RevokeKey{1}) + '\0'));

KEYRING(AStalledJournalCostsTheDeadlineAndNothingElse) {
  one_project();
  const MintedKey key = minted();
  const auto shortly = [] { return now() + std::chrono::milliseconds(30); };
  journal->stall();
  const auto late = keys->administer(RevokeKey{key.done.serial}, "cli", shortly());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadline);
  EXPECT_TRUE(let_in(key.secret));  // not durable, so not in effect
  EXPECT_EQ(keys->read([](const Directory& d) { return d.key(1)->revoked_ns; }), 0);

  // The next act is not even checked before it is known what became of the first.
  const int64_t booked = book->health().booked_seq;
  EXPECT_EQ(keys->administer(RenameProject{1, "x"}, "cli", shortly()).error().code,
            Code::kDeadline);
  EXPECT_EQ(book->health().booked_seq, booked);

  journal->go_on();
  const auto again = keys->administer(RevokeKey{key.done.serial}, "cli", soon());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().param, "key");  // revoked already: the first took effect
  EXPECT_FALSE(let_in(key.secret));
  done(RenameProject{1, "x"});
}

KEYRING(AJournalThatFailsRefusesActsAndKeepsTheDoorOpen) {
  one_project();
  const MintedKey key = minted();
  journal->fails = true;
  ASSERT_TRUE(book->post(ledger::credit(5)));  // somebody's entry, which fails
  for (const Instant until = soon(); book->health().failed_commits == 0 && now() < until;)
    std::this_thread::yield();
  const auto did = keys->administer(RevokeKey{key.done.serial}, "cli", soon());
  ASSERT_FALSE(did);
  EXPECT_EQ(did.error().code, Code::kIo);
  EXPECT_TRUE(let_in(key.secret));
  journal->fails = false;
  ASSERT_TRUE(book->durable_blocking({.seq = book->health().booked_seq}, soon()));
  done(RevokeKey{key.done.serial});
  EXPECT_FALSE(let_in(key.secret));
}

KEYRING(WithoutRandomNumbersThereAreNoKeys) {
  one_project();
  keys.reset();
  auto opened =
      Keyring::open(*book, {.unix_ns = {}, .random = [](std::span<uint8_t>) { return false; }});
  ASSERT_TRUE(opened);
  keys = std::move(*opened);
  EXPECT_EQ(keys->create_key({.project = 1, .name = "k"}, "cli", soon()).error().code,
            Code::kInternal);
  EXPECT_EQ(keys->administer(CreateProject{.org = 1, .name = "x"}, "cli", soon()).error().code,
            Code::kInternal);
  EXPECT_EQ(book->health().booked_seq, 2);
}

KEYRING(TheBookMayOutliveIt) {
  one_project();
  keys.reset();
  const auto credited = book->post(ledger::credit(5));
  ASSERT_TRUE(credited);
  EXPECT_TRUE(book->durable_blocking(*credited, soon()));
}

KEYRING(TheAuditLogInPages) {
  one_project();
  for (int i = 0; i < 248; ++i) {
    wall += kSecond;
    const auto did = keys->administer(RenameProject{1, fmt::format("name {}", i)},
                                      i % 5 == 0 ? "key_a" : "cli", soon());
    ASSERT_TRUE(did);
    if (i % 50 == 0) {
      ASSERT_TRUE(book->post(ledger::credit(1)));
    }
  }
  const auto walk = [&](const AuditFilter& filter, size_t limit) {
    std::vector<AuditEvent> all;
    for (int64_t before = INT64_MAX;;) {
      auto page = keys->audit(filter, limit, before);
      EXPECT_TRUE(page);
      if (!page || page->events.empty()) return all;
      EXPECT_TRUE(page->events.size() == limit || !page->has_more);
      before = page->events.back().seq;
      for (AuditEvent& event : page->events) all.push_back(std::move(event));
      if (!page->has_more) return all;
    }
  };
  for (const size_t limit : {size_t{1}, size_t{50}, size_t{99}, kMaxPage}) {
    const auto all = walk({}, limit);
    ASSERT_EQ(all.size(), 250u) << limit;
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end(),
                               [](const auto& a, const auto& b) { return a.seq > b.seq; }));
    EXPECT_EQ(all.front().fields, (std::vector<AuditField>{{"name", "name 246", "name 247"}}));
    EXPECT_EQ(all.back().type, "organization.created");
  }
  EXPECT_EQ(walk({.actors = {"key_a"}}, 20).size(), 50u);
  EXPECT_EQ(walk({.types = {"project.created"}}, 20).size(), 1u);
  EXPECT_EQ(walk({.org = 2}, 20).size(), 0u);
  EXPECT_EQ(walk({.from_ns = kNow + 10 * kSecond, .to_ns = kNow + 20 * kSecond}, 3).size(), 10u);
  EXPECT_TRUE(keys->audit({}, 10, 1)->events.empty());
  EXPECT_TRUE(keys->audit({}, 10, INT64_MIN)->events.empty());
  EXPECT_EQ(keys->audit({}, 0).error().param, "limit");
  EXPECT_EQ(keys->audit({}, kMaxPage + 1).error().param, "limit");
}

}  // namespace
}  // namespace mill::maas
