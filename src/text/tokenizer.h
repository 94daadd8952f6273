// Text to token ids and back, for one vocabulary. Immutable after build; any number of threads may
// use it.
//
// Follows the behaviour of llama.cpp (for a GGUF) and Hugging Face tokenizers (for a
// tokenizer.json), id for id. Time is linear in the text, whatever the text is.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "text/vocabulary.h"

namespace mill::text {

// A stretch of a prompt. In a trusted one (the template's own words) the names of control tokens,
// such as <|im_end|>, become those tokens; text from a request is not trusted and is only ever
// ordinary text.
struct TextSpan {
  std::string_view text;
  bool trusted = false;
};

class Tokenizer {
 public:
  // Fails with kCorrupt or kUnsupported (and the name of the field or of the unknown pattern) for a
  // vocabulary that can't be used.
  static Result<Tokenizer> build(Vocabulary vocabulary);
  static Result<Tokenizer> from_tokenizer_json(std::string_view json);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  enum class Ends {
    kNone,
    kAsModelWants
  };  // kAsModelWants adds BOS/EOS where the vocabulary says so
  // The ids of the spans put together. Ordinary text is tokenized across the borders of spans as
  // one text, so that a trusted and an untrusted rendering of the same words give the same ids.
  // Never fails: bytes that are no valid UTF-8 are handled as the peers do.
  std::vector<TokenId> encode(std::span<const TextSpan> spans, Ends ends) const;
  std::vector<TokenId> encode(std::string_view text, bool trusted, Ends ends) const;

  size_t size() const;  // of the vocabulary
  std::string_view bytes(TokenId)
      const;  // what the token adds to a text; "" for control tokens.   Requires: 0 <= id < size()
  std::string_view piece(
      TokenId) const;  // as it stands in the file, for people and logprobs of control tokens
  bool is_control(TokenId) const;
  TokenId bos() const;
  TokenId eos() const;
  bool adds_bos() const;
  // Tokens that end an answer: EOS and every control token that models use as an end of turn
  // (<|im_end|>, <|eot_id|>, <end_of_turn>, …).
  std::span<const TokenId> ends_of_generation() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mill::text
