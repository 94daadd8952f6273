// Pieces of JSON that both answer formats write. Internal to openai.
#pragma once

#include <string>
#include <string_view>

#include "gateway/call.h"
#include "gateway/openai/formats.h"
#include "work/event.h"

namespace mill::gateway::openai {

// {"id":…,"object":…,"created":…,"model":…,"system_fingerprint":…,"service_tier":…,"choices":[
// without its end; a tier where there is one.
std::string envelope_head(const Call& call, const Envelope& envelope, std::string_view object);
// {"prompt_tokens":…,"completion_tokens":…,"total_tokens":…,"prompt_tokens_details":{"cached_tokens":…},
//  "completion_tokens_details":{"accepted_prediction_tokens":…,"rejected_prediction_tokens":…}}
void append_usage(std::string& out, const work::Usage& usage);
// A number of JSON; a logarithm of 0 becomes -9999, as the API has it.
void append_logprob(std::string& out, float logprob);

}  // namespace mill::gateway::openai
