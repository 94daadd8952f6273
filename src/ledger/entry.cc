#include "ledger/entry.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace mill::ledger {
namespace {

constexpr std::string_view kKindNames[] = {"",          "act",    "credit",  "hold",   "extend",
                                           "progress",  "settle", "void",    "expire", "reversal",
                                           "write_off", "limit",  "overhead"};
constexpr std::string_view kReasonNames[] = {"none",
                                             "stop",
                                             "length",
                                             "client_gone",
                                             "deadline",
                                             "fault_before_first_token",
                                             "fault_after_first_token",
                                             "queue_timeout",
                                             "drained",
                                             "recovered",
                                             "lease_expired",
                                             "filter",
                                             "refused",
                                             "key_revoked",
                                             "replayed",
                                             "batch_line_failed"};
static_assert(std::size(kReasonNames) == kReasonCount);

constexpr std::string_view kBase32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

// Continuation bytes that must follow `lead` and the smallest code point of that length; -1: not a
// lead byte.
int following(unsigned char lead) {
  if (lead < 0x80) return 0;
  if (lead >= 0xC2 && lead <= 0xDF) return 1;
  if (lead >= 0xE0 && lead <= 0xEF) return 2;
  if (lead >= 0xF0 && lead <= 0xF4) return 3;
  return -1;
}

// Valid UTF-8 (RFC 3629) without control characters: what every journal can keep in a column of
// text.
bool is_plain_text(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int more = following(lead);
    if (more < 0 || lead < 0x20 || lead == 0x7F ||
        text.size() - i < static_cast<size_t>(more) + 1) {
      return false;
    }
    for (int k = 1; k <= more; ++k) {
      if ((static_cast<unsigned char>(text[i + static_cast<size_t>(k)]) & 0xC0) != 0x80)
        return false;
    }
    const auto second = more > 0 ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (lead == 0xE0 && second < 0xA0) return false;  // overlong
    if (lead == 0xED && second > 0x9F) return false;  // surrogates
    if (lead == 0xF0 && second < 0x90) return false;  // overlong
    if (lead == 0xF4 && second > 0x8F) return false;  // past U+10FFFF
    i += static_cast<size_t>(more) + 1;
  }
  return true;
}

Status bad(const char* field, const char* rule) {
  return fail(Code::kInvalid, fmt::format("{} {}", field, rule), field);
}

Status validate_numbers(const Entry& e) {
  const auto serial = [](uint64_t n) { return n <= static_cast<uint64_t>(INT64_MAX); };
  if (!serial(e.payer.org) || !serial(e.payer.project) || !serial(e.payer.key)) {
    return bad("payer", "is out of range");
  }
  const Buckets& t = e.tokens;
  for (const int64_t n : {t.input_uncached, t.input_cache_read, t.input_cache_write, t.input_image,
                          t.output_text, t.output_reasoning, t.output_image}) {
    if (n < 0) return bad("tokens", "may not be negative");
  }
  if (e.held < 0) return bad("held", "may not be negative");
  if (e.price_version < 0) return bad("price_version", "may not be negative");
  if (e.delivered_bytes < 0) return bad("delivered_bytes", "may not be negative");
  if (e.microjoules < 0) return bad("microjoules", "may not be negative");
  if (e.energy_cost < 0) return bad("energy_cost", "may not be negative");
  if (e.co2_micrograms < 0) return bad("co2_micrograms", "may not be negative");
  if ((e.flags & ~kFlagMask) != 0) return bad("flags", "has unknown bits");
  constexpr uint32_t kSources = kEnergyModel | kEnergyRapl;
  if ((e.flags & kSources) == kSources) return bad("flags", "has two sources of energy");
  if (static_cast<uint8_t>(e.reason) >= kReasonCount) return bad("reason", "is unknown");
  if (e.residue < -kMaxResidue || e.residue > kMaxResidue) return bad("residue", "is out of range");
  if (e.residue != 0 && e.kind != Kind::kSettle) return bad("residue", "belongs to settles");
  return {};
}

Status validate_texts(const Entry& e) {
  if (e.model.size() > kMaxText || !is_plain_text(e.model)) {
    return bad("model", "must be at most 256 bytes of UTF-8 without control characters");
  }
  if (e.actor.size() > kMaxText || !is_plain_text(e.actor)) {
    return bad("actor", "must be at most 256 bytes of UTF-8 without control characters");
  }
  if (e.body.size() > kMaxBody) return bad("body", "may have 1 MiB at most");
  return {};
}

Status validate_amount(const Entry& e) {
  switch (e.kind) {
    case Kind::kCredit:
      return e.amount == 0 ? bad("amount", "of a credit may not be zero") : Status{};
    case Kind::kExtend:
    case Kind::kReversal:
    case Kind::kWriteOff:
      return e.amount <= 0 ? bad("amount", "must be more than zero") : Status{};
    case Kind::kAct:
    case Kind::kVoid:
    case Kind::kExpire:
    case Kind::kOverhead:
      return e.amount != 0 ? bad("amount", "must be zero") : Status{};
    default:
      return e.amount < 0 ? bad("amount", "may not be negative") : Status{};
  }
}

}  // namespace

