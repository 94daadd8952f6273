#include "net/keyed_hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/check.h"
#include "net/request_id.h"

namespace mill::net {
namespace {

uint64_t word_at(const unsigned char* bytes) {
  uint64_t word = 0;
  for (int i = 0; i < 8; ++i) word = word << 8 | bytes[i];
  return word;
}

}  // namespace

HashKey random_hash_key() {
  HashKey key;
  for (uint64_t& word : key) word = random_bits();
  return key;
}

Hash128 keyed_hash(const HashKey& key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  const auto* made = ::HMAC(::EVP_sha256(), key.data(), static_cast<int>(sizeof(key)), bytes,
                            text.size(), sum.data(), &size);
  MILL_CHECK(made != nullptr && size >= 16);  // fails only where libcrypto has no SHA-256
  return {word_at(sum.data()), word_at(sum.data() + 8)};
}

}  // namespace mill::net
