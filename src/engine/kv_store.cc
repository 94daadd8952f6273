#include "engine/kv_store.h"

#include <cstring>
#include <utility>

#include "base/check.h"

namespace mill::engine {

KvStore::KvStore(tensor::Arena arena, int32_t blocks, size_t block_bytes)
    : arena_(std::move(arena)), blocks_(blocks), block_bytes_(block_bytes) {}

Result<KvStore> KvStore::reserve(int32_t blocks, size_t block_bytes) {
  MILL_CHECK(blocks >= 1 && block_bytes >= 1);
  auto arena = tensor::Arena::reserve(static_cast<size_t>(blocks) * block_bytes);
  if (!arena) {
    Error error = std::move(arena).error();
    error.message = "no memory for the KV cache, give it fewer bytes: " + error.message;
    error.param = "kv_bytes";
    return fail(std::move(error));
  }
  return KvStore(std::move(*arena), blocks, block_bytes);
}

void KvStore::scrub(std::span<const int32_t> blocks) {
  for (const int32_t block : blocks) {
    MILL_CHECK(block >= 0 && block < blocks_);
    std::memset(data() + static_cast<size_t>(block) * block_bytes_, 0, block_bytes_);
  }
}

}  // namespace mill::engine