std::string_view name(Kind kind) {
  const auto n = static_cast<size_t>(kind);
  return n < std::size(kKindNames) ? kKindNames[n] : "";
}
std::string_view name(Reason reason) {
  const auto n = static_cast<size_t>(reason);
  return n < std::size(kReasonNames) ? kReasonNames[n] : "";
}
std::string_view name(AccountKind kind) {
  switch (kind) {
    case AccountKind::kCash:
      return "cash";
    case AccountKind::kCredit:
      return "credit";
    case AccountKind::kHolds:
      return "holds";
    case AccountKind::kRevenue:
      return "revenue";
    case AccountKind::kWriteOff:
      return "write_off";
    case AccountKind::kReceivable:
      return "receivable";
  }
  return "";
}

HoldId ulid(int64_t unix_ms, std::span<const uint8_t, 10> random) {
  HoldId id;
  for (int i = 0; i < 6; ++i)
    id[static_cast<size_t>(i)] = static_cast<uint8_t>(unix_ms >> (40 - 8 * i));
  std::copy(random.begin(), random.end(), id.begin() + 6);
  return id;
}

int64_t ulid_ms(const HoldId& id) {
  int64_t ms = 0;
  for (size_t i = 0; i < 6; ++i) ms = ms << 8 | id[i];
  return ms;
}

// 128 bits in 26 characters of 5: the first carries 3 bits (ULID specification).
std::string to_string(const HoldId& id) {
  std::string text(26, '0');
  uint32_t bits = 0;
  int have = 2;  // of 130 bits the first two are zero
  auto next = id.begin();
  for (char& c : text) {
    if (have < 5) {
      bits = bits << 8 | *next++;
      have += 8;
    }
    have -= 5;
    c = kBase32[bits >> have & 31];
  }
  return text;
}

Result<HoldId> parse_hold_id(std::string_view text) {
  HoldId id{};
  bool good = text.size() == 26;
  for (size_t i = 0; good && i < 26; ++i) {
    const char upper = text[i] >= 'a' && text[i] <= 'z' ? static_cast<char>(text[i] - 32) : text[i];
    const size_t value = kBase32.find(upper);
    good = value != std::string_view::npos && (i > 0 || value < 8);
    for (size_t bit = 0; good && bit < 5; ++bit) {
      const size_t at = i * 5 + bit;
      if (at >= 2 && (value >> (4 - bit) & 1) != 0) {
        id[(at - 2) / 8] |= static_cast<uint8_t>(1u << (7 - (at - 2) % 8));
      }
    }
  }
  if (!good) return fail(Code::kInvalid, "a request id has 26 characters (a ULID)", "hold");
  return id;
}

std::string to_hex(const Hash256& hash) {
  std::string text;
  for (const uint8_t byte : hash) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

Status validate(const Entry& e) {
  if (e.kind < Kind::kAct || e.kind > Kind::kOverhead) return bad("kind", "is unknown");
  MILL_TRY_DO(validate_numbers(e));
  MILL_TRY_DO(validate_texts(e));
  MILL_TRY_DO(validate_amount(e));
  const bool of_hold = e.kind >= Kind::kHold && e.kind <= Kind::kReversal;
  const bool may_have_id = of_hold || e.kind == Kind::kCredit || e.kind == Kind::kWriteOff;
  if (of_hold && is_none(e.hold)) return bad("hold", "is missing");
  if (!may_have_id && !is_none(e.hold)) return bad("hold", "belongs to requests");
  if (e.kind == Kind::kAct) {
    if (!e.currency.empty()) return bad("currency", "belongs to money");
  } else if (e.kind == Kind::kOverhead) {
    if (!e.currency.empty() && !is_valid(e.currency))
      return bad("currency", "must be 3 to 8 upper-case letters");
    if (e.payer != Payer{}) return bad("payer", "of an overhead is nobody");
  } else {
    if (!is_valid(e.currency)) return bad("currency", "must be 3 to 8 upper-case letters");
    if (e.payer.org == 0) return bad("payer", "has no organization");
  }
  const bool resolves = e.kind == Kind::kSettle || e.kind == Kind::kVoid || e.kind == Kind::kExpire;
  if (!resolves && e.held != 0) return bad("held", "belongs to settles, voids and expiries");
  return {};
}

std::vector<Posting> postings(const Entry& e) {
  const uint64_t org = e.payer.org;
  std::vector<Posting> lines;
  const auto add = [&](AccountKind account, uint64_t whose, Nano amount) {
    if (amount != 0) lines.push_back({account, whose, amount});
  };
  switch (e.kind) {
    case Kind::kCredit:
      add(AccountKind::kCash, 0, -e.amount);
      add(AccountKind::kCredit, org, e.amount);
      break;
    case Kind::kHold:
    case Kind::kExtend:
      add(AccountKind::kCredit, org, -e.amount);
      add(AccountKind::kHolds, org, e.amount);
      break;
    case Kind::kSettle:
    case Kind::kVoid:
    case Kind::kExpire:
      add(AccountKind::kHolds, org, -e.held);
      add(AccountKind::kCredit, org, e.held - e.amount);
      add(AccountKind::kRevenue, 0, e.amount);
      break;
    case Kind::kReversal:
      add(AccountKind::kRevenue, 0, -e.amount);
      add(AccountKind::kCredit, org, e.amount);
      break;
    case Kind::kWriteOff:
      add(AccountKind::kWriteOff, 0, -e.amount);
      add(AccountKind::kCredit, org, e.amount);
      break;
    case Kind::kAct:
    case Kind::kProgress:
    case Kind::kLimit:
    case Kind::kOverhead:
      break;
  }
  return lines;
}

}  // namespace mill::ledger
