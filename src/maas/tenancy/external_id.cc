#include "maas/tenancy/external_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace mill::maas {
namespace {

constexpr std::string_view kPrefixes[] = {"org-", "proj_", "key_", "user-", "svcacct_"};
constexpr std::string_view kNouns[] = {"organization", "project", "key", "user", "service account"};
constexpr std::string_view kDigits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

}  // namespace

std::string_view prefix(IdKind kind) {
  return kPrefixes[static_cast<size_t>(kind)];
}
std::string_view noun(IdKind kind) {
  return kNouns[static_cast<size_t>(kind)];
}

void base62(std::span<const uint8_t> number, std::span<char> out) {
  std::vector<uint8_t> rest(number.begin(), number.end());
  for (size_t i = out.size(); i-- > 0;) {
    unsigned remainder = 0;
    for (uint8_t& byte : rest) {
      const unsigned value = remainder << 8 | byte;
      byte = static_cast<uint8_t>(value / 62);
      remainder = value % 62;
    }
    out[i] = kDigits[remainder];
  }
}

bool is_base62(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  });
}

ExternalId make_id(std::span<const uint8_t, 32> random) {
  ExternalId id;
  base62(random, id.digits);
  return id;
}

bool is_valid(const ExternalId& id) {
  return is_base62({id.digits.data(), id.digits.size()});
}

std::string to_string(IdKind kind, const ExternalId& id) {
  std::string text(prefix(kind));
  text.append(id.digits.data(), id.digits.size());
  return text;
}

Result<ExternalId> parse_id(IdKind kind, std::string_view text) {
  const std::string_view start = prefix(kind);
  ExternalId id;
  if (!text.starts_with(start) || text.size() != start.size() + id.digits.size() ||
      !is_base62(text.substr(start.size()))) {
    return fail(Code::kInvalid,
                fmt::format("the id of a {} is '{}' and 24 letters or digits", noun(kind), start),
                "id");
  }
  std::copy(text.begin() + static_cast<ptrdiff_t>(start.size()), text.end(), id.digits.begin());
  return id;
}

}  // namespace mill::maas
