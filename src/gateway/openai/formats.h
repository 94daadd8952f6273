// The two answer formats of the OpenAI API: chat completions and text completions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/answer_format.h"
#include "gateway/call.h"

namespace mill::gateway::openai {

// What stands in every event of one answer.
struct Envelope {
  std::string id;  // "chatcmpl-…", "cmpl-…"
  int64_t created = 0;
  std::string system_fingerprint;
  std::string_view service_tier = {};  // that it was served and sold in; empty: nothing is sold
};

// `call` must outlive them.
std::unique_ptr<AnswerFormat> chat_format(const Call& call, const Envelope& envelope);
std::unique_ptr<AnswerFormat> completion_format(const Call& call, const Envelope& envelope);

}  // namespace mill::gateway::openai
