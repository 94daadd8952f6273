// The members that chat and text completions share: sampling, lengths, stops, streaming, and those
// that are known and not built.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gateway/cache_salts.h"
#include "gateway/call.h"
#include "gateway/limits.h"
#include "gateway/openai/fields.h"
#include "maas/catalog/price_version.h"
#include "text/tokenizer.h"

namespace mill::gateway::openai {

// Whose caches a request may use.
struct Asker {
  const CacheSalts* salts = nullptr;   // null: all have one
  std::string credentials;             // as of credentials_of()
  text::TokenCache* tokens = nullptr;  // null: none
};

// What a request is read against.
struct Catalogue {
  ModelDirectory* models;
  RequestLimits limits;
  std::shared_ptr<const maas::PriceVersion> prices;  // aliases, fallbacks and caps; null: none
  int64_t unix_ns = 0;                               // for models that retire
  bool sells = false;                                // whether answers cost something
  Asker asker = {};
};

// The model that "model" names, by id or by an alias of the price book, into `call`: its lease, or
// its name when it is known and not loaded. Where it is not here, the first of its fallbacks that
// is. Fails: kInvalid when there is no name, kNotFound (which models there are, or what replaces a
// retired one).
Status read_model(const Fields& fields, const Catalogue& catalogue, Call& call);

// temperature, top_p, top_k, min_p, typical_p, penalties, seed (a random one when none is given),
// logit_bias; not the logprobs.
Result<work::Sampling> read_sampling(const Fields& fields, const ServedModel& model,
                                     const RequestLimits& limits);
// stop: null, one string, or some.
Result<std::vector<std::string>> read_stops(const Fields& fields, const RequestLimits& limits);
// n, stream, stream_options, ignore_eos into `call`.
Status read_delivery(const Fields& fields, const RequestLimits& limits, Call& call);
// priority, cache_salt, speculate, service_tier into `call`: how the server goes about it; the
// answer is the same.
Status read_handling(const Fields& fields, const Catalogue& catalogue, Call& call);
// What `call` may look its tokens up in.
text::Remembered remembered(const Catalogue& catalogue, const Call& call);

// A member that this server knows and has not built: harmless while absent, null, or equal to
// `harmless` (JSON).
struct Unbuilt {
  std::string_view name;
  std::string_view harmless;  // "" when no value is
  std::string_view advice;    // the end of the sentence: what to do instead
};
// Fails with kUnsupported at the first that asks for something.
Status refuse_unbuilt(const Fields& fields, std::span<const Unbuilt> table);

// Prompt and answer against the context. `param` is "messages" or "prompt". Fails with kTooLarge,
// with the numbers.
Status check_length(const Call& call, const RequestLimits& limits, std::string_view param);

}  // namespace mill::gateway::openai
