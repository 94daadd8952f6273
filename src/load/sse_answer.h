// Puts an answer together from the events of a completion's stream (OpenAI's chunks). Pure;
// internal to load.
#pragma once

#include <string_view>

#include "base/result.h"
#include "load/target.h"
#include "net/sse_reader.h"

namespace mill::load {

class SseAnswer {
 public:
  // Takes bytes that came at `when`. Fails: kCorrupt (no JSON, an answer of another kind),
  // kTooLarge, or kInternal with the server's own words when it sends an error.
  Status feed(std::string_view bytes, Instant when);

  // The answer, once the stream has ended at `when`. Fails with kIo when it ended too early.
  Result<Reply> finish(Instant when);

 private:
  Status take(const std::string& event, Instant when);

  net::SseReader reader_;
  Reply reply_;
  bool done_ = false;   // [DONE]
  bool usage_ = false;  // has come
};

}  // namespace mill::load
