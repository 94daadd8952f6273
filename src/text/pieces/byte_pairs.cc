#include "text/pieces/byte_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "text/split/unicode.h"

namespace mill::text {
namespace {

constexpr size_t kFew = 32;  // bytes of a word whose merges are looked through one by one

}  // namespace

Result<BytePairs> BytePairs::build(Parts parts) {
  BytePairs out;
  out.options_ = parts.options;
  out.index_ = PieceIndex(parts.pieces.size());
  for (size_t id = 0; id < parts.pieces.size(); ++id)
    if (!parts.pieces[id].empty()) out.index_.add(parts.pieces[id], static_cast<TokenId>(id));
  if (parts.options.by_characters) {
    out.byte_symbols_ = parts.bytes;
  } else {
    for (int byte = 0; byte < 256; ++byte) {
      const char one = static_cast<char>(byte);
      out.byte_symbols_[byte] = out.index_.find({&one, 1});
    }
  }
  out.all_bytes_ = std::none_of(out.byte_symbols_.begin(), out.byte_symbols_.end(),
                                [](TokenId id) { return id == kNoToken; });
  MILL_TRY_DO(out.add_merges(parts.merges));
  if (!parts.options.by_characters) {
    out.byte_pairs_.reserve(256 * 256);
    for (const TokenId first : out.byte_symbols_) {
      for (const TokenId second : out.byte_symbols_) {
        const PairEntry& entry = out.entry_of(first, second);
        out.byte_pairs_.push_back({entry.priority, entry.made});
      }
    }
  }
  out.wholeness_ = std::make_unique<std::atomic<uint8_t>[]>(parts.pieces.size());
  return out;
}

Status BytePairs::add_merges(const std::vector<Merge>& merges) {
  pairs_.resize(std::bit_ceil(merges.size() * 2 + 1));
  pair_mask_ = pairs_.size() - 1;
  made_by_.reserve(merges.size());
  std::string both;
  for (size_t i = 0; i < merges.size(); ++i) {
    const TokenId left = index_.find(merges[i].left);
    const TokenId right = index_.find(merges[i].right);
    both.assign(merges[i].left).append(merges[i].right);
    const TokenId made = index_.find(both);
    if (left == kNoToken || right == kNoToken || made == kNoToken) {
      const std::string& missing = left == kNoToken    ? merges[i].left
                                   : right == kNoToken ? merges[i].right
                                                       : both;
      return fail(
          Code::kCorrupt,
          fmt::format(
              "merge {} of the tokenizer needs the piece '{}', which is not in the vocabulary", i,
              for_people(missing)),
          "tokenizer.ggml.merges");
    }
    made_by_.push_back(made);
    const uint64_t key = static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
    PairEntry& entry = pairs_[place_of(key)];
    if (entry.key == kFree)
      entry = {key, static_cast<uint32_t>(i), made};  // of equal merges the first counts
  }
  return {};
}

uint64_t BytePairs::place_of(uint64_t key) const {
  uint64_t hash = key * 0x9E3779B97F4A7C15ull;
  hash ^= hash >> 32;
  uint64_t place = hash & pair_mask_;
  while (pairs_[place].key != key && pairs_[place].key != kFree) place = (place + 1) & pair_mask_;
  return place;
}

const BytePairs::PairEntry& BytePairs::entry_of(TokenId left, TokenId right) const {
  static constexpr PairEntry kNone;
  // kNoToken makes a key with all bits of one half set, which no merge has.
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  return key == kFree ? kNone : pairs_[place_of(key)];
}

uint32_t BytePairs::priority(TokenId left, TokenId right) const {
  return entry_of(left, right).priority;
}

void BytePairs::encode(std::string_view word, Memory& memory, std::vector<TokenId>& out) const {
  std::array<uint64_t, 3> key;
  WordMemory::Slot* const slot = memory.words.slot_of(word, key);
  if (slot == nullptr) return encode_new(word, memory, out);
  if (slot->key == key) {
    out.insert(out.end(), slot->tokens.begin(), slot->tokens.begin() + slot->count);
    return;
  }
  const size_t before = out.size();
  encode_new(word, memory, out);
  WordMemory::keep(*slot, key, std::span<const TokenId>(out).subspan(before));
}

void BytePairs::encode_new(std::string_view word, Memory& memory, std::vector<TokenId>& out) const {
  const TokenId whole = index_.find(word);
  std::atomic<uint8_t>* wholeness = whole == kNoToken ? nullptr : &wholeness_[whole];
  if (wholeness != nullptr &&
      (options_.whole_words || wholeness->load(std::memory_order_relaxed) == kItself)) {
    out.push_back(whole);
    return;
  }
  std::vector<TokenId>& symbols = memory.symbols;
  symbols.clear();
  if (!options_.by_characters && word.size() <= kFew) {
    merge_few(word, symbols);
  } else {
    first_symbols(word, symbols);
    merge_all(*this, symbols, memory.merging);
  }
  for (const TokenId symbol : symbols)
    if (symbol != kNoToken) out.push_back(symbol);
  if (wholeness != nullptr)
    wholeness->store(symbols.size() == 1 && symbols[0] == whole ? kItself : kOthers,
                     std::memory_order_relaxed);
}

// As merge_all does, for the few symbols of a word of bytes: what a merge would make is kept beside
// its priority, and nothing is allocated.
void BytePairs::merge_few(std::string_view word, std::vector<TokenId>& symbols) const {
  std::array<TokenId, kFew> tokens;
  std::array<BytePair, kFew> pairs;  // [i] of tokens i and i + 1
  size_t count = word.size();
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(word[i]); };
  for (size_t i = 0; i < count; ++i) tokens[i] = byte_symbols_[byte(i)];
  for (size_t i = 0; i + 1 < count; ++i)
    pairs[i] = byte_pairs_[static_cast<size_t>(byte(i)) << 8 | byte(i + 1)];
  const auto pair_at = [&](size_t i) {
    const PairEntry& entry = entry_of(tokens[i], tokens[i + 1]);
    return BytePair{entry.priority, entry.made};
  };
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i)
      if (pairs[i].priority < pairs[best].priority) best = i;
    if (pairs[best].priority == kNoMerge) break;
    tokens[best] = pairs[best].made;
    --count;
    for (size_t i = best + 1; i < count; ++i) tokens[i] = tokens[i + 1];
    for (size_t i = best; i + 1 < count; ++i) pairs[i] = pairs[i + 1];
    if (best > 0) pairs[best - 1] = pair_at(best - 1);
    if (best + 1 < count) pairs[best] = pair_at(best);
  }
  symbols.assign(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(count));
}

void BytePairs::first_symbols(std::string_view word, std::vector<TokenId>& symbols) const {
  if (!options_.by_characters) {
    for (const char byte : word) symbols.push_back(byte_symbols_[static_cast<unsigned char>(byte)]);
    return;
  }
  bool after_unknown = false;
  while (!word.empty()) {
    const std::string_view character = word.substr(0, code_point_at(word.data()).bytes);
    word.remove_prefix(character.size());
    const TokenId id = index_.find(character);
    const bool unknown = id == kNoToken && !(options_.byte_fallback && all_bytes_);
    if (id != kNoToken) {
      symbols.push_back(id);
    } else if (!unknown) {
      for (const char byte : character)
        symbols.push_back(byte_symbols_[static_cast<unsigned char>(byte)]);
    } else if (!(options_.fuse_unknown && after_unknown)) {
      symbols.push_back(options_.unknown);
    }
    after_unknown = unknown;
  }
}

}  // namespace mill::text
