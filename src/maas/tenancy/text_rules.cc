#include "maas/tenancy/text_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace mill::maas {
namespace {

// The code point at `text[i]`, and i moves behind it; -1 for what is none (RFC 3629).
int32_t next_code_point(std::string_view text, size_t& i) {
  const auto lead = static_cast<uint8_t>(text[i++]);
  if (lead < 0x80) return lead;
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4) return -1;
  int32_t code = lead & (0x3F >> more);
  for (int k = 0; k < more; ++k, ++i) {
    if (i >= text.size() || (static_cast<uint8_t>(text[i]) & 0xC0) != 0x80) return -1;
    code = code << 6 | (text[i] & 0x3F);
  }
  constexpr int32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return -1;
  return code;
}

tl::unexpected<Error> bad(const char* field, std::string_view rule) {
  return fail(Code::kInvalid, fmt::format("{} {}", field, rule), field);
}

}  // namespace

bool is_plain_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const int32_t code = next_code_point(text, i);
    if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return false;
  }
  return true;
}

Status check_name(std::string_view text, const char* field, size_t longest) {
  if (text.empty()) return bad(field, "is empty");
  if (text.size() > longest) return bad(field, fmt::format("has more than {} bytes", longest));
  if (!is_plain_utf8(text)) return bad(field, "must be UTF-8 without control characters");
  if (text.front() == ' ' || text.back() == ' ') return bad(field, "begins or ends with a space");
  return {};
}

Status check_email(std::string_view text) {
  MILL_TRY_DO(check_name(text, "email", kMaxEmail));
  const size_t at = text.find('@');
  if (at == 0 || at == text.npos || at + 1 == text.size() || text.rfind('@') != at ||
      text.find(' ') != text.npos) {
    return bad("email", "is no address");
  }
  return {};
}

Status check_limit_name(std::string_view text) {
  const bool good = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (text.empty() || text.size() > 64 || !good)
    return bad("limit", "must be 1 to 64 lower-case letters, digits or '_'");
  return {};
}

}  // namespace mill::maas
