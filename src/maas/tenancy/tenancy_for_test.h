// What the tests of the tenancy share: ids and secrets out of numbers, and a small world.
#pragma once

#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <random>
#include <string>
#include <utility>

#include "base/check.h"
#include "maas/tenancy/directory.h"

namespace mill::maas {

using ledger::operator""_currency;

inline constexpr int64_t kSecond = 1'000'000'000;
inline constexpr int64_t kNow = int64_t{1'800'000'000} * kSecond;

inline std::array<uint8_t, 32> bytes_of(uint64_t number) {
  std::mt19937_64 random(number);
  std::array<uint8_t, 32> out{};
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}
inline ExternalId id_of(uint64_t number) {
  return make_id(bytes_of(number));
}

// What was allocated and not freed, large blocks too. A sanitizer's allocator does not say.
inline size_t heap_bytes() {
  const auto all = mallinfo2();
  return all.uordblks + all.hblkhd;
}
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kHeapIsCounted = false;
#else
inline constexpr bool kHeapIsCounted = true;
#endif

inline CreateKey key_act(uint64_t number, uint64_t project = 1, std::string name = "k") {
  const Secret secret = mint_secret(KeyKind::kProject, bytes_of(number + 1'000'000));
  return {.id = id_of(number),
          .project = project,
          .name = std::move(name),
          .hash = secret.hash,
          .tail = secret.tail};
}
inline std::string secret_of(uint64_t number) {
  return mint_secret(KeyKind::kProject, bytes_of(number + 1'000'000)).text;
}
inline CreateAdminKey admin_act(uint64_t number, uint64_t org = 0, uint64_t user = 0) {
  const Secret secret = mint_secret(KeyKind::kAdmin, bytes_of(number + 2'000'000));
  return {.id = id_of(number),
          .org = org,
          .user = user,
          .name = "admin",
          .hash = secret.hash,
          .tail = secret.tail};
}
inline std::string admin_secret_of(uint64_t number) {
  return mint_secret(KeyKind::kAdmin, bytes_of(number + 2'000'000)).text;
}

// Checks and applies, as the keyring does; the serial number.
inline uint64_t must(Directory& d, const Act& act, int64_t at_ns = kNow) {
  const Status checked = d.check(act, at_ns);
  EXPECT_TRUE(checked) << checked.error().message;
  const auto done = d.apply(act, at_ns);
  EXPECT_TRUE(done) << done.error().message;
  return done ? *done : 0;
}

// Two organizations; projects 1 and 2 of the first, 3 of the second; user 1 owns the first; service
// account 1 of project 1; key 1 of project 1, key 2 of the operator, key 3 (admin) of user 1.
struct World {
  Directory d;
  World() {
    must(d, CreateOrganization{id_of(1), "Ada", "USD"_currency});
    must(d, CreateOrganization{id_of(2), "Bob", "CNY"_currency});
    must(d, CreateProject{.id = id_of(11), .org = 1, .name = "one"});
    must(d,
         CreateProject{
             .id = id_of(12), .org = 1, .name = "two", .tier = Tier::kFlex, .weight_milli = 500});
    must(d, CreateProject{.id = id_of(13), .org = 2, .name = "three"});
    must(d, AddUser{id_of(21), 1, "ada@example.com", "Ada", Role::kOwner});
    must(d, CreateServiceAccount{id_of(31), 1, "robot"});
    must(d, key_act(41));
    must(d, admin_act(42));
    must(d, admin_act(43, 1, 1));
  }
};

}  // namespace mill::maas
