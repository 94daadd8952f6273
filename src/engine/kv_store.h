// The bytes behind the scheduler's blocks: one arena, reserved at the start and touched only as far
// as blocks are used. Which block belongs to whom is written in scheduler/block_pool.h alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "tensor/arena.h"

namespace mill::engine {

class KvStore {
 public:
  // Room for `blocks` blocks. Fails with kOverloaded when the system has not so much address space.
  // Requires: blocks >= 1, block_bytes >= 1.
  static Result<KvStore> reserve(int32_t blocks, size_t block_bytes);

  std::byte* data() const { return arena_.data(); }  // block b at data() + b * block_bytes()
  int32_t blocks() const { return blocks_; }
  size_t block_bytes() const { return block_bytes_; }
  size_t bytes() const { return static_cast<size_t>(blocks_) * block_bytes_; }

  // Zeroes blocks, so that what went wrong in one sequence (NaN) can't reach the next owner through
  // a kernel that multiplies masked values by zero.
  void scrub(std::span<const int32_t> blocks);

 private:
  KvStore(tensor::Arena arena, int32_t blocks, size_t block_bytes);

  tensor::Arena arena_;
  int32_t blocks_;
  size_t block_bytes_;
};

}  // namespace mill::engine
