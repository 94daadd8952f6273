// One line of the journal: a movement of money, a step of a hold, or an administrative act.
//
// An entry stands by itself: who, what, how much, at which price, why. Entries are immutable and
// chained: the hash of each covers its bytes and the hash before it. The encoding is
// docs/formats/journal.md. Pure; any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/money.h"

namespace mill::ledger {

enum class Kind : uint8_t {
  kAct = 1,     // an administrative act; its body is opaque here
  kCredit = 2,  // an organization's credit grows by `amount`, or shrinks where it is negative
  kHold = 3,    // `amount` of credit is reserved for request `hold`
  kExtend = 4,  // the open hold grows by `amount`
  kProgress =
      5,        // what the request would cost if it ended here (cumulative): where recovery settles
  kSettle = 6,  // `amount` is charged, `held` is released
  kVoid = 7,    // nothing is charged, `held` is released
  kExpire = 8,  // the same, since the lease ran out
  kReversal = 9,   // `amount` of an earlier settle's charge goes back to the credit
  kWriteOff = 10,  // `amount` that an organization owes is given up
  kLimit = 11,     // an organization may owe up to `amount` (post-paid)
  kOverhead = 12,  // electricity that no request answers for; no money of a tenant moves
};
std::string_view name(Kind kind);

enum class Reason : uint8_t {
  kNone = 0,
  kStop = 1,                   // the answer ended by itself
  kLength = 2,                 // it reached its limit of tokens, or its hold
  kClientGone = 3,             // who asked has left: what was milled is charged
  kDeadline = 4,               // the request's time ran out: what was milled is charged
  kFaultBeforeFirstToken = 5,  // our fault, nothing delivered: nothing is charged
  kFaultAfterFirstToken = 6,   // our fault, in the middle: what was delivered is charged
  kQueueTimeout = 7,           // it never began: nothing is charged
  kDrained = 8,           // the server went down in an orderly way: what was delivered is charged
  kRecovered = 9,         // the process died: charged up to the last progress
  kLeaseExpired = 10,     // nobody came back for the hold: charged up to the last progress
  kFilter = 11,           // stopped by a filter: the input is charged
  kRefused = 12,          // refused after the hold, before it began: nothing is charged
  kKeyRevoked = 13,       // the key was revoked in the middle: what was milled is charged
  kReplayed = 14,         // an Idempotency-Key was seen before: nothing is charged
  kBatchLineFailed = 15,  // a line of a batch failed: nothing is charged
};
inline constexpr uint8_t kReasonCount = 16;
std::string_view name(Reason reason);

// Serial numbers given by maas/tenancy, never reused; 0 is none.
struct Payer {
  uint64_t org = 0, project = 0, key = 0;
  friend bool operator==(const Payer&, const Payer&) = default;
};

// Tokens by what they cost: disjoint, so that they add up. Never negative.
struct Buckets {
  int64_t input_uncached = 0, input_cache_read = 0, input_cache_write = 0, input_image = 0;
  int64_t output_text = 0, output_reasoning = 0, output_image = 0;
  friend bool operator==(const Buckets&, const Buckets&) = default;
};

// The ULID of a request: 48 bits of milliseconds since 1970, big-endian, then 80 random bits. All
// zero is none.
using HoldId = std::array<uint8_t, 16>;
HoldId ulid(int64_t unix_ms, std::span<const uint8_t, 10> random);
int64_t ulid_ms(const HoldId& id);
std::string to_string(const HoldId& id);              // 26 characters of Crockford's base 32
Result<HoldId> parse_hold_id(std::string_view text);  // kInvalid; lower case is understood
inline bool is_none(const HoldId& id) {
  return id == HoldId{};
}

using Hash256 = std::array<uint8_t, 32>;
std::string to_hex(const Hash256& hash);
Hash256 sha256(std::string_view bytes);

enum Flag : uint32_t {
  kStream = 1,
  kBatch = 2,
  kFlagRecovered = 4,  // settled by recovery, not by the request
  kCachedReplay = 8,   // answered from what an Idempotency-Key had stored
  // Where `microjoules` come from; neither: they are not known, and 0 says nothing.
  kEnergyModel = 16,   // the watts of a configured model
  kEnergyRapl = 32,    // the machine's own counters
  kEnergyPriced = 64,  // a tariff says `energy_cost` and `co2_micrograms`; else these say nothing
};
inline constexpr uint32_t kFlagMask = 127;

// What is kept beside an entry, in the same transaction, for whoever posts it: no part of the books
// or of the chain, opaque here, and gone when its owner says so.
struct Keepsake {
  std::string name;
  std::string bytes;
  int64_t forget_through = 0;  // those of entries up to this one go now
};

// Requires (checked by validate): counts, `held` and energy are not negative; texts are UTF-8
// without control characters, at most kMaxText bytes; `body` at most kMaxBody. Which fields a kind
// uses is the table of docs/formats/journal.md.
struct Entry {
  int64_t seq = 0;    // 1, 2, 3 … without gaps; given by the book
  int64_t at_ns = 0;  // since 1970 UTC; given by the book, never decreases
  Kind kind = Kind::kAct;
  HoldId hold{};  // of the request; of credits and write-offs: an id of the caller's, or none
  Payer payer;
  Currency currency;
  Nano amount = 0;
  Nano held = 0;  // what a settle, void or expire releases; given by the book
  Buckets tokens;
  std::string model;
  int64_t price_version = 0;
  uint8_t tier = 0;
  uint32_t flags = 0;
  Reason reason = Reason::kNone;
  int64_t delivered_bytes = 0;
  int64_t residue = 0;  // 1e-15 of a unit: the exact charge minus the rounded one, within ±500,000
  int64_t microjoules = 0;
  Nano energy_cost = 0;  // in the currency of the tariff; of an overhead that is `currency`
  int64_t co2_micrograms = 0;
  std::string actor;           // who did it: "user-…", "key_…", "cli", "system"
  std::string body;            // bytes of an act, or a note
  Hash256 previous{}, hash{};  // given by the book's writer
  // On its way to the journal alone:
  std::shared_ptr<const Keepsake> keepsake;  // mostly none
  bool with_previous = false;  // in one transaction with the entry before; given by the book

