// From a request's recipe to its prompt: token ids, or words for servers that take text alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "load/ask.h"

namespace mill::load {

// Ids are drawn evenly from [first, end).
struct IdRange {
  TokenId first = 0;
  TokenId end = 0;
};
// Requires: range.first < range.end.
std::vector<TokenId> prompt_ids(const Ask& ask, IdRange range, uint64_t seed);

// What words cost on a server: its answers to two prompts tell.
struct WordCost {
  double tokens_per_word = 1;
  double overhead = 0;  // tokens of a prompt without words: template, BOS
};

// Short English words that most vocabularies hold whole, as many as make the request's prompt
// tokens (at least one); its text where it has one.
std::string prompt_words(const Ask& ask, const WordCost& cost, uint64_t seed);

}  // namespace mill::load
