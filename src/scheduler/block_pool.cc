#include "scheduler/block_pool.h"

#include <algorithm>

#include "base/check.h"

namespace mill::scheduler {

BlockPool::BlockPool(int32_t blocks) {
  MILL_CHECK(blocks >= 0);
  owners_.assign(static_cast<size_t>(blocks), 0);
  free_.reserve(static_cast<size_t>(blocks));
  for (BlockId block = blocks - 1; block >= 0; --block) free_.push_back(block);
}

void BlockPool::acquire(int32_t count, std::vector<BlockId>& into) {
  MILL_CHECK(count >= 0 && count <= free());
  for (int32_t i = 0; i < count; ++i) {
    const BlockId block = free_.back();
    free_.pop_back();
    owners_[static_cast<size_t>(block)] = 1;
    into.push_back(block);
  }
}

void BlockPool::release(std::span<const BlockId> blocks) {
  for (const BlockId block : blocks) {
    MILL_CHECK(block >= 0 && block < total());
    int32_t& owners = owners_[static_cast<size_t>(block)];
    MILL_CHECK(owners > 0);
    if (--owners == 0) free_.push_back(block);
  }
}

bool BlockPool::consistent() const {
  std::vector<bool> listed(owners_.size(), false);
  for (const BlockId block : free_) {
    const auto at = static_cast<size_t>(block);
    if (block < 0 || at >= owners_.size() || listed[at] || owners_[at] != 0) return false;
    listed[at] = true;
  }
  const auto unowned = std::count(owners_.begin(), owners_.end(), 0);
  return static_cast<size_t>(unowned) == free_.size();
}

}  // namespace mill::scheduler
