// Token ids to text, one at a time, for a stream: never half a UTF-8 sequence.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "text/tokenizer.h"

namespace mill::text {

class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer)
      : tokenizer_(&tokenizer) {}  // the tokenizer must outlive it

  // The text that is complete with this token: valid UTF-8; bytes that can't become a valid
  // sequence come out as U+FFFD.
  std::string push(TokenId token);
  // What is still held back at the end of the answer (U+FFFD for an unfinished sequence).
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  std::string held_;  // the first bytes of a sequence that may still become valid
};

}  // namespace mill::text
