// Whoever turns an Order into tokens: the engine of this process, later a worker across the network.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "work/order.h"
#include "work/token_stream.h"

namespace mill::work {

// A snapshot for metrics and, later, routing.
struct Load {
  int64_t running = 0;            // sequences in the batch
  int64_t waiting = 0;            // accepted, not started
  int64_t places = 0;             // of running and waiting together
  int64_t kv_blocks_total = 0;    // of layers without a window, or of all where none has one
  int64_t kv_blocks_free = 0;     // without an owner
  int64_t kv_window_blocks_total = 0;  // of layers with a window
  int64_t kv_window_blocks_free = 0;
  int64_t kv_bytes_total = 0;
  int64_t kv_bytes_owned = 0;     // of the blocks that have an owner
  int64_t steps = 0;              // since the start, like all below
  int64_t prompt_tokens = 0;      // computed
  int64_t generated_tokens = 0;
  int64_t preemptions = 0;
  int64_t cached_tokens = 0;      // of prompts, found in the prefix cache
  int64_t cached_blocks = 0;      // now: of the free ones, those that hold a prefix
  int64_t accepted_drafts = 0;
  int64_t rejected_drafts = 0;
  double drain_seconds = 0;       // now: how long a new order would wait, by the recent rate; 0: not at all
};

class Worker {
 public:
  virtual ~Worker() = default;

  // Starts an answer. Any thread. Fails: kInvalid (a token id out of the vocabulary, an empty prompt), kTooLarge (prompt +
  // max_tokens over the context), kOverloaded (queue full, or draining).
  virtual Result<TokenStream> submit(Order order) = 0;
  virtual Load load() const = 0;
};

}  // namespace mill::work
