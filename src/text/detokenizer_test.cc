#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "text/test_vocabulary.h"

namespace mill::text {
namespace {

// One token for each byte.
const Tokenizer& byte_tokens() {
  static const Tokenizer tokenizer = *Tokenizer::build(scored_vocabulary({}));
  return tokenizer;
}

// What WHATWG's UTF-8 decoder makes of all bytes at once, written after its state machine.
std::string decoded_at_once(const std::string& bytes) {
  std::string out, pending;
  int needed = 0;
  unsigned low = 0x80, high = 0xBF;
  const auto replace = [&] { out += "\xEF\xBF\xBD"; };
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (needed == 0) {
      pending = bytes[i];
      if (byte < 0x80) {
        out += bytes[i];
      } else if (byte >= 0xC2 && byte <= 0xDF) {
        needed = 1;
      } else if (byte >= 0xE0 && byte <= 0xEF) {
        needed = 2;
        if (byte == 0xE0) low = 0xA0;
        if (byte == 0xED) high = 0x9F;
      } else if (byte >= 0xF0 && byte <= 0xF4) {
        needed = 3;
        if (byte == 0xF0) low = 0x90;
        if (byte == 0xF4) high = 0x8F;
      } else {
        replace();
      }
    } else if (byte < low || byte > high) {
      replace();
      needed = 0;
      low = 0x80, high = 0xBF;
      --i;  // once more, as a first byte
    } else {
      low = 0x80, high = 0xBF;
      pending += bytes[i];
      if (--needed == 0) out += pending;
    }
  }
  if (needed > 0) replace();
  return out;
}

TEST(Detokenizer, HoldsHalfASequenceBack) {
  Detokenizer detokenizer(byte_tokens());
  const std::string face = "🙂";
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(detokenizer.push(static_cast<unsigned char>(face[i])), "");
  EXPECT_EQ(detokenizer.push(static_cast<unsigned char>(face[3])), face);
  EXPECT_EQ(detokenizer.push(0xE2), "");
  EXPECT_EQ(detokenizer.push('a'),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(detokenizer.push(0xF0), "");
  EXPECT_EQ(detokenizer.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(detokenizer.finish(), "");
}

TEST(Detokenizer, ControlTokensAddNothing) {
  const Tokenizer tokenizer = *Tokenizer::build(scored_vocabulary({"▁hi"}, {"<|im_end|>"}));
  Detokenizer detokenizer(tokenizer);
  EXPECT_EQ(detokenizer.push(256), " hi");
  EXPECT_EQ(detokenizer.push(257), "");
}

TEST(Detokenizer, AnyBytesGiveWhatDecodingThemAtOnceGives) {
  // Tokens of one to three bytes, whole and torn sequences alike.
  const std::string telling(
      "\x00\x41\x7F\x80\x9F\xA0\xBF\xC1\xC2\xE0\xE2\xED\xEF\xF0\xF4\xF5\xFF\x98\x82", 19);
  std::mt19937 random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes, got;
    Detokenizer detokenizer(byte_tokens());
    for (uint32_t n = random() % 9; n > 0; --n) {
      bytes += telling[random() % telling.size()];
      const std::string part = detokenizer.push(static_cast<unsigned char>(bytes.back()));
      // Each part is whole by itself.
      ASSERT_EQ(decoded_at_once(part), part);
      got += part;
    }
    got += detokenizer.finish();
    ASSERT_EQ(got, decoded_at_once(bytes));
  }
}

}  // namespace
}  // namespace mill::text
