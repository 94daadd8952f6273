#include "text/token_cache.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace mill::text {
namespace {

// Nodes of the list and of the table, their allocations' heads, the counts of the shared pointer.
constexpr size_t kOverhead = 192;

uint64_t mixed(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0xD6E8FEB86659FD93ull;
  return hash ^ hash >> 32;
}

// Two chains side by side, as one would wait for its multiplications.
uint64_t hash_of(const TokenCache::Key& key) {
  uint64_t a = mixed(key.owner.high, key.reading);
  uint64_t b = mixed(key.owner.low, key.text.size());
  const char* at = key.text.data();
  size_t left = key.text.size();
  const auto word_at = [](const char* from, size_t bytes) {
    uint64_t word = 0;
    std::memcpy(&word, from, bytes);
    return word;
  };
  for (; left >= 16; at += 16, left -= 16) {
    a = mixed(a, word_at(at, 8));
    b = mixed(b, word_at(at + 8, 8));
  }
  if (left >= 8) {
    a = mixed(a, word_at(at, 8));
    at += 8;
    left -= 8;
  }
  if (left != 0) b = mixed(b, word_at(at, left));
  return mixed(a, b);
}

}  // namespace

struct TokenCache::Entry {
  uint64_t hash;
  Owner owner;
  uint64_t reading;
  size_t text_size;
  size_t ids;
  std::unique_ptr<char[]> bytes;  // the ids, then the text

  Entry(uint64_t hash_of_key, const Key& key, std::span<const TokenId> its_ids)
      : hash(hash_of_key),
        owner(key.owner),
        reading(key.reading),
        text_size(key.text.size()),
        ids(its_ids.size()),
        bytes(new char[its_ids.size_bytes() + key.text.size()]) {
    const auto* ids_bytes = reinterpret_cast<const char*>(its_ids.data());
    char* text_bytes = std::copy_n(ids_bytes, its_ids.size_bytes(), bytes.get());
    std::ranges::copy(key.text, text_bytes);
  }
  bool is(const Key& key) const {
    return owner == key.owner && reading == key.reading && text() == key.text;
  }
  std::string_view text() const { return {bytes.get() + ids * sizeof(TokenId), text_size}; }
  size_t size() const { return sizeof(Entry) + ids * sizeof(TokenId) + text_size + kOverhead; }
};

// Compares and copies outside of the lock.
bool TokenCache::find(const Key& key, std::vector<TokenId>& out) {
  if (capacity_ == 0) return false;
  const std::shared_ptr<const Entry> entry = entry_of(hash_of(key));
  const bool found = entry && entry->is(key);
  {
    std::lock_guard lock(mutex_);
    ++(found ? counts_.hits : counts_.misses);
    (found ? counts_.hit_bytes : counts_.missed_bytes) += static_cast<int64_t>(key.text.size());
  }
  if (!found || entry->ids == 0) return found;
  const size_t before = out.size();
  out.resize(before + entry->ids);
  std::memcpy(out.data() + before, entry->bytes.get(), entry->ids * sizeof(TokenId));
  return true;
}

std::shared_ptr<const TokenCache::Entry> TokenCache::entry_of(uint64_t hash) {
  std::lock_guard lock(mutex_);
  const auto place = places_.find(hash);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  return *place->second;
}

void TokenCache::add(const Key& key, std::span<const TokenId> ids) {
  if (capacity_ == 0) return;
  const uint64_t hash = hash_of(key);
  auto entry = std::make_shared<const Entry>(hash, key, ids);
  const size_t size = entry->size();
  if (size > capacity_) return;
  std::shared_ptr<const Entry> replaced;
  std::lock_guard lock(mutex_);
  const auto [place, fresh] = places_.try_emplace(hash);
  if (fresh) {
    entries_.push_front(std::move(entry));
    place->second = entries_.begin();
  } else {  // another thread's of the same text, or one of the same hash
    replaced = std::exchange(*place->second, std::move(entry));
    bytes_ -= replaced->size();
    entries_.splice(entries_.begin(), entries_, place->second);
  }
  bytes_ += size;
  while (bytes_ > capacity_) drop_last();
}

void TokenCache::drop_last() {
  const Entry& last = *entries_.back();
  bytes_ -= last.size();
  places_.erase(last.hash);
  entries_.pop_back();
}

TokenCache::Counts TokenCache::counts() const {
  std::lock_guard lock(mutex_);
  Counts counts = counts_;
  counts.entries = static_cast<int64_t>(entries_.size());
  counts.bytes = static_cast<int64_t>(bytes_);
  return counts;
}

}  // namespace mill::text
