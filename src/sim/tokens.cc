#include "sim/tokens.h"

#include <algorithm>
#include <cmath>

namespace mill::sim {
namespace {

// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t digest(std::span<const TokenId> prompt) {
  uint64_t sum = prompt.size();
  for (const TokenId token : prompt)
    sum = (sum ^ static_cast<uint32_t>(token)) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019;
  return mixed(sum);
}

TokenId token_at(std::span<const TokenId> alphabet, uint64_t prompt_digest,
                 const work::Sampling& sampling, int64_t position) {
  const bool greedy = sampling.temperature == 0;
  const uint64_t seed =
      greedy ? 0 : mixed(sampling.seed + 0x9E3779B97F4A7C15 * sampling.choice + 1);
  const uint64_t draw = mixed(prompt_digest ^ seed ^ mixed(static_cast<uint64_t>(position) + 1));
  return alphabet[static_cast<size_t>(draw % alphabet.size())];
}

work::Piece piece_of(std::span<const TokenId> alphabet, TokenId token,
                     const work::Sampling& sampling) {
  work::Piece piece{.token = token};
  if (!sampling.top_logprobs) return piece;
  const float each = -std::log(static_cast<float>(alphabet.size()));
  piece.logprob = each;
  const auto most = std::min(static_cast<size_t>(*sampling.top_logprobs), alphabet.size());
  for (const TokenId id : alphabet.first(most)) piece.top.push_back({id, each});
  return piece;
}

}  // namespace mill::sim
