// Guesses by looking back: where the last tokens stood before, what followed them then may follow
// them now (prompt lookup decoding: Saxena 2023; in the spirit of LZ77's match finder). Costs
// nothing to load and pays where answers quote: code that is edited, documents that are summed up.
//
// Finds the longest of the latest earlier occurrences of the end of the text: a table of the last
// place of each three tokens, and from each place a link to the one before it. Both grow with the
// text; a guess costs a bounded number of looks. How much is guessed follows how well the last
// guesses fared; after failures it pauses, longer each time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/drafter.h"

namespace mill::engine {

struct NgramOptions {
  int32_t least_match = 3;     // tokens that must have stood before; at least 3
  int32_t candidates = 32;     // earlier places looked at
  int32_t longest_match = 32;  // more agreement than this is not looked for
  int32_t first_draft = 4;     // tokens of the first guess
  int32_t most_paused = 64;    // steps without a guess after repeated failures
};

class NgramDrafter final : public Drafter {
 public:
  explicit NgramDrafter(const NgramOptions& options = {});

  void propose(std::span<const TokenId> tokens, int64_t most, std::vector<TokenId>& draft) override;
  void learn(int64_t computed, int64_t accepted) override;

 private:
  struct Match {
    int64_t next = 0;  // where what followed begins
    int64_t length = 0;
  };
  void index(std::span<const TokenId> tokens);
  size_t slot(std::span<const TokenId> tokens, int64_t end) const;
  Match longest(std::span<const TokenId> tokens) const;

  const NgramOptions options_;
  std::vector<int32_t> heads_;     // by hash of three tokens: where they last ended; -1: nowhere
  std::vector<int32_t> previous_;  // [tokens indexed] the place before with the same hash, or -1
  double reach_;                   // tokens worth guessing
  int32_t failures_ = 0;           // guesses in a row without a token right
  int32_t pause_ = 0;              // steps without a guess that are left
};

}  // namespace mill::engine
