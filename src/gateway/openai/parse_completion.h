// POST /v1/completions: its body, read into a Call.
#pragma once

#include <string_view>

#include "base/result.h"
#include "gateway/call.h"
#include "gateway/openai/common_fields.h"

namespace mill::gateway::openai {

// Like parse_chat. "prompt" is a string, an array of strings, an array of token ids, or an array of
// such arrays. A string is ordinary text: the names of control tokens in it stay text unless the
// request says "parse_special": true (an extension, for prompts that the client has put together
// itself, such as fill-in-the-middle).
Result<Call> parse_completion(std::string_view body, const Catalogue& catalogue);

}  // namespace mill::gateway::openai
