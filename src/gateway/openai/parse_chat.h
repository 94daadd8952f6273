// POST /v1/chat/completions: its body, read into a Call.
#pragma once

#include <string_view>

#include "base/result.h"
#include "gateway/call.h"
#include "gateway/openai/common_fields.h"

namespace mill::gateway::openai {

// Reads, checks, renders with the model's template and tokenizes. `unix_time` is what the template
// takes for today. Slow for a huge body; pure, any thread. Fails with kInvalid, kUnsupported,
// kNotFound or kTooLarge, and the field. A Call without a model is one that has to be read again
// when the model is loaded.
Result<Call> parse_chat(std::string_view body, const Catalogue& catalogue, int64_t unix_time);

}  // namespace mill::gateway::openai