  friend bool operator==(const Entry&, const Entry&) = default;
};
inline constexpr size_t kMaxText = 256;
inline constexpr size_t kMaxBody = 1 << 20;
inline constexpr int64_t kMaxResidue = 500'000;

// The rules that one entry alone can break; kInvalid names the field.
Status validate(const Entry& entry);

// The canonical bytes of everything but `previous` and `hash`; equal entries have equal bytes and
// the other way round.
void encode(const Entry& entry, std::string& out);  // appends
// kCorrupt for bytes that encode() would not write, or of another version. `previous` and `hash`
// stay zero.
Result<Entry> decode(std::string_view bytes);

// Computes hashes of a chain: SHA-256(previous || encoding). Keeps its buffers: one per thread.
class Chain {
 public:
  Chain();
  ~Chain();
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  Hash256 hash(const Hash256& previous, const Entry& entry);

 private:
  friend Hash256 sha256(std::string_view bytes);
  struct Core;
  std::unique_ptr<Core> core_;
};

// The accounts of the double-entry book. What we owe or have earned is positive, what we own is
// negative; all add up to zero.
enum class AccountKind : uint8_t {
  kCash,    // what was paid in, with the sign turned (a wash account: the bank is not ours to book)
  kCredit,  // per organization: what it may still spend
  kHolds,   // per organization: reserved for requests that run
  kRevenue,
  kWriteOff,
  kReceivable,  // per organization: the part of its credit below zero, in trial balances only
};
std::string_view name(AccountKind kind);
struct Posting {
  AccountKind account = AccountKind::kCash;
  uint64_t org = 0;  // 0 for the accounts that are ours
  Nano amount = 0;
  friend bool operator==(const Posting&, const Posting&) = default;
};
// The lines an entry stands for; they sum to zero. Empty for acts, limits and progress. Rounding is
// a memo (`residue`), since it is smaller than a Nano.
std::vector<Posting> postings(const Entry& entry);

}  // namespace mill::ledger

template <>
struct std::hash<mill::ledger::HoldId> {
  size_t operator()(const mill::ledger::HoldId& id) const {
    uint64_t head = 0, tail = 0;  // ids are given by us, and mostly random: no keyed hash
    __builtin_memcpy(&head, id.data(), 8);
    __builtin_memcpy(&tail, id.data() + 8, 8);
    return static_cast<size_t>((head ^ (tail * 0x9E3779B97F4A7C15ull)) * 0xC2B2AE3D27D4EB4Full);
  }
};
