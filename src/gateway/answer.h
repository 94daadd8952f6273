// One choice's tokens on their way to text: detokenized, cut at stop strings, with the logprobs
// beside the text they belong to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "text/detokenizer.h"
#include "text/stop_strings.h"
#include "text/tokenizer.h"
#include "work/event.h"

namespace mill::gateway {

struct ScoredToken {
  TokenId token = kNoToken;
  std::optional<float> logprob;
  std::vector<work::TokenLogprob> top;
  int64_t text_offset = 0;  // where its text begins in the whole answer, in code points
};

// What became readable. A token goes with the first text that shows some of it; one without text
// with the text that follows.
struct Delta {
  std::string text;
  std::vector<ScoredToken> tokens;  // empty unless the answer is scored
  bool empty() const { return text.empty() && tokens.empty(); }
};

class Answer {
 public:
  struct Shape {
    std::vector<std::string> stops;
    std::vector<TokenId> end_tokens;  // these end an answer and are never shown
    bool scored = false;
    std::string echo;          // the prompt's text, which comes first
    bool echo_scored = false;  // the echo comes as pieces of the prompt, with logprobs
  };
  // The tokenizer must outlive it.
  Answer(const text::Tokenizer& tokenizer, Shape shape);

  // The echo that needs no tokens; to be shown first.
  Delta begin();
  Delta push(const work::Piece& piece);
  // No more pieces will come: what was held back.
  Delta finish();
  // A stop string has been completed: the answer is over, whatever the worker still sends.
  bool stopped() const { return stopped_; }

 private:
  Delta show(std::string text, bool all);
  void hold(const work::Piece& piece);
  std::string echo_text(std::string text);

  Shape shape_;
  text::Detokenizer prompt_text_;
  text::Detokenizer answer_text_;
  text::StopStrings stops_;
  bool in_prompt_ = false;
  bool echo_begun_ = false;
  bool stopped_ = false;
  int64_t made_ = 0;   // code points that the detokenizer has given
  int64_t shown_ = 0;  // of them, shown
  std::vector<ScoredToken> held_;
};

}  // namespace mill::gateway
