// For tests: reads a stream to its end.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "work/order.h"
#include "work/token_stream.h"

namespace mill::sim {

struct ReadAnswer {
  std::vector<work::Piece> scored;
  std::vector<TokenId> tokens;
  std::vector<work::Piece> pieces;
  std::optional<work::Finished> finished;
};

// What is there by now; the stream may go on.
inline void read(work::TokenStream& stream, ReadAnswer& answer, Instant deadline = Instant::min()) {
  while (!answer.finished) {
    auto event = stream.next_blocking(deadline);
    if (!event) return;
    if (auto* finished = std::get_if<work::Finished>(&*event)) {
      answer.finished = *finished;
      EXPECT_FALSE(stream.next_blocking().has_value()) << "something came after Finished";
      return;
    }
    auto& piece = std::get<work::Piece>(*event);
    if (piece.of_prompt) {
      answer.scored.push_back(piece);
    } else {
      answer.tokens.push_back(piece.token);
      answer.pieces.push_back(piece);
    }
  }
}

inline ReadAnswer read_all(work::TokenStream& stream) {
  ReadAnswer answer;
  read(stream, answer, kNever);
  EXPECT_TRUE(answer.finished.has_value()) << "a stream ended without Finished";
  return answer;
}

inline std::vector<TokenId> numbers(TokenId count, TokenId first = 0) {
  std::vector<TokenId> ids;
  for (TokenId i = 0; i < count; ++i) ids.push_back((first + i) % 40);
  return ids;
}

inline work::Order order_of(std::vector<TokenId> prompt, int32_t max_tokens) {
  return {.prompt = std::move(prompt), .sampling = {.temperature = 0}, .max_tokens = max_tokens};
}

}  // namespace mill::sim
