#include "sim/prefix_memory.h"

namespace mill::sim {

std::vector<uint64_t> block_names(std::span<const TokenId> prompt, work::CacheSalt salt) {
  std::vector<uint64_t> names;
  const size_t blocks = prompt.size() / kBlockTokens;
  names.reserve(blocks);
  uint64_t name = salt.high * 0x9E3779B97F4A7C15 ^ salt.low;
  for (size_t block = 0; block < blocks; ++block) {
    for (const TokenId token : prompt.subspan(block * kBlockTokens, kBlockTokens)) {
      name = (name ^ static_cast<uint32_t>(token)) * 0xD6E8FEB86659FD93 + 1;
      name ^= name >> 32;
    }
    names.push_back(name);
  }
  return names;
}

int64_t PrefixMemory::find(std::span<const uint64_t> names) {
  int64_t known = 0;
  for (const uint64_t name : names) {
    const auto place = places_.find(name);
    if (place == places_.end()) break;
    uses_.splice(uses_.begin(), uses_, place->second);
    ++known;
  }
  return known;
}

// Backwards, so that the beginning of a prompt is forgotten after its end.
void PrefixMemory::add(std::span<const uint64_t> names) {
  for (size_t i = names.size(); i-- > 0;) {
    const auto [place, fresh] = places_.try_emplace(names[i]);
    if (fresh) {
      uses_.push_front(names[i]);
      place->second = uses_.begin();
    } else {
      uses_.splice(uses_.begin(), uses_, place->second);
    }
  }
  while (size() > capacity_) {
    places_.erase(uses_.back());
    uses_.pop_back();
  }
}

}  // namespace mill::sim
