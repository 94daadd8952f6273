// A model that clients can name. Put together by app; the gateway only looks.
#pragma once

#include <cstdint>
#include <string>

#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "work/worker.h"

namespace mill::gateway {

// Whatever is pointed at must outlive the gateway.
struct ServedModel {
  std::string id;  // what clients put in "model"; may hold slashes
  const text::Tokenizer* tokenizer = nullptr;
  const text::ChatTemplate* chat_template = nullptr;  // null: completions only
  work::Worker* worker = nullptr;
  int32_t context_tokens = 0;             // prompt and answer together
  int64_t created = 0;                    // unix seconds
  bool template_knows_developer = false;  // else the role "developer" is rendered as "system"
};

}  // namespace mill::gateway
