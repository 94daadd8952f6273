// How the memory for keys and values is divided between the blocks of layers without a window and
// those of layers with one (docs/adr/0011-sliding-window-blocks.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kv_store.h"

namespace mill::engine {

struct KvNeed {
  size_t bytes = 0;               // there are
  size_t block_bytes = 0;         // of layers without a window
  size_t window_block_bytes = 0;  // of those with one; 0: there are none
  int64_t window = 0;             // tokens that these see
  int64_t context = 0;            // tokens of the longest sequence
  int64_t sequences = 0;          // at once, at most
  int64_t step_tokens = 0;        // prompt tokens of one step
};

inline constexpr int64_t kTypicalTokens = 4096;

// The sizes with which the most sequences of kTypicalTokens fit, within `bytes` and no more than
// can be used. What they need less goes to windowed blocks, which keep prefixes. Without windows:
// as many blocks as fit. 0 blocks: there is not even room for one of each kind.
KvSizes split_kv(const KvNeed& need);

}  // namespace mill::engine
