// The secret of a key: shown once, never stored.
//
// "sk-" (of a project) or "sk-admin-", then 32 random bytes as 43 digits of base 62, then the
// CRC-32 (IEEE 802.3) of all before it as 6 digits. The checksum finds a typing error without a
// look-up, and lets a scanner tell a leaked key from noise; it hides nothing. What is kept is the
// SHA-256 of the text: with 256 random bits inside, no slow hash is needed. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/entry.h"

namespace mill::maas {

enum class KeyKind : uint8_t { kProject, kAdmin };

using KeyTail = std::array<char, 4>;  // the last digits of the checksum: of no use to a thief

struct Secret {
  std::string text;  // for the person who asked, once
  ledger::Hash256 hash{};
  KeyTail tail{};
};
Secret mint_secret(KeyKind kind, std::span<const uint8_t, 32> random);

struct PresentedKey {
  KeyKind kind{};
  ledger::Hash256 hash{};
};
// kPermission with param "key" for what was never minted here: another form, or a wrong checksum.
// The message holds nothing of the text.
Result<PresentedKey> read_secret(std::string_view text);

// "sk-…abcd", for lists.
std::string redacted(KeyKind kind, const KeyTail& tail);

// Takes the same time whatever the bytes are.
bool same_hash(const ledger::Hash256& a, const ledger::Hash256& b);

uint32_t crc32(std::string_view bytes);  // IEEE 802.3, as zlib's

}  // namespace mill::maas
