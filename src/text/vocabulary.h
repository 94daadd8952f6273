// What a model file says about its tokens, before it becomes a Tokenizer. Filled from GGUF metadata
// (app) or a tokenizer.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"

namespace mill::text {

enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};  // as in GGUF

struct Vocabulary {
  enum class Algorithm {
    kBytePairs,
    kScoredPieces
  };  // GGUF tokenizer.ggml.model "gpt2"; "llama" (SentencePiece BPE with byte fallback)
  Algorithm algorithm = Algorithm::kBytePairs;
  std::string
      pre;  // name of the pre-tokenizer pattern: "smollm", "qwen2", "llama-bpe", "default", …
  std::vector<std::string>
      pieces;  // [vocabulary], as stored in the file (byte-level alphabet, or U+2581 for a space)
  std::vector<float> scores;        // [vocabulary] or empty
  std::vector<TokenType> types;     // [vocabulary] or empty: all kNormal
  std::vector<std::string> merges;  // "left right", best first
  TokenId bos = kNoToken, eos = kNoToken, unknown = kNoToken;
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = false;  // kScoredPieces: a space goes in front of a text
};

}  // namespace mill::text
