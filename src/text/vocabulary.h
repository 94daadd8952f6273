// What a model file says about its tokens, before it becomes a Tokenizer. Filled from GGUF metadata
// (app/model_text.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "text/pieces/string_table.h"

namespace mill::text {

// As in GGUF's tokenizer.ggml.token_type.
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // only the template's own words can name it
  kUserDefined = 4,  // matched by name in any text, before everything else
  kUnused = 5,
  kByte = 6,  // "<0x0A>"
};

struct Vocabulary {
  // GGUF tokenizer.ggml.model "gpt2" (byte-level BPE) and "llama" (SentencePiece BPE with byte
  // fallback).
  enum class Algorithm { kBytePairs, kScoredPieces };

  Algorithm algorithm = Algorithm::kBytePairs;
  // kBytePairs: the name of the pre-tokenizer: "smollm", "qwen2", "llama-bpe", "default", …
  std::string pre;
  // [vocabulary], all different, as stored in the file (in the byte-level alphabet, or with U+2581
  // for a space).
  StringTable pieces;
  std::vector<float> scores;     // [vocabulary]; kScoredPieces only
  std::vector<TokenType> types;  // [vocabulary] or empty: all kNormal
  StringTable merges;            // kBytePairs: "left right", best first
  TokenId bos = kNoToken, eos = kNoToken, unknown = kNoToken;
  std::vector<TokenId> ends;  // tokens besides eos that the file says end a turn or a message
  bool add_bos = false, add_eos = false;
  bool add_space_prefix = false;     // kScoredPieces: a space goes in front of a text
  std::vector<TokenId> strip_left;   // special tokens that swallow the white space before them
  std::vector<TokenId> strip_right;  // … after them
};

}  // namespace mill::text
