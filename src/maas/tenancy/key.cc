#include "maas/tenancy/key.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>

#include "maas/tenancy/external_id.h"

namespace mill::maas {
namespace {

constexpr std::string_view kProjectPrefix = "sk-";
constexpr std::string_view kAdminPrefix = "sk-admin-";
constexpr size_t kRandomDigits = 43;  // 62^43 > 2^256
constexpr size_t kCheckDigits = 6;    // 62^6 > 2^32

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0u);
    table[i] = value;
  }
  return table;
}();

std::string_view prefix_of(KeyKind kind) {
  return kind == KeyKind::kAdmin ? kAdminPrefix : kProjectPrefix;
}

std::array<char, kCheckDigits> check_digits(std::string_view text) {
  const uint32_t crc = crc32(text);
  const std::array<uint8_t, 4> bytes{static_cast<uint8_t>(crc >> 24),
                                     static_cast<uint8_t>(crc >> 16),
                                     static_cast<uint8_t>(crc >> 8), static_cast<uint8_t>(crc)};
  std::array<char, kCheckDigits> digits{};
  base62(bytes, digits);
  return digits;
}

}  // namespace

uint32_t crc32(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xFF];
  return ~crc;
}

Secret mint_secret(KeyKind kind, std::span<const uint8_t, 32> random) {
  Secret secret;
  std::array<char, kRandomDigits> digits{};
  base62(random, digits);
  secret.text = prefix_of(kind);
  secret.text.append(digits.data(), digits.size());
  const auto check = check_digits(secret.text);
  secret.text.append(check.data(), check.size());
  secret.hash = ledger::sha256(secret.text);
  std::copy_n(secret.text.end() - 4, 4, secret.tail.begin());
  return secret;
}

Result<PresentedKey> read_secret(std::string_view text) {
  const KeyKind kind = text.starts_with(kAdminPrefix) ? KeyKind::kAdmin : KeyKind::kProject;
  const std::string_view start = prefix_of(kind);
  // Everything up to here is public knowledge about the text, so an early end gives nothing away.
  if (!text.starts_with(start) || text.size() != start.size() + kRandomDigits + kCheckDigits ||
      !is_base62(text.substr(start.size()))) {
    return fail(Code::kPermission, "this is no key of this server", "key");
  }
  const std::string_view body = text.substr(0, text.size() - kCheckDigits);
  const auto check = check_digits(body);
  if (text.substr(body.size()) != std::string_view(check.data(), check.size())) {
    return fail(Code::kPermission, "the key's checksum is wrong: was it copied whole?", "key");
  }
  return PresentedKey{.kind = kind, .hash = ledger::sha256(text)};
}

std::string redacted(KeyKind kind, const KeyTail& tail) {
  return fmt::format("{}…{}", prefix_of(kind), std::string_view(tail.data(), tail.size()));
}

bool same_hash(const ledger::Hash256& a, const ledger::Hash256& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace mill::maas
