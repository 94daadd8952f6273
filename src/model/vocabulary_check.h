// What a model file says about its tokens, held against itself before anyone reads it.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace mill::model {

class Gguf;

// The count of "tokenizer.ggml.tokens", or 0 when the file has none (its
// "<architecture>.vocab_size" then says it). Checks on the way, each error naming its key: tokens
// is an array of strings, none over 65,535 bytes; scores, where there, is one f32 a token and
// token_type one integer in 1..6 a token; a token of type byte reads "<0xHH>"; merges is an array
// of strings; every "tokenizer.ggml.*_token_id" is a token.
Result<int64_t> vocabulary_size(const Gguf& file);

}  // namespace mill::model
