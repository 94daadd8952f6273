// What every worker asks of an order.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "work/order.h"

namespace mill::work {

// Fails: kInvalid (an empty prompt, a token that is none of [0, vocabulary), a negative
// max_tokens), kTooLarge (prompt and max_tokens are more than `context` tokens).
Status check_order(const Order& order, int64_t vocabulary, int64_t context);

}  // namespace mill::work
