#include "text/pieces/byte_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "text/split/unicode.h"

namespace mill::text {

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
      entry = {key, static_cast<uint32_t>(i)};  // of equal merges the first counts
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

uint32_t BytePairs::priority(TokenId left, TokenId right) const {
  // kNoToken makes a key with all bits of one half set, which no merge has.
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  if (key == kFree) return kNoMerge;
  const PairEntry& entry = pairs_[place_of(key)];
  return entry.key == kFree ? kNoMerge : entry.priority;
}

void BytePairs::encode(std::string_view word, Memory& memory, std::vector<TokenId>& out) const {
  const TokenId whole = index_.find(word);
  std::atomic<uint8_t>* wholeness = whole == kNoToken ? nullptr : &wholeness_[whole];
  if (wholeness != nullptr &&
      (options_.whole_words || wholeness->load(std::memory_order_relaxed) == kItself)) {
    out.push_back(whole);
    return;
  }
  std::vector<TokenId>& symbols = memory.symbols;
  symbols.clear();
  first_symbols(word, symbols);
  merge_all(*this, symbols, memory.merging);
  for (const TokenId symbol : symbols)
    if (symbol != kNoToken) out.push_back(symbol);
  if (wholeness != nullptr)
    wholeness->store(symbols.size() == 1 && symbols[0] == whole ? kItself : kOthers,
                     std::memory_order_relaxed);
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
