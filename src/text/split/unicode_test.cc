#include "text/split/unicode.h"

#include <gtest/gtest.h>

namespace mill::text {
namespace {

TEST(Unicode, KindsOfCodePoints) {
  const UnicodeTable& kinds = UnicodeTable::get();
  EXPECT_EQ(kinds['A'], kUpper);
  EXPECT_EQ(kinds['z'], kLower);
  EXPECT_EQ(kinds['7'], kNumber);
  EXPECT_EQ(kinds['\n'], kControlCode | kSpace);
  EXPECT_EQ(kinds[0x1C], kControlCode);  // a separator to Python, no white space to Unicode
  EXPECT_EQ(kinds[0xA0], kSpace);
  EXPECT_EQ(kinds[0x301], kMark | kOpenMark);
  EXPECT_EQ(kinds[0x4E00], kOtherLetter);
  EXPECT_EQ(kinds[0x2EBF0], kOtherLetter);  // new in 15.1
  EXPECT_EQ(kinds[0x1C89], kUnassigned);    // new in 16.0
  EXPECT_EQ(kinds[0x10FFFF], kUnassigned);
  EXPECT_EQ(kinds[0x110000], kUnassigned);
  EXPECT_EQ(kinds['$'], kSymbol);
  EXPECT_EQ(kinds['!'], kPunctuation);
}

TEST(Unicode, EveryCodePointGoesThroughUtf8AndBack) {
  for (uint32_t code = 0; code < 0x110000; ++code) {
    std::string text;
    append_utf8(text, code);
    const CodePoint point = code_point_at(text.data());
    ASSERT_EQ(point.code, code);
    ASSERT_EQ(point.bytes, text.size());
    ASSERT_TRUE(is_sound(text));
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    const Sequence sequence = first_sequence(text);
    ASSERT_EQ(sequence.state == Sequence::State::kValid, !surrogate) << code;
    ASSERT_EQ(sequence.bytes, surrogate ? 1 : text.size()) << code;
  }
}

TEST(Unicode, RepairReplacesByteByByte) {
  EXPECT_EQ(repair("a\x80"
                   "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(repair("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(repair("\xC1\x81"), "A");                 // over-long
  EXPECT_EQ(repair("\xED\xA0\x80"), "\xED\xA0\x80");  // a surrogate round-trips
  EXPECT_EQ(repair("\xF4\x90\x80\x80").size(), 12u);  // above U+10FFFF
  EXPECT_FALSE(is_sound("\xC1\x81"));
  EXPECT_FALSE(is_sound("\xFF"));
  EXPECT_TRUE(is_sound("日本語 🙂"));
}

// Every string of up to three bytes out of the telling ones: repair() gives sound text, and leaves
// sound text alone.
TEST(Unicode, RepairGivesSoundText) {
  const std::string telling("\x00\x41\x7F\x80\xA0\xBF\xC0\xC2\xDF\xE0\xED\xEF\xF0\xF4\xF5\xF8\xFF",
                            17);
  for (const char a : telling)
    for (const char b : telling)
      for (const char c : telling) {
        const std::string text{a, b, c, '\x80'};
        const std::string repaired = repair(text);
        ASSERT_TRUE(is_sound(repaired));
        ASSERT_EQ(repair(repaired), repaired);
        if (is_sound(text)) {
          ASSERT_EQ(repaired, text);
        }
      }
}

TEST(Unicode, FirstSequenceTellsUnfinishedFromWrong) {
  using State = Sequence::State;
  const auto check = [](std::string_view text, State state, size_t bytes) {
    const Sequence sequence = first_sequence(text);
    EXPECT_EQ(sequence.state, state) << text;
    EXPECT_EQ(sequence.bytes, bytes) << text;
  };
  check("\xF0\x9F\x99", State::kUnfinished, 3);
  check("\xF0\x9F\x99x", State::kInvalid, 3);
  check("\xF0\x80", State::kInvalid, 1);
  check("\xF4\x90", State::kInvalid, 1);
  check("\xED\xA0", State::kInvalid, 1);
  check("\xE0\x9F", State::kInvalid, 1);
  check("\xC0\x80", State::kInvalid, 1);
  check("\x80", State::kInvalid, 1);
  check("\xF5", State::kInvalid, 1);
  check("\xC3", State::kUnfinished, 1);
}

}  // namespace
}  // namespace mill::text
