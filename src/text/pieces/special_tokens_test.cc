#include "text/pieces/special_tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>

namespace mill::text {
namespace {

using Fragment = SpecialTokens::Fragment;
using Order = SpecialTokens::Order;

// "text|<3>|text": what a partition looks like.
std::string shown(const std::vector<Fragment>& fragments) {
  std::string out;
  for (const Fragment& fragment : fragments) {
    if (!out.empty()) out += '|';
    out += fragment.token == kNoToken ? std::string(fragment.text)
                                      : "<" + std::to_string(fragment.token) + ">";
  }
  return out;
}

std::string partition(std::vector<SpecialToken> tokens, std::string_view text,
                      Order order = Order::kLongestFirst) {
  return shown(SpecialTokens(std::move(tokens), order).partition(text, {{0, text.size()}}));
}

TEST(SpecialTokens, ControlTokensCountInTrustedTextOnly) {
  const SpecialTokens specials(
      {{.id = 1, .name = "<|end|>"}, {.id = 2, .name = "<tab>", .trusted_only = false}},
      Order::kLongestFirst);
  const std::string text = "a<|end|><tab>b<|end|>";
  EXPECT_EQ(shown(specials.partition(text, {})), "a<|end|>|<2>|b<|end|>");
  EXPECT_EQ(shown(specials.partition(text, {{0, 8}})), "a|<1>|<2>|b<|end|>");
  EXPECT_EQ(shown(specials.partition(text, {{2, 21}})),
            "a<|end|>|<2>|b|<1>");  // the first name begins outside
  EXPECT_EQ(shown(specials.partition(text, {{0, 7}, {14, 20}})), "a<|end|>|<2>|b<|end|>");
}

TEST(SpecialTokens, TheLongestGoesFirstWhereverItIs) {
  EXPECT_EQ(partition({{.id = 1, .name = "ab"}, {.id = 2, .name = "bcd"}}, "abcd"), "a|<2>");
  EXPECT_EQ(
      partition({{.id = 1, .name = "ab"}, {.id = 2, .name = "bcd"}}, "abcd", Order::kLeftmostFirst),
      "<1>|cd");
  EXPECT_EQ(partition({{.id = 1, .name = "ab"}, {.id = 2, .name = "abc"}}, "abcabx",
                      Order::kLeftmostFirst),
            "<2>|<1>|x");
}

TEST(SpecialTokens, TakesWhiteSpaceAlong) {
  EXPECT_EQ(partition({{.id = 1, .name = "<m>", .strip_left = true}}, "a \n<m> b"), "a|<1>| b");
  EXPECT_EQ(partition({{.id = 1, .name = "<m>", .strip_right = true}}, "a <m> \n b"), "a |<1>|b");
  EXPECT_EQ(partition({{.id = 1, .name = "<m>", .strip_right = true}, {.id = 2, .name = "\n"}},
                      "<m>\n\n"),
            "<1>");
  EXPECT_EQ(partition({{.id = 1, .name = "<m>", .strip_left = true, .strip_right = true}},
                      " <m>\u3000<m> ", Order::kLeftmostFirst),
            "<1>|<1>");
}

TEST(SpecialTokens, WholeWordsStandAlone) {
  const std::vector<SpecialToken> tokens = {{.id = 1, .name = "cat", .whole_word = true}};
  EXPECT_EQ(partition(tokens, "cat concat cats cat, \u00e9cat", Order::kLeftmostFirst),
            "<1>| concat cats |<1>|, \u00e9cat");
}

// llama.cpp's way: for each token, longest names first, every raw fragment is searched from the
// left.
std::vector<std::string> one_after_the_other(const std::vector<SpecialToken>& tokens,
                                             const std::string& text,
                                             const std::vector<bool>& trusted) {
  struct Part {
    size_t begin, end;
    TokenId token;
  };
  std::list<Part> parts = {{0, text.size(), kNoToken}};
  for (const SpecialToken& token : tokens)
    for (auto part = parts.begin(); part != parts.end(); ++part) {
      if (part->token != kNoToken) continue;
      size_t at = part->begin;
      while ((at = text.find(token.name, at)) != std::string::npos &&
             at + token.name.size() <= part->end) {
        const size_t end = at + token.name.size();
        if (token.trusted_only && !std::all_of(trusted.begin() + static_cast<std::ptrdiff_t>(at),
                                               trusted.begin() + static_cast<std::ptrdiff_t>(end),
                                               [](bool t) { return t; })) {
          ++at;
          continue;
        }
        if (at > part->begin) parts.insert(part, {part->begin, at, kNoToken});
        parts.insert(part, {at, end, token.id});
        part->begin = at = end;
      }
    }
  std::vector<std::string> out;
  for (const Part& part : parts) {
    if (part.token != kNoToken) out.push_back("<" + std::to_string(part.token) + ">");
    if (part.token == kNoToken && part.begin < part.end)
      out.push_back(text.substr(part.begin, part.end - part.begin));
  }
  return out;
}

TEST(SpecialTokens, RandomNamesAndTextGoAsOneAfterTheOther) {
  for (uint32_t seed = 0; seed < 4000; ++seed) {
    std::mt19937 random(seed);
    const auto word = [&](uint32_t longest) {
      std::string out;
      for (uint32_t n = random() % longest + 1; n > 0; --n)
        out.push_back("ab<"[random() % (2 + seed % 2)]);
      return out;
    };
    std::vector<SpecialToken> tokens;
    for (uint32_t n = random() % 6 + 1; n > 0; --n) {
      const std::string name = word(6);
      if (std::none_of(tokens.begin(), tokens.end(),
                       [&](const SpecialToken& t) { return t.name == name; }))
        tokens.push_back(
            {.id = static_cast<TokenId>(n), .name = name, .trusted_only = random() % 2 == 0});
    }
    std::stable_sort(tokens.begin(), tokens.end(),
                     [](const auto& a, const auto& b) { return a.name.size() > b.name.size(); });
    const std::string text = word(40);
    std::vector<bool> trusted(text.size());
    std::vector<SpecialTokens::Range> ranges;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min<size_t>(at + random() % 12 + 1, text.size());
      if (random() % 2 == 0 && (ranges.empty() || ranges.back().end < at)) {
        ranges.push_back({at, end});
        std::fill(trusted.begin() + static_cast<std::ptrdiff_t>(at),
                  trusted.begin() + static_cast<std::ptrdiff_t>(end), true);
      }
      at = end;
    }
    std::string expected;
    for (const std::string& part : one_after_the_other(tokens, text, trusted))
      expected += (expected.empty() ? "" : "|") + part;
    ASSERT_EQ(shown(SpecialTokens(tokens, Order::kLongestFirst).partition(text, ranges)), expected)
        << "seed " << seed << ": " << text;
  }
}

}  // namespace
}  // namespace mill::text
