#include "engine/kv_store.h"

#include <cstring>
#include <utility>

#include "base/check.h"

namespace mill::engine {
namespace {

void zero(std::byte* base, size_t block_bytes, int32_t total, std::span<const int32_t> blocks) {
  for (const int32_t block : blocks) {
    MILL_CHECK(block >= 0 && block < total);
    std::memset(base + static_cast<size_t>(block) * block_bytes, 0, block_bytes);
  }
}

}  // namespace

KvStore::KvStore(tensor::Arena arena, const KvSizes& sizes)
    : arena_(std::move(arena)), sizes_(sizes) {}

// The windowed blocks lie behind the others.
size_t KvStore::window_offset(const KvSizes& sizes) {
  return tensor::Arena::rounded(static_cast<size_t>(sizes.blocks) * sizes.block_bytes);
}

size_t KvStore::bytes_of(int64_t blocks, int64_t window_blocks) const {
  return static_cast<size_t>(blocks) * sizes_.block_bytes +
         static_cast<size_t>(window_blocks) * sizes_.window_block_bytes;
}

Result<KvStore> KvStore::reserve(const KvSizes& sizes) {
  MILL_CHECK(sizes.blocks >= 1 && sizes.window_blocks >= 0);
  MILL_CHECK(sizes.block_bytes + sizes.window_block_bytes >= 1);
  auto arena = tensor::Arena::reserve(
      window_offset(sizes) + static_cast<size_t>(sizes.window_blocks) * sizes.window_block_bytes);
  if (!arena) {
    Error error = std::move(arena).error();
    error.message = "no memory for the KV cache, give it fewer bytes: " + error.message;
    error.param = "kv_bytes";
    return fail(std::move(error));
  }
  return KvStore(std::move(*arena), sizes);
}

void KvStore::scrub(std::span<const int32_t> blocks) {
  zero(arena_.data(), sizes_.block_bytes, sizes_.blocks, blocks);
}

void KvStore::scrub_windowed(std::span<const int32_t> blocks) {
  zero(windowed(), sizes_.window_block_bytes, sizes_.window_blocks, blocks);
}

}  // namespace mill::engine
