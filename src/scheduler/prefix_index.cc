#include "scheduler/prefix_index.h"

#include <bit>
#include <cstring>

#include "base/check.h"

namespace mill::scheduler {

PrefixIndex::PrefixIndex(int32_t blocks, const HashKey& key)
    : key_(key),
      mask_(std::bit_ceil(2 * static_cast<size_t>(blocks) + 2) - 1),
      slots_(mask_ + 1, kNoBlock),
      names_(static_cast<size_t>(blocks)),
      entered_(static_cast<size_t>(blocks), false) {}

Hash128 PrefixIndex::root(std::string_view model, const work::CacheSalt& salt) const {
  const uint64_t tenant[2] = {salt.high, salt.low};
  text_.resize(sizeof tenant + model.size());
  std::memcpy(text_.data(), tenant, sizeof tenant);
  if (!model.empty()) std::memcpy(text_.data() + sizeof tenant, model.data(), model.size());
  return siphash(key_, text_);
}

Hash128 PrefixIndex::next(const Hash128& parent, std::span<const TokenId> tokens) const {
  const uint64_t name[2] = {parent.first, parent.second};
  text_.resize(sizeof name + tokens.size_bytes());
  std::memcpy(text_.data(), name, sizeof name);
  std::memcpy(text_.data() + sizeof name, tokens.data(), tokens.size_bytes());
  return siphash(key_, text_);
}

// A negative number is no token.
Hash128 PrefixIndex::answer_behind(const Hash128& parent, int64_t prompt_tokens) const {
  const auto mark = static_cast<TokenId>(-1 - prompt_tokens);
  return next(parent, {&mark, 1});
}

size_t PrefixIndex::slot_of(const Hash128& name) const {
  size_t slot = home(name);
  while (slots_[slot] != kNoBlock && name_of(slots_[slot]) != name) slot = (slot + 1) & mask_;
  return slot;
}

BlockId PrefixIndex::find(const Hash128& name) const {
  return slots_[slot_of(name)];
}

bool PrefixIndex::insert(const Hash128& name, BlockId block) {
  MILL_CHECK(!holds(block));
  const size_t slot = slot_of(name);
  if (slots_[slot] != kNoBlock) return false;
  slots_[slot] = block;
  names_[static_cast<size_t>(block)] = name;
  entered_[static_cast<size_t>(block)] = true;
  ++size_;
  return true;
}

// Closes the gap: whoever comes behind it and was pushed over it moves up, so that a search ends at
// the first empty slot.
void PrefixIndex::forget(BlockId block) {
  MILL_CHECK(holds(block));
  size_t gap = slot_of(name_of(block));
  for (size_t slot = (gap + 1) & mask_; slots_[slot] != kNoBlock; slot = (slot + 1) & mask_) {
    const size_t wanted = home(name_of(slots_[slot]));
    if (((slot - wanted) & mask_) >= ((slot - gap) & mask_)) {
      slots_[gap] = slots_[slot];
      gap = slot;
    }
  }
  slots_[gap] = kNoBlock;
  entered_[static_cast<size_t>(block)] = false;
  --size_;
}

bool PrefixIndex::consistent() const {
  int32_t entered = 0;
  int32_t listed = 0;
  for (size_t block = 0; block < entered_.size(); ++block) {
    if (!entered_[block]) continue;
    ++entered;
    if (find(names_[block]) != static_cast<BlockId>(block)) return false;
  }
  for (const BlockId block : slots_) listed += block != kNoBlock ? 1 : 0;
  return entered == size_ && listed == size_;
}

}  // namespace mill::scheduler
