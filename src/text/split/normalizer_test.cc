#include "text/split/normalizer.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <random>

#include "text/split/unicode.h"

namespace mill::text {
namespace {

using Kind = Normalizer::Step::Kind;

std::string applied(Kind kind, std::string_view text) {
  return Normalizer({{kind}}).apply(text, true);
}

TEST(Normalizer, NormalForms) {
  EXPECT_EQ(applied(Kind::kNfc, "e\u0301"), "é");
  EXPECT_EQ(applied(Kind::kNfd, "é"), "e\u0301");
  EXPECT_EQ(applied(Kind::kNfkc, "ﬁ²"), "fi2");
  EXPECT_EQ(applied(Kind::kNfkd, "ﬁé"), "fie\u0301");
  EXPECT_EQ(applied(Kind::kNfc, "\u1112\u1161\u11AB"), "한");
  EXPECT_EQ(applied(Kind::kNfc, "plain"), "plain");
  EXPECT_EQ(applied(Kind::kNfc, "\xED\xA0\x80"), "\xED\xA0\x80");  // a lone surrogate stays
}

// The way around the library's own quadratic sorting gives what the library gives.
TEST(Normalizer, NormalFormsOfRandomMarksAreTheLibrarys) {
  const uint32_t codes[] = {'a',  'e',   0x300,  0x301,  0x323,  0x327,  0x345,  0x5B0,  0x3099,
                            0xC5, 0x1E9, 0xAC00, 0x11A8, 0x1100, 0x1161, 0xFB01, 0x212B, 0x1F71};
  std::mt19937 random(3);
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (uint32_t n = random() % 12; n > 0; --n)
      append_utf8(text, codes[random() % std::size(codes)]);
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.c_str());
    const std::pair<Kind, utf8proc_uint8_t*> forms[] = {{Kind::kNfc, utf8proc_NFC(bytes)},
                                                        {Kind::kNfd, utf8proc_NFD(bytes)},
                                                        {Kind::kNfkc, utf8proc_NFKC(bytes)},
                                                        {Kind::kNfkd, utf8proc_NFKD(bytes)}};
    for (const auto& [kind, expected] : forms) {
      ASSERT_EQ(applied(kind, text), reinterpret_cast<const char*>(expected)) << text;
      std::free(expected);
    }
  }
}

TEST(Normalizer, LowercaseOfTheTurkishI) {
  EXPECT_EQ(applied(Kind::kLowercase, "İΣẞ"), "i\u0307σß");
}

TEST(Normalizer, StripsAllMarksOrThoseOfBert) {
  EXPECT_EQ(applied(Kind::kStripMarks, "e\u0301\u093F"), "e");
  EXPECT_EQ(applied(Kind::kStripAccents, "e\u0301\u093F"), "e\u093F");
}

TEST(Normalizer, ReplaceAndPrepend) {
  EXPECT_EQ(Normalizer({{Kind::kReplace, "ab", "x"}}).apply("abcabab", true), "xcxx");
  EXPECT_EQ(Normalizer({{Kind::kReplace, "", "x"}}).apply("abc", true), "abc");
  EXPECT_EQ(Normalizer({{Kind::kPrepend, "", "_"}}).apply("", true), "");
  EXPECT_EQ(Normalizer({{Kind::kPrepend, "", "_"}}).apply("_a", false), "__a");
  EXPECT_EQ(Normalizer({{Kind::kPrependIfNew, "", "_"}}).apply("_a", true), "_a");
  EXPECT_EQ(Normalizer({{Kind::kPrependIfFirst, "", "_"}}).apply("a", false), "a");
  EXPECT_EQ(Normalizer({{Kind::kPrependIfNoSpace, "", " "}}).apply("\ta", true), " \ta");
  EXPECT_EQ(Normalizer({{Kind::kPrependIfNoSpace, "", " "}}).apply(" a", true), " a");
}

}  // namespace
}  // namespace mill::text
