#include "app/shelf_memory.h"

#include <algorithm>

#include "app/progress.h"
#include "base/check.h"

namespace mill::app {

Result<int64_t> kv_bytes_of(std::span<const MemoryClaim> claims, size_t which, int64_t kv_total,
                            int64_t free) {
  MILL_CHECK(which < claims.size());
  const MemoryClaim& own = claims[which];
  if (own.kv_wish > 0) return own.kv_wish;
  double shares = 0;
  int64_t held = 0;
  int64_t wished = 0;
  for (const MemoryClaim& claim : claims) {
    if (claim.kv_wish > 0) {
      wished += claim.kv_wish;
    } else {
      shares += claim.share;
    }
    held += claim.kv_held;
  }
  free = std::max<int64_t>(free, 0);
  const int64_t total = kv_total > 0 ? std::max<int64_t>(kv_total - wished, 0) : (free + held) / 2;
  const auto part = static_cast<int64_t>(static_cast<double>(total) * (own.share / shares));
  if (kv_total == 0) return std::max(std::min(part, free / 10 * 9), kLeastKv);
  const int64_t left = kv_total - held;
  if (left < kLeastKv) {
    return fail(Code::kOverloaded,
                "all of --kv-memory (" + bytes_text(static_cast<uint64_t>(kv_total)) +
                    ") is with other models: give this one a kv_memory of its own, or name it in "
                    "the file of --models, so that it is divided from the start",
                "kv_memory");
  }
  return std::max(std::min(part, left), kLeastKv);
}

int64_t bytes_to_load(int64_t file_bytes, int64_t kv_wish) {
  constexpr int64_t kBeside = int64_t{64} << 20;  // vocabulary, workspace, the first blocks
  return file_bytes + file_bytes / 10 * 3 + kBeside + kv_wish;
}

std::optional<size_t> first_to_go(std::span<const Evictable> models) {
  std::optional<size_t> first;
  for (size_t i = 0; i < models.size(); ++i) {
    if (!models[i].may_go) continue;
    if (!first || models[i].last_used < models[*first].last_used) first = i;
  }
  return first;
}

}  // namespace mill::app
