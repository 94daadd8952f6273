#include "text/pieces/byte_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace mill::text {
namespace {

TEST(ByteMatcher, FindsAllNamesThatEndHere) {
  const std::vector<std::string> names = {"she", "he", "hers", "e"};
  const ByteMatcher matcher(names);
  ByteMatcher::State state = ByteMatcher::kStart;
  for (const char c : std::string("ushe"))
    state = matcher.step(state, static_cast<unsigned char>(c));
  std::vector<std::string> found;
  for (auto at = matcher.longest_here(state); at != ByteMatcher::kNone;
       at = matcher.next_shorter(at))
    found.push_back(names[matcher.string_of(at)]);
  EXPECT_EQ(found, (std::vector<std::string>{"she", "he", "e"}));
}

TEST(ByteMatcher, RandomNamesAndTextFollowTheDefinition) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    const auto word = [&](uint32_t longest) {
      std::string out;
      for (uint32_t n = random() % longest + 1; n > 0; --n)
        out.push_back("ab\x00\xFF"[random() % 4]);
      return out;
    };
    std::vector<std::string> names;
    for (uint32_t n = random() % 6; n > 0; --n) names.push_back(word(5));
    const ByteMatcher matcher(names);
    const std::string text = word(50);
    ByteMatcher::State state = ByteMatcher::kStart;
    for (size_t end = 1; end <= text.size(); ++end) {
      state = matcher.step(state, static_cast<unsigned char>(text[end - 1]));
      size_t deepest = 0;
      std::vector<size_t> expected;  // lengths of the names that end here, falling
      for (size_t size = std::min<size_t>(end, 5); size > 0; --size) {
        const std::string tail = text.substr(end - size, size);
        for (const std::string& name : names)
          deepest = std::max(deepest, name.starts_with(tail) ? size : 0);
        if (std::find(names.begin(), names.end(), tail) != names.end()) expected.push_back(size);
      }
      std::vector<size_t> found;
      for (auto at = matcher.longest_here(state); at != ByteMatcher::kNone;
           at = matcher.next_shorter(at))
        found.push_back(names[matcher.string_of(at)].size());
      ASSERT_EQ(found, expected) << "seed " << seed;
      ASSERT_EQ(static_cast<size_t>(matcher.depth(state)), deepest) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace mill::text
