#include "net/keyed_hash.h"

#include <gtest/gtest.h>

#include <string>

namespace mill::net {
namespace {

// Test case 1 of RFC 4231 has a key of 20 bytes 0x0b; HMAC pads a key with zeros, so the same key
// with 12 zero bytes behind it gives the same sum.
TEST(KeyedHash, is_the_first_half_of_hmac_sha_256) {
  const std::string key = std::string(20, '\x0b') + std::string(12, '\0');
  HashKey words;
  key.copy(reinterpret_cast<char*>(words.data()), key.size());
  const Hash128 hash = keyed_hash(words, "Hi There");
  EXPECT_EQ(hash.high, 0xb0344c61d8db3853u);
  EXPECT_EQ(hash.low, 0x5ca8afceaf0bf12bu);
}

TEST(KeyedHash, depends_on_key_and_text) {
  const HashKey one = random_hash_key(), other = random_hash_key();
  EXPECT_NE(one, other);
  EXPECT_EQ(keyed_hash(one, "a"), keyed_hash(one, "a"));
  EXPECT_FALSE(keyed_hash(one, "a") == keyed_hash(other, "a"));
  EXPECT_FALSE(keyed_hash(one, "a") == keyed_hash(one, "b"));
}

}  // namespace
}  // namespace mill::net
