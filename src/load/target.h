// What a load is aimed at, and what came of one request.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "load/ask.h"

namespace mill::load {

// A whole answer, and when its parts came.
struct Reply {
  std::vector<Instant> pieces;  // the arrival of each part that brought something: a token or a few
  Instant ended{};
  int64_t prompt_tokens = 0;  // as the target counted
  int64_t cached_tokens = 0;  // of the prompt
  int64_t completion_tokens = 0;
  int64_t accepted_drafts = 0;
  bool counted = true;  // false: the target did not say, and pieces were counted
  std::string finish_reason;
  std::string text;          // of the answer, where the target gives text
  std::vector<TokenId> ids;  // where it gives ids
};

class Target {
 public:
  virtual ~Target() = default;

  // Asks and reads to the end; on the run's loop, any number at a time. Fails with kDeadline past
  // `deadline`, and with whatever else went wrong.
  virtual Task<Result<Reply>> ask(Ask ask, Instant deadline) = 0;
};

}  // namespace mill::load
