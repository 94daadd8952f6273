// The normalizer and the pre-tokenizer of a tokenizer.json, as steps and stages.
#pragma once

#include <boost/json/fwd.hpp>
#include <vector>

#include "base/result.h"
#include "text/split/normalizer.h"
#include "text/split/stage.h"

namespace mill::text {

struct JsonStages {
  std::vector<Normalizer::Step> steps;
  Stages stages;
  bool byte_level = false;  // words are spelled in the byte alphabet
};

// `normalizer` and `pre_tokenizer` are what stands under those keys, null included. Patterns of
// well-known models are matched by hand (words.h), others by PCRE2. Fails with kCorrupt (the field)
// or kUnsupported (the part, by its type).
Result<JsonStages> read_json_stages(const boost::json::value& normalizer,
                                    const boost::json::value& pre_tokenizer);

}  // namespace mill::text
