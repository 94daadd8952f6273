#include "net/webhook_signature.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/check.h"

namespace mill::net {
namespace {

std::string base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends with a zero
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  // Fails only where libcrypto has no SHA-256.
  MILL_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                  reinterpret_cast<const unsigned char*>(text.data()), text.size(), sum, &size));
  return {reinterpret_cast<const char*>(sum), size};
}

}  // namespace

std::string webhook_secret_text(std::string_view secret) {
  return "whsec_" + base64(secret);
}

std::string webhook_signature(std::span<const std::string> secrets, std::string_view id,
                              int64_t unix_seconds, std::string_view body) {
  MILL_CHECK(!secrets.empty() && id.find('.') == std::string_view::npos);
  const std::string text = fmt::format("{}.{}.{}", id, unix_seconds, body);
  std::string out;
  for (const std::string& secret : secrets)
    out += (out.empty() ? "v1," : " v1,") + base64(hmac_sha256(secret, text));
  return out;
}

}  // namespace mill::net
