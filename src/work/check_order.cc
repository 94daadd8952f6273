#include "work/check_order.h"

#include <algorithm>
#include <string>

namespace mill::work {

Status check_order(const Order& order, int64_t vocabulary, int64_t context) {
  const auto outside = [&](TokenId id) { return id < 0 || id >= vocabulary; };
  if (order.prompt.empty()) return fail(Code::kInvalid, "the prompt is empty", "prompt");
  if (std::any_of(order.prompt.begin(), order.prompt.end(), outside)) {
    return fail(Code::kInvalid, "the prompt has a token id out of the vocabulary", "prompt");
  }
  if (order.max_tokens < 0) return fail(Code::kInvalid, "max_tokens is negative", "max_tokens");
  const auto tokens = static_cast<int64_t>(order.prompt.size()) + order.max_tokens;
  if (tokens > context) {
    return fail(Code::kTooLarge,
                "prompt (" + std::to_string(order.prompt.size()) + " tokens) and answer (" +
                    std::to_string(order.max_tokens) + ") are longer than the context of " +
                    std::to_string(context) + " tokens",
                "max_tokens");
  }
  return {};
}

}  // namespace mill::work
