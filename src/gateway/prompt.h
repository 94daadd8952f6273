// From words to the token ids that a worker takes.
#pragma once

#include <boost/json/fwd.hpp>
#include <string_view>

#include "base/result.h"
#include "gateway/call.h"

namespace mill::gateway {

// A chat, rendered with the model's template. `variables` holds the messages and whatever else the
// request gives; the tokens' names and the generation prompt are added here. Text of the request
// stays text: it never becomes a control token. One BOS stands in front where the model wants one,
// also when the template writes its own. Fails with kInvalid when the model has no template or the
// template refuses the messages, kTooLarge when the rendering is over its budget. What is
// `remembered` changes nothing but the time.
Result<Prompt> render_prompt(const ServedModel& model, boost::json::object variables,
                             int64_t unix_time, text::Remembered remembered = {});

// A plain text. `parse_special`: the names of control tokens in it become those tokens.
Prompt text_prompt(const ServedModel& model, std::string_view text, bool parse_special,
                   text::Remembered remembered = {});

}  // namespace mill::gateway
