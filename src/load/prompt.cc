#include "load/prompt.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/rng.h"

namespace mill::load {
namespace {

constexpr std::array<std::string_view, 64> kWords = {
    "the",  "of",    "and",   "to",   "in",   "is",   "that", "for",   "it",    "as",   "was",
    "with", "be",    "by",    "on",   "not",  "he",   "his",  "but",   "at",    "are",  "this",
    "have", "from",  "or",    "had",  "an",   "they", "one",  "you",   "were",  "all",  "her",
    "she",  "there", "would", "we",   "him",  "been", "has",  "when",  "who",   "will", "no",
    "more", "if",    "out",   "so",   "up",   "said", "what", "about", "than",  "into", "them",
    "can",  "only",  "other", "time", "some", "two",  "may",  "first", "people"};

}  // namespace

std::vector<TokenId> prompt_ids(const Ask& ask, IdRange range, uint64_t seed) {
  std::vector<TokenId> ids;
  ids.reserve(static_cast<size_t>(ask.prompt_tokens()));
  const double width = static_cast<double>(range.end) - range.first;
  for (const Segment& segment : ask.segments) {
    for (int32_t i = 0; i < segment.tokens; ++i) {
      const double place = uniform_at(seed, segment.source, static_cast<uint64_t>(i));
      ids.push_back(range.first + static_cast<TokenId>(place * width));
    }
  }
  return ids;
}

std::string prompt_words(const Ask& ask, const WordCost& cost, uint64_t seed) {
  if (!ask.text.empty()) return ask.text;
  std::string words;
  double tokens = cost.overhead;  // so far
  double wanted = 0;              // so far: the sum, so that errors of rounding don't add up
  for (const Segment& segment : ask.segments) {
    wanted += segment.tokens;
    const auto count = static_cast<int64_t>(std::llround((wanted - tokens) / cost.tokens_per_word));
    for (int64_t i = 0; i < count; ++i) {
      const double place = uniform_at(seed, segment.source, static_cast<uint64_t>(i));
      if (!words.empty()) words += ' ';
      words += kWords[static_cast<size_t>(place * kWords.size())];
    }
    tokens += static_cast<double>(std::max<int64_t>(count, 0)) * cost.tokens_per_word;
  }
  return words.empty() ? std::string(kWords.front()) : words;
}

}  // namespace mill::load
