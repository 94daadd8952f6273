// The messages of a chat, checked and put into the form that templates expect.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>

#include "base/result.h"
#include "gateway/openai/fields.h"

namespace mill::gateway::openai {

// From the wire's messages to the template's: text parts become one string (joined by line feeds),
// the arguments of earlier tool calls become objects, "developer" becomes "system" unless
// `knows_developer`. Fails with kInvalid or kUnsupported ("messages[3].role").
Result<boost::json::array> read_messages(const Fields& fields, int32_t at_most,
                                         bool knows_developer);

}  // namespace mill::gateway::openai
