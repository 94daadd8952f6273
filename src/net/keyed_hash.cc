#include "net/keyed_hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <memory>

#include "base/check.h"
#include "net/request_id.h"

namespace mill::net {
namespace {

uint64_t word_at(const unsigned char* bytes) {
  uint64_t word = 0;
  for (int i = 0; i < 8; ++i) word = word << 8 | bytes[i];
  return word;
}

struct Free {
  void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};

// One per thread: OpenSSL looks an algorithm up by name at each one-shot call, which costs more than
// the hash of a key does.
EVP_MAC_CTX* hmac_sha256() {
  static const std::unique_ptr<EVP_MAC, Free> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  thread_local const std::unique_ptr<EVP_MAC_CTX, Free> context([] {
    MILL_CHECK(mac != nullptr);
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC_CTX* made = EVP_MAC_CTX_new(mac.get());
    MILL_CHECK(made != nullptr && EVP_MAC_CTX_set_params(made, params) == 1);
    return made;
  }());
  return context.get();
}

}  // namespace

HashKey random_hash_key() {
  HashKey key;
  for (uint64_t& word : key) word = random_bits();
  return key;
}

Hash128 keyed_hash(const HashKey& key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  size_t size = 0;
  EVP_MAC_CTX* const context = hmac_sha256();
  const auto* secret = reinterpret_cast<const unsigned char*>(key.data());
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  // Fails only where libcrypto has no SHA-256.
  MILL_CHECK(EVP_MAC_init(context, secret, sizeof(key), nullptr) == 1 &&
             EVP_MAC_update(context, bytes, text.size()) == 1 &&
             EVP_MAC_final(context, sum.data(), &size, sum.size()) == 1 && size >= 16);
  return {word_at(sum.data()), word_at(sum.data() + 8)};
}

}  // namespace mill::net
