#include "gateway/answer.h"

#include <algorithm>

namespace mill::gateway {
namespace {

int64_t code_points(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

}  // namespace

Answer::Answer(const text::Tokenizer& tokenizer, Shape shape)
    : shape_(std::move(shape)),
      prompt_text_(tokenizer),
      answer_text_(tokenizer),
      stops_(shape_.stops),
      in_prompt_(shape_.echo_scored) {}

Delta Answer::begin() {
  if (shape_.echo_scored || shape_.echo.empty()) return {};
  made_ = code_points(shape_.echo);
  return show(shape_.echo, false);
}

Delta Answer::push(const work::Piece& piece) {
  if (stopped_) return {};
  if (piece.of_prompt) {
    hold(piece);
    std::string text = echo_text(prompt_text_.push(piece.token));
    made_ += code_points(text);
    return show(std::move(text), false);
  }
  std::string echo_rest;
  if (std::exchange(in_prompt_, false)) {
    echo_rest = prompt_text_.finish();
    made_ += code_points(echo_rest);
  }
  const auto& ends = shape_.end_tokens;
  if (std::find(ends.begin(), ends.end(), piece.token) != ends.end()) {
    return show(std::move(echo_rest), false);
  }
  hold(piece);
  const std::string text = answer_text_.push(piece.token);
  made_ += code_points(text);
  text::StopStrings::Step step = stops_.push(text);
  stopped_ = step.stopped;
  return show(echo_rest + step.text, false);
}

Delta Answer::finish() {
  if (stopped_) return {};
  const std::string rest = prompt_text_.finish();
  const std::string tail = answer_text_.finish();
  made_ += code_points(rest) + code_points(tail);
  text::StopStrings::Step step = stops_.push(tail);
  stopped_ = step.stopped;
  if (!step.stopped) step.text += stops_.finish();
  return show(rest + step.text, !step.stopped);
}

void Answer::hold(const work::Piece& piece) {
  if (shape_.scored) held_.push_back({piece.token, piece.logprob, piece.top, made_});
}

// Vocabularies that put a space in front of a text would give back one more than the client sent.
std::string Answer::echo_text(std::string text) {
  if (echo_begun_ || text.empty()) return text;
  echo_begun_ = true;
  if (text.front() == ' ' && !shape_.echo.starts_with(' ')) text.erase(0, 1);
  return text;
}

Delta Answer::show(std::string text, bool all) {
  shown_ += code_points(text);
  const auto shown = std::find_if(held_.begin(), held_.end(), [&](const ScoredToken& token) {
    return !all && token.text_offset >= shown_;
  });
  Delta delta{std::move(text), {}};
  delta.tokens.assign(std::make_move_iterator(held_.begin()), std::make_move_iterator(shown));
  held_.erase(held_.begin(), shown);
  return delta;
}

}  // namespace mill::gateway
