// SentencePiece's byte-pair encoding (Kudo and Richardson, 2018), as the "llama" vocabularies of
// GGUF files use it: of all neighbours that together are a piece, those with the best score are
// merged first, the leftmost of equals. What is no piece goes as bytes.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "text/pieces/merge_all.h"
#include "text/pieces/piece_index.h"
#include "text/pieces/string_table.h"

namespace mill::text {

class ScoredPieces {
 public:
  struct Parts {
    std::shared_ptr<const StringTable> pieces;  // [vocabulary] U+2581 for a space
    std::vector<bool> hidden;          // [vocabulary] or empty: those that text never becomes
    std::vector<float> scores;         // [vocabulary], no NaN
    std::array<TokenId, 256> bytes{};  // the token of each byte, or kNoToken
    TokenId unknown = kNoToken;        // stands for a byte without a token
  };
  explicit ScoredPieces(const Parts& parts);

  struct Span {
    uint32_t begin, size;  // bytes of the text that is being encoded
  };
  // Memory of encode(), kept by the caller. One thread at a time.
  struct Memory {
    std::string escaped;
    std::vector<Span> symbols;
    MergeMemory merging;
  };
  // Whether no piece holds a space behind a character that ends with the byte `last`.
  bool cuts_at_space_after(unsigned char last) const { return !may_merge_across(last, ' '); }
  // Appends the tokens of `text`, in which spaces stand for themselves. Any number of threads may
  // call it.
  void encode(std::string_view text, Memory& memory, std::vector<TokenId>& out) const;

 private:
  enum Wholeness : uint8_t { kNotTried = 0, kItself, kOthers };
  struct Rule;

  void encode_part(std::string_view part, Memory& memory, std::vector<TokenId>& out) const;
  bool may_merge_across(size_t before, size_t after) const { return joints_[before << 8 | after]; }
  void add_joints(std::string_view piece);

  PieceIndex index_;
  std::vector<uint32_t> priorities_;  // [vocabulary], lower for a higher score
  std::array<TokenId, 256> bytes_;
  TokenId unknown_;
  // Which bytes meet inside some piece, at a border of characters: (last byte, first byte of the
  // next). Where two that never do meet in a text, nothing can be merged across, so the text is cut
  // there. U+2581 counts as one byte, ' '.
  std::vector<bool> joints_;
  std::unique_ptr<std::atomic<uint8_t>[]> wholeness_;  // [vocabulary]
};

}  // namespace mill::text
