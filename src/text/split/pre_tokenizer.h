// The pre-tokenizers of byte-level vocabularies, by the name that a GGUF gives them
// (tokenizer.ggml.pre).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "text/split/stage.h"

namespace mill::text {

class PreTokenizer {
 public:
  // The pieces are those of llama.cpp for that name. Fails with kUnsupported (and the name).
  static Result<PreTokenizer> named(std::string_view name);
  // No stages: every text is one piece.
  explicit PreTokenizer(Stages stages) : stages_(std::move(stages)) {}

  // Whether, for every text with a space behind an ASCII letter, the pieces are those of what is in
  // front of the space and those of the rest.
  bool cuts_at_spaces() const;

  // Replaces what `pieces` holds by the pieces of `text`.  Requires: is_sound(text).
  void cut(std::string_view text, Pieces& pieces) const;

 private:
  Stages stages_;
};

// What comes with the name of a pre-tokenizer besides its patterns.
struct PreTokenizerTraits {
  bool whole_words =
      false;  // a piece that is in the vocabulary is that token, whatever the merges say
  bool adds_bos = false;  // where the file does not say
};
PreTokenizerTraits traits_of_pre_tokenizer(std::string_view name);

}  // namespace mill::text
