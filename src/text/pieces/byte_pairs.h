// Byte-pair encoding of one word at a time (Sennrich et al., "Neural machine translation of rare
// words with subword units", 2016): symbols are merged in the order of a list, the first on the
// list first, the leftmost of equals.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "text/pieces/merge_all.h"
#include "text/pieces/piece_index.h"
#include "text/pieces/string_table.h"
#include "text/pieces/word_memory.h"

namespace mill::text {

class BytePairs {
 public:
  struct Options {
    bool whole_words = false;    // a word that is a piece is that token, whatever the merges say
    bool by_characters = false;  // the first symbols are UTF-8 characters, not bytes
    // by_characters: what becomes of a character that is no piece. With byte_fallback the tokens of
    // its bytes, where all 256 are there; else `unknown`, or nothing when that is kNoToken.
    bool byte_fallback = false;
    bool fuse_unknown = false;  // several in a row are one
    TokenId unknown = kNoToken;
  };
  struct Parts {
    std::shared_ptr<const StringTable> pieces;  // [vocabulary] the bytes each stands for
    std::vector<bool> hidden;          // [vocabulary] or empty: those that text never becomes
    StringTable merges;                // left and right of each merge in turn, best first
    std::array<TokenId, 256> bytes{};  // byte_fallback: the token of each byte, or kNoToken
    Options options;
  };

  // Fails with kCorrupt (and the merge) when a merge names a piece that is not there, or makes one.
  static Result<BytePairs> build(Parts parts);

  // Memory of encode(), kept by the caller from word to word. One thread at a time.
  struct Memory {
    std::vector<TokenId> symbols;
    MergeMemory merging;
    WordMemory words;
  };
  // Appends the tokens of a word. Any number of threads may call it.
  void encode(std::string_view word, Memory& memory, std::vector<TokenId>& out) const;

  // For merge_all.
  uint32_t priority(TokenId left, TokenId right) const;
  TokenId join(TokenId, TokenId, uint32_t priority) const { return made_by_[priority]; }

 private:
  // What merging makes of a piece's own bytes, found when it is first met in a text.
  enum Wholeness : uint8_t { kNotTried = 0, kItself, kOthers };
  struct PairEntry {
    TokenId left = kNoToken, right = kNoToken;
    uint32_t priority = kNoMerge;  // a free place has none
  };

  BytePairs() = default;
  Status add_merges(const StringTable& merges);
  void encode_new(std::string_view word, Memory& memory, std::vector<TokenId>& out) const;
  void merge_few(std::string_view word, std::vector<TokenId>& symbols) const;
  void first_symbols(std::string_view word, std::vector<TokenId>& symbols) const;
  // Where the pair is, or would be.
  size_t place_of(TokenId left, TokenId right) const;

  Options options_;
  PieceIndex index_;
  std::array<TokenId, 256> byte_symbols_{};  // or, by_characters, the fallback tokens
  bool all_bytes_ = false;
  // Priorities of the symbols of two bytes: what most words begin with, without a search.
  std::vector<uint32_t> byte_pairs_;                   // [first << 8 | second]; empty by_characters
  std::vector<PairEntry> pairs_;                       // open hash table, half of it free at least
  std::vector<TokenId> made_by_;                       // [priority]
  std::unique_ptr<std::atomic<uint8_t>[]> wholeness_;  // [vocabulary]
};

}  // namespace mill::text
