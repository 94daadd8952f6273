#include "gateway/openai/common_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <limits>

#include "net/request_id.h"

namespace mill::gateway::openai {
namespace {

namespace json = boost::json;

constexpr int64_t kMaxInt32 = std::numeric_limits<int32_t>::max();
constexpr double kLeastRepetition = 0.01;  // logits are divided by it

std::string_view view(const json::string& text) {
  return {text.data(), text.size()};
}
std::string_view view(json::string_view text) {
  return {text.data(), text.size()};
}

Result<uint64_t> read_seed(const Fields& fields) {
  const json::value* value = fields.find("seed");
  if (!value) return net::random_bits();
  if (const auto* large = value->if_uint64()) return *large;
  constexpr auto kLimits = std::numeric_limits<int64_t>();
  MILL_TRY(const auto seed, fields.integer("seed", kLimits.min(), kLimits.max()));
  return static_cast<uint64_t>(*seed);
}

// {"1234": -100, …}: a number for each token id.
Result<std::vector<std::pair<TokenId, float>>> read_logit_bias(const Fields& fields,
                                                               const ServedModel& model,
                                                               const RequestLimits& limits) {
  std::vector<std::pair<TokenId, float>> biases;
  MILL_TRY(const json::object* object, fields.object("logit_bias"));
  if (!object) return biases;
  if (object->size() > static_cast<size_t>(limits.logit_biases)) {
    return fail(Code::kInvalid,
                fmt::format("'logit_bias' may have {} entries at most", limits.logit_biases),
                "logit_bias");
  }
  const Fields entries(*object, "logit_bias.");
  for (const auto& [key, _] : *object) {
    TokenId token = kNoToken;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
    const bool known = error == std::errc() && end == key.data() + key.size() && token >= 0 &&
                       static_cast<size_t>(token) < model.tokenizer->size();
    if (!known) {
      return fail(Code::kInvalid,
                  fmt::format("the names in 'logit_bias' must be token ids of this model, 0 to {}",
                              model.tokenizer->size() - 1),
                  "logit_bias");
    }
    MILL_TRY(const auto bias, entries.number(view(key), -100, 100));
    if (bias) biases.emplace_back(token, static_cast<float>(*bias));
  }
  return biases;
}

// Context and output as the price book sells them, within what the model can do.
void cap(const maas::Model* sold, Call& call) {
  call.context_tokens = call.model->context_tokens;
  if (!sold) return;
  if (sold->context_tokens > 0 && sold->context_tokens < call.context_tokens)
    call.context_tokens = static_cast<int32_t>(sold->context_tokens);
  call.most_output =
      static_cast<int32_t>(std::min<int64_t>(sold->max_output_tokens, call.context_tokens));
}

}  // namespace

Status read_model(const Fields& fields, const Catalogue& catalogue, Call& call) {
  MILL_TRY(const auto id, fields.string("model"));
  if (!id || id->empty()) return fail(Code::kInvalid, "'model' must name a model", "model");
  call.asked = *id;
  const maas::Model* sold = catalogue.prices ? catalogue.prices->find(*id) : nullptr;
  if (sold && sold->retired(catalogue.unix_ns)) {
    return fail(Code::kNotFound,
                fmt::format("the model '{}' is retired{}", sold->id,
                            sold->replacement.empty() ? "" : "; use " + sold->replacement),
                "model");
  }
  std::vector<std::string> names{sold ? sold->id : *id};
  if (sold) names.insert(names.end(), sold->fallbacks.begin(), sold->fallbacks.end());
  for (const std::string& name : names) {
    ModelDirectory::Found found = catalogue.models->find(name);
    if (!found.lease && !found.known) continue;
    call.model = std::move(found.lease);
    if (!call.model) {
      call.absent = name;
      return {};
    }
    cap(catalogue.prices ? catalogue.prices->find(name) : nullptr, call);
    return {};
  }
  std::string known;
  for (const KnownModel& model : catalogue.models->list())
    known += (known.empty() ? "" : ", ") + model.id;
  if (known.empty()) known = "none";
  return fail(Code::kNotFound,
              fmt::format("there is no model '{}' here; there is: {}", id->substr(0, 200), known),
              "model");
}

Result<work::Sampling> read_sampling(const Fields& fields, const ServedModel& model,
                                     const RequestLimits& limits) {
  work::Sampling sampling;
  MILL_TRY(const auto temperature, fields.number("temperature", 0, 2));
  MILL_TRY(const auto top_p, fields.number("top_p", 0, 1));
  MILL_TRY(const auto top_k, fields.integer("top_k", -1, kMaxInt32));
  MILL_TRY(const auto min_p, fields.number("min_p", 0, 1));
  MILL_TRY(const auto typical_p, fields.number("typical_p", 0, 1));
  MILL_TRY(const auto repetition, fields.number("repetition_penalty", kLeastRepetition, 10));
  MILL_TRY(const auto presence, fields.number("presence_penalty", -2, 2));
  MILL_TRY(const auto frequency, fields.number("frequency_penalty", -2, 2));
  sampling.temperature = static_cast<float>(temperature.value_or(1));
  // 0 would leave no token at all; the smallest share leaves the best one, which is what a 0 asks
  // for.
  const auto share = [](double given) {
    return std::max(static_cast<float>(given), std::numeric_limits<float>::min());
  };
  sampling.top_p = share(top_p.value_or(1));
  sampling.typical_p = share(typical_p.value_or(1));
  sampling.top_k = static_cast<int32_t>(std::max<int64_t>(top_k.value_or(0), 0));
  sampling.min_p = static_cast<float>(min_p.value_or(0));
  sampling.repetition_penalty = static_cast<float>(repetition.value_or(1));
  sampling.presence_penalty = static_cast<float>(presence.value_or(0));
  sampling.frequency_penalty = static_cast<float>(frequency.value_or(0));
  MILL_TRY(sampling.seed, read_seed(fields));
  MILL_TRY(sampling.logit_bias, read_logit_bias(fields, model, limits));
  return sampling;
}

Result<std::vector<std::string>> read_stops(const Fields& fields, const RequestLimits& limits) {
  std::vector<std::string> stops;
  const json::value* value = fields.find("stop");
  if (!value) return stops;
  const auto wrong = [&] {
    return fail(Code::kInvalid,
                fmt::format("'stop' must be a string or an array of at most {} strings, none of "
                            "them empty or longer than {} bytes",
                            limits.stops, limits.stop_bytes),
                "stop");
  };
  if (const json::string* one = value->if_string()) {
    stops.emplace_back(view(*one));
  } else if (const json::array* some = value->if_array()) {
    if (some->size() > static_cast<size_t>(limits.stops)) return wrong();
    for (const json::value& stop : *some) {
      if (!stop.is_string()) return wrong();
      stops.emplace_back(view(stop.get_string()));
    }
  } else {
    return wrong();
  }
  for (const std::string& stop : stops) {
    if (stop.empty() || stop.size() > limits.stop_bytes) return wrong();
  }
  return stops;
}

Status read_delivery(const Fields& fields, const RequestLimits& limits, Call& call) {
  MILL_TRY(const auto choices, fields.integer("n", 1, limits.choices));
  MILL_TRY(const auto stream, fields.boolean("stream"));
  MILL_TRY(const json::object* options, fields.object("stream_options"));
  MILL_TRY(const auto ignore_end, fields.boolean("ignore_eos"));
  call.choices = static_cast<int32_t>(choices.value_or(1));
  call.stream = stream.value_or(false);
  call.ignore_end = ignore_end.value_or(false);
  if (options) {
    const Fields inner(*options, "stream_options.");
    MILL_TRY(const auto include_usage, inner.boolean("include_usage"));
    call.include_usage = include_usage.value_or(false);
  }
  return {};
}

// service_tier: OpenAI's words and the tier of batches.
Result<std::optional<maas::Tier>> read_tier(const Fields& fields, bool sold) {
  MILL_TRY(const auto word, fields.string("service_tier"));
  if (!word || *word == "auto") return std::optional<maas::Tier>();
  const auto tier = maas::parse_tier(*word, "service_tier");
  if (!tier) {
    return fail(Code::kUnsupported,
                fmt::format("'service_tier' is auto, default, flex, priority or batch, not '{}'",
                            word->substr(0, 64)),
                "service_tier");
  }
  if (!sold && *tier != maas::Tier::kDefault) {
    return fail(Code::kUnsupported,
                "this server sells nothing, and so has no tiers: leave 'service_tier' out",
                "service_tier");
  }
  return std::optional(*tier);
}

Status read_handling(const Fields& fields, const Catalogue& catalogue, Call& call) {
  const size_t longest_salt = catalogue.limits.cache_salt_bytes;
  MILL_TRY(call.tier, read_tier(fields, catalogue.sells));
  MILL_TRY(const auto priority, fields.integer("priority", -kMaxInt32, kMaxInt32));
  MILL_TRY(const auto cache_salt, fields.string("cache_salt"));
  MILL_TRY(const auto speculate, fields.boolean("speculate"));
  // On the wire, as in vLLM, the lower number goes first.
  call.priority = static_cast<int32_t>(-priority.value_or(0));
  call.speculate = speculate.value_or(true);
  if (cache_salt && (cache_salt->empty() || cache_salt->size() > longest_salt)) {
    return fail(Code::kInvalid,
                fmt::format("'cache_salt' must be a text of 1 to {} bytes; without one the prompt "
                            "shares the cache of all requests with the same key",
                            longest_salt),
                "cache_salt");
  }
  const Asker& asker = catalogue.asker;
  if (asker.salts) call.salt = asker.salts->of(asker.credentials, cache_salt.value_or(""));
  return {};
}

text::Remembered remembered(const Catalogue& catalogue, const Call& call) {
  return {catalogue.asker.tokens, {.high = call.salt.high, .low = call.salt.low}};
}

Status refuse_unbuilt(const Fields& fields, std::span<const Unbuilt> table) {
  for (const Unbuilt& row : table) {
    const json::value* value = fields.find(row.name);
    if (!value) continue;
    if (!row.harmless.empty() && view(json::serialize(*value)) == row.harmless) continue;
    return fail(Code::kUnsupported,
                fmt::format("'{}' is not supported by this server yet: {}", row.name, row.advice),
                fields.path_of(row.name));
  }
  return {};
}

Status check_length(const Call& call, const RequestLimits& limits, std::string_view param) {
  for (const Prompt& prompt : call.prompts) {
    const auto length = static_cast<int64_t>(prompt.ids.size());
    if (limits.prompt_tokens > 0 && length > limits.prompt_tokens) {
      return fail(Code::kTooLarge,
                  fmt::format("the prompt has {} tokens, and this server takes {} at most", length,
                              limits.prompt_tokens),
                  std::string(param));
    }
    const int64_t wanted = call.max_tokens.value_or(1);
    if (call.most_output > 0 && wanted > call.most_output) {
      return fail(Code::kInvalid,
                  fmt::format("max_tokens is {}, and this model answers with {} at most", wanted,
                              call.most_output),
                  "max_tokens");
    }
    if (length + wanted > call.context_tokens) {
      return fail(Code::kTooLarge,
                  fmt::format("the context of this model is {} tokens, and {} were asked for: {} "
                              "in the prompt and {} for the answer",
                              call.context_tokens, length + wanted, length, wanted),
                  std::string(param));
    }
  }
  return {};
}

}  // namespace mill::gateway::openai
