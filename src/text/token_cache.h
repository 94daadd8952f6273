// The ids of texts that were tokenized before: what a conversation sends again with each turn is
// looked up instead.
//
// Exact: a text is found by all of its bytes, and is one that a tokenizer makes ids of without
// looking at what is around it (text_units.h). Bounded in bytes; the least recently used goes
// first. Each owner finds its own texts alone, so that nobody can tell by the time an answer takes
// what another has asked; what they share is the room.
//
// Any number of threads may use one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"

namespace mill::text {

class TokenCache {
 public:
  // `capacity`: bytes of all entries, with what it takes to find them. 0: nothing is kept.
  explicit TokenCache(size_t capacity) : capacity_(capacity) {}

  // Who finds what it adds, and nothing else. Secret: who knew another's could aim at its places in
  // the table.
  struct Owner {
    uint64_t high = 0, low = 0;
    friend bool operator==(const Owner&, const Owner&) = default;
  };
  struct Key {
    Owner owner;
    uint64_t reading = 0;   // which tokenizer, and how it was asked
    std::string_view text;  // looked at during a call only
  };

  // Appends the ids of an equal key to `out`, or returns false.
  bool find(const Key& key, std::vector<TokenId>& out);
  // Does nothing where the entry would be larger than the whole cache.
  void add(const Key& key, std::span<const TokenId> ids);

  // Since the start, but for the last two, which are of now.
  struct Counts {
    int64_t hits = 0, misses = 0;
    int64_t hit_bytes = 0, missed_bytes = 0;  // of text
    int64_t entries = 0, bytes = 0;
  };
  Counts counts() const;

 private:
  struct Entry;
  using Entries = std::list<std::shared_ptr<const Entry>>;  // the most recent first

  std::shared_ptr<const Entry> entry_of(uint64_t hash);
  void drop_last();

  const size_t capacity_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::unordered_map<uint64_t, Entries::iterator> places_;  // one entry to a hash
  size_t bytes_ = 0;
  Counts counts_;
};

}  // namespace mill::text
