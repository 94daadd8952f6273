#include "engine/kv_split.h"

#include <algorithm>
#include <limits>

#include "tensor/kv_cache.h"

namespace mill::engine {
namespace {

// What the books of a block take at least: where all layers have a window the others' blocks are
// nothing else.
constexpr int64_t kBookBytes = 64;

int64_t blocks_for(int64_t tokens) {
  return (tokens + tensor::kBlockTokens - 1) / tensor::kBlockTokens;
}

}  // namespace

KvSizes split_kv(const KvNeed& need) {
  const auto bytes = static_cast<int64_t>(need.bytes);
  const auto full_bytes = std::max(static_cast<int64_t>(need.block_bytes), kBookBytes);
  const auto window_bytes = static_cast<int64_t>(need.window_block_bytes);
  const int64_t context = blocks_for(need.context);
  const int64_t most =
      std::min<int64_t>(need.sequences * context, std::numeric_limits<int32_t>::max());
  const int64_t as_many = std::min(bytes / (full_bytes + window_bytes), most);
  KvSizes sizes{static_cast<int32_t>(as_many), need.block_bytes, 0, need.window_block_bytes};
  if (window_bytes == 0 || as_many == 0) return sizes;

  // Of one sequence: its window and the next token; and once, what prompts write in a step.
  const int64_t span = blocks_for(need.window) + 1;
  const int64_t typical = std::min(context, blocks_for(kTypicalTokens));
  const int64_t window = std::min(typical, span);
  const int64_t step = blocks_for(need.step_tokens);
  const auto one = static_cast<double>(typical * full_bytes + window * window_bytes);
  const double sequences = std::min(static_cast<double>(bytes - step * window_bytes) / one,
                                    static_cast<double>(need.sequences));
  auto windowed = static_cast<int64_t>(std::max(sequences, 1.0) * static_cast<double>(window));
  // A windowed block without a full one for the same tokens is good for nothing; nor is the other
  // way round before a whole window fits.
  windowed = std::min(windowed + step, as_many);
  const int64_t useful = windowed < span ? windowed : most;
  const int64_t full = std::min((bytes - windowed * window_bytes) / full_bytes, useful);
  windowed = std::max(windowed, std::min((bytes - full * full_bytes) / window_bytes, full));
  sizes.blocks = static_cast<int32_t>(full);
  sizes.window_blocks = static_cast<int32_t>(windowed);
  return sizes;
}

}  // namespace mill::engine
