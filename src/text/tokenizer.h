// Text to token ids and back, for one vocabulary. Immutable after build; any number of threads may
// use it.
//
// Follows the behaviour of llama.cpp (for a GGUF) and Hugging Face tokenizers (for a
// tokenizer.json), id for id, with one exception: ordinary text never becomes a control token, not
// even where a vocabulary has merges that spell one. Time is linear in the text (times the
// logarithm of its longest word), whatever the text is.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "text/token_cache.h"
#include "text/vocabulary.h"

namespace mill::text {

// A stretch of a prompt. In a trusted one (the template's own words) the names of control tokens,
// such as <|im_end|>, become those tokens; text from a request is not trusted and is only ever
// ordinary text. A name counts where all of it is trusted; it may go over the border of two trusted
// spans. The names of user-defined tokens, which stand for text, count everywhere.
struct TextSpan {
  std::string_view text;
  bool trusted = false;
};

// Where encode() looks up what it has seen before. The ids are the same with and without.
struct Remembered {
  TokenCache* cache = nullptr;  // none
  TokenCache::Owner owner;
};

struct TokenizerParts;

class Tokenizer {
 public:
  // Fails with kCorrupt or kUnsupported (and the name of the field or of the unknown pattern) for a
  // vocabulary that can't be used. Fields are named as in a GGUF.
  static Result<Tokenizer> build(Vocabulary vocabulary);
  // A Hugging Face tokenizer.json with a BPE or WordPiece model. Fails with kCorrupt or
  // kUnsupported (and the field, or the part by its name).
  static Result<Tokenizer> from_tokenizer_json(std::string_view json);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // kAsModelWants adds BOS and EOS where the vocabulary says so.
  enum class Ends { kNone, kAsModelWants };
  // The ids of the spans put together. Ordinary text is tokenized across the borders of spans as
  // one text, so that a trusted and an untrusted rendering of the same words give the same ids.
  // Never fails: bytes that are no valid UTF-8 are handled as the peers do.
  // Requires: less than 4 GiB of text.
  std::vector<TokenId> encode(std::span<const TextSpan> spans, Ends ends,
                              Remembered remembered = {}) const;
  std::vector<TokenId> encode(std::string_view text, bool trusted, Ends ends) const;

  size_t size() const;  // of the vocabulary

  // Of these, each Requires: 0 <= id < size().
  std::string_view bytes(TokenId id) const;  // what it adds to a text; "" for control tokens
  std::string_view piece(TokenId id) const;  // as it stands in the file, for people and logprobs
  bool is_control(TokenId id) const;

  TokenId bos() const;  // kNoToken where there is none
  TokenId eos() const;
  bool adds_bos() const;
  // Tokens that end an answer: EOS and every control token that models use as an end of turn
  // (<|im_end|>, <|eot_id|>, <end_of_turn>, …). Rising.
  std::span<const TokenId> ends_of_generation() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  static Tokenizer from_parts(TokenizerParts parts);

  std::unique_ptr<Impl> impl_;
};

}  // namespace mill::text
