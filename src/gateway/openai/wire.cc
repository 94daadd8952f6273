#include "gateway/openai/wire.h"

#include <fmt/format.h>

#include <cmath>

#include "base/log.h"

namespace mill::gateway::openai {

std::string envelope_head(const Call& call, const Envelope& envelope, std::string_view object) {
  std::string out = "{\"id\":";
  append_json_string(out, envelope.id);
  fmt::format_to(std::back_inserter(out), ",\"object\":\"{}\",\"created\":{},\"model\":", object,
                 envelope.created);
  append_json_string(out, call.model->id);
  out += ",\"system_fingerprint\":";
  append_json_string(out, envelope.system_fingerprint);
  if (!envelope.service_tier.empty())
    fmt::format_to(std::back_inserter(out), ",\"service_tier\":\"{}\"", envelope.service_tier);
  out += ",\"choices\":[";
  return out;
}

void append_usage(std::string& out, const work::Usage& usage) {
  fmt::format_to(std::back_inserter(out),
                 "{{\"prompt_tokens\":{},\"completion_tokens\":{},\"total_tokens\":{},"
                 "\"prompt_tokens_details\":{{\"cached_tokens\":{}}},"
                 "\"completion_tokens_details\":{{\"accepted_prediction_tokens\":{},"
                 "\"rejected_prediction_tokens\":{}}}}}",
                 usage.prompt_tokens, usage.completion_tokens,
                 usage.prompt_tokens + usage.completion_tokens, usage.cached_tokens,
                 usage.accepted_drafts, usage.rejected_drafts);
}

void append_logprob(std::string& out, float logprob) {
  const float sayable = std::isfinite(logprob) ? logprob : -9999.0F;
  fmt::format_to(std::back_inserter(out), "{:.9g}", sayable);
}

}  // namespace mill::gateway::openai
