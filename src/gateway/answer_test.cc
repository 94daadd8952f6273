#include "gateway/answer.h"

#include <gtest/gtest.h>

#include "gateway/scripted_worker_for_test.h"

namespace mill::gateway {
namespace {

// The deltas of an answer, each as text and its tokens' places: "text|0,5".
struct Told {
  std::string text;
  std::vector<std::string> deltas;
};

Told tell(Answer::Shape shape, const std::string& say) {
  static const text::Tokenizer tokenizer = tiny_tokenizer();
  static const ScriptedWorker cutter(tokenizer, [](const work::Order&) { return Script(); });
  Answer answer(tokenizer, std::move(shape));
  Told told;
  const auto add = [&](const Delta& delta) {
    if (delta.empty()) return;
    told.text += delta.text;
    std::string line = delta.text + "|";
    for (const ScoredToken& token : delta.tokens) line += std::to_string(token.text_offset) + ",";
    told.deltas.push_back(line);
  };
  add(answer.begin());
  for (const TokenId token : cutter.cut(say)) {
    work::Piece piece;
    piece.token = token;
    piece.logprob = -1.0F;
    add(answer.push(piece));
  }
  add(answer.finish());
  return told;
}

using Lines = std::vector<std::string>;

TEST(Answer, gives_each_token_with_its_text) {
  EXPECT_EQ(tell({.scored = true}, "Hello world").deltas, (Lines{"Hello|0,", " world|5,"}));
  EXPECT_EQ(tell({}, "Hello world").deltas, (Lines{"Hello|", " world|"}));
}

TEST(Answer, never_splits_a_character) {
  // "ü" is two tokens of one byte: both go with the whole character.
  EXPECT_EQ(tell({.scored = true}, "aü!").deltas, (Lines{"a|0,", "ü|1,1,", "!|2,"}));
  EXPECT_EQ(tell({.scored = true}, "\xC3").deltas, (Lines{"\uFFFD|0,"}));
}

TEST(Answer, holds_back_what_may_be_a_stop_string) {
  EXPECT_EQ(tell({.stops = {" two four"}, .scored = true}, " one two three").deltas,
            (Lines{" one|0,", " two three|4,8,"}));
  EXPECT_EQ(tell({.stops = {" two four"}, .scored = true}, " one two four five").deltas,
            (Lines{" one|0,"}));
  EXPECT_EQ(tell({.stops = {"ne t"}, .scored = true}, " one two").deltas, (Lines{" o|0,"}))
      << "a token that is shown in part goes with that part";
}

TEST(Answer, gives_the_echo_first) {
  EXPECT_EQ(tell({.scored = false, .echo = "the"}, " cat").deltas, (Lines{"the|", " cat|"}));
}

TEST(Answer, shows_no_end_token) {
  static const text::Tokenizer tokenizer = tiny_tokenizer();
  Answer answer(tokenizer, {.end_tokens = {tokenizer.eos()}, .scored = true});
  work::Piece piece;
  piece.token = tokenizer.eos();
  EXPECT_TRUE(answer.push(piece).empty());
  EXPECT_TRUE(answer.finish().empty());
}

// Whatever the stops and the cut: what is shown is the text up to the first stop string, and every
// shown token once.
TEST(Answer, shows_the_same_however_the_text_is_cut) {
  const std::string text = "the cat sat\n\non the mat é日本 Hello world END";
  for (size_t from = 0; from < text.size(); ++from) {
    for (size_t length = 1; length <= 6 && from + length <= text.size(); ++length) {
      const std::string stop = text.substr(from, length);
      if ((stop.front() & 0xC0) == 0x80) continue;  // stop strings are whole characters
      if (from + length < text.size() && (text[from + length] & 0xC0) == 0x80) continue;
      const Told told = tell({.stops = {stop}, .scored = true}, text);
      EXPECT_EQ(told.text, text.substr(0, text.find(stop))) << stop;
    }
  }
}

}  // namespace
}  // namespace mill::gateway
