// The names by which the world knows things, in OpenAI's forms: "org-", "proj_", "key_", "user-",
// "svcacct_" and 24 digits of base 62 (142 random bits). Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mill::maas {

enum class IdKind : uint8_t { kOrganization, kProject, kKey, kUser, kServiceAccount };
inline constexpr size_t kIdKindCount = 5;
std::string_view prefix(IdKind kind);  // "org-", …
std::string_view noun(IdKind kind);    // "organization", …: for messages

// The digits behind the prefix; all zero bytes is none.
struct ExternalId {
  std::array<char, 24> digits{};
  friend bool operator==(const ExternalId&, const ExternalId&) = default;
  bool empty() const { return digits[0] == 0; }
};
ExternalId make_id(std::span<const uint8_t, 32> random);
std::string to_string(IdKind kind, const ExternalId& id);
// kInvalid for another prefix, length or digit.
Result<ExternalId> parse_id(IdKind kind, std::string_view text);
// Whether all digits are of base 62; what comes from a file may be anything.
bool is_valid(const ExternalId& id);

// The last `out.size()` digits of base 62 of a big-endian number, with leading zeros.
void base62(std::span<const uint8_t> number, std::span<char> out);
bool is_base62(std::string_view text);

}  // namespace mill::maas

template <>
struct std::hash<mill::maas::ExternalId> {
  size_t operator()(const mill::maas::ExternalId& id) const {
    uint64_t words[3];  // ids are given by us and random: no keyed hash
    std::memcpy(words, id.digits.data(), sizeof words);
    return static_cast<size_t>((words[0] ^ words[1] * 31 ^ words[2] * 131) * 0x9E3779B97F4A7C15ull);
  }
};
