// The bytes behind the scheduler's blocks: one arena, reserved at the start and touched only as far
// as blocks are used. Which block belongs to whom is written in scheduler/block_pool.h alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "model/decoder.h"
#include "tensor/arena.h"

namespace mill::engine {

// Blocks of layers without a window (or of all, where none has one), and of layers with one.
struct KvSizes {
  int32_t blocks = 0;
  size_t block_bytes = 0;  // 0 where all layers have a window
  int32_t window_blocks = 0;
  size_t window_block_bytes = 0;
};

class KvStore {
 public:
  // Fails with kOverloaded when the system has not so much address space.
  // Requires: sizes.blocks >= 1, and something has bytes.
  static Result<KvStore> reserve(const KvSizes& sizes);

  model::KvMemory memory() const { return {arena_.data(), windowed()}; }
  const KvSizes& sizes() const { return sizes_; }
  size_t bytes() const { return bytes_of(sizes_.blocks, sizes_.window_blocks); }
  // Of so many blocks of each kind.
  size_t bytes_of(int64_t blocks, int64_t window_blocks) const;

  // Zeroes blocks, so that what went wrong in one sequence (NaN) can't reach the next owner through
  // a kernel that multiplies masked values by zero.
  void scrub(std::span<const int32_t> blocks);
  void scrub_windowed(std::span<const int32_t> blocks);

 private:
  KvStore(tensor::Arena arena, const KvSizes& sizes);
  std::byte* windowed() const { return arena_.data() + window_offset(sizes_); }
  static size_t window_offset(const KvSizes& sizes);

  tensor::Arena arena_;
  KvSizes sizes_;
};

}  // namespace mill::engine
