#include "scheduler/kv_books.h"

#include "base/check.h"

namespace mill::scheduler {

KvBooks::KvBooks(int32_t blocks, const HashKey& key)
    : pool_(blocks), index_(blocks, key), tainted_(static_cast<size_t>(blocks), false) {}

BlockId KvBooks::take(std::vector<BlockId>& scrub) {
  const auto [block, held_prefix] = pool_.take();
  if (held_prefix) {
    evicted_.emplace_back(block, index_.name_of(block));
    index_.forget(block);
  }
  if (tainted(block)) scrub.push_back(block);
  return block;
}

void KvBooks::publish(const Hash128& name, BlockId block) {
  if (index_.insert(name, block)) pool_.hold_prefix(block, true);
}

void KvBooks::unpublish(BlockId block) {
  if (!index_.holds(block)) return;
  index_.forget(block);
  pool_.hold_prefix(block, false);
}

void KvBooks::scrubbed(std::span<const BlockId> blocks) {
  for (const BlockId block : blocks) tainted_[static_cast<size_t>(block)] = false;
}

void KvBooks::open() {
  evicted_.clear();
  pool_.open();
}

void KvBooks::undo() {
  pool_.undo();
  for (size_t i = evicted_.size(); i-- > 0;) {
    MILL_CHECK(index_.insert(evicted_[i].second, evicted_[i].first));
  }
}

Status KvBooks::audit(std::span<const int32_t> owners) const {
  if (!pool_.consistent()) return fail(Code::kInternal, "the free line and the owners disagree");
  if (!index_.consistent()) {
    return fail(Code::kInternal, "the prefix index does not find what it holds");
  }
  for (BlockId block = 0; block < pool_.total(); ++block) {
    if (owners[static_cast<size_t>(block)] != pool_.owners(block)) {
      return fail(Code::kInternal, "a block is owned by more or fewer");
    }
    if (pool_.holds_prefix(block) != index_.holds(block)) {
      return fail(Code::kInternal, "the pool and the prefix index disagree on a block");
    }
  }
  return {};
}

}  // namespace mill::scheduler
