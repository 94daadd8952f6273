#include "text/pieces/byte_pairs.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/split/unicode.h"

namespace mill::text {
namespace {

constexpr size_t kFew = 32;  // bytes of a word whose merges are looked through one by one

}  // namespace

Result<BytePairs> BytePairs::build(Parts parts) {
  BytePairs out;
  out.options_ = parts.options;
  const StringTable& pieces = *parts.pieces;
  out.index_ = PieceIndex(parts.pieces);
  for (size_t id = 0; id < pieces.size(); ++id)
    if (!pieces[id].empty() && (parts.hidden.empty() || !parts.hidden[id]))
      out.index_.add(static_cast<TokenId>(id));
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
    for (const TokenId first : out.byte_symbols_)
      for (const TokenId second : out.byte_symbols_)
        out.byte_pairs_.push_back(out.priority(first, second));
  }
  out.wholeness_ = std::make_unique<std::atomic<uint8_t>[]>(pieces.size());
  return out;
}

Status BytePairs::add_merges(const StringTable& merges) {
  const size_t count = merges.size() / 2;
  pairs_.resize(count * 2 + 1);
  made_by_.reserve(count);
  std::string both;
  for (size_t i = 0; i < count; ++i) {
    const std::string_view left_piece = merges[i * 2], right_piece = merges[i * 2 + 1];
    const TokenId left = index_.find(left_piece);
    const TokenId right = index_.find(right_piece);
    both.assign(left_piece).append(right_piece);
    const TokenId made = index_.find(both);
    if (left == kNoToken || right == kNoToken || made == kNoToken) {
      const std::string_view missing = left == kNoToken    ? left_piece
                                       : right == kNoToken ? right_piece
                                                           : std::string_view(both);
      return fail(
          Code::kCorrupt,
          fmt::format(
              "merge {} of the tokenizer needs the piece '{}', which is not in the vocabulary", i,
              for_people(missing)),
          "tokenizer.ggml.merges");
    }
    made_by_.push_back(made);
    PairEntry& entry = pairs_[place_of(left, right)];
    if (entry.priority == kNoMerge)
      entry = {left, right, static_cast<uint32_t>(i)};  // of equal merges the first counts
  }
  return {};
}

size_t BytePairs::place_of(TokenId left, TokenId right) const {
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  // As far into the table as the hash is into its range.
  size_t place = (key * 0x9E3779B97F4A7C15ull >> 32) * pairs_.size() >> 32;
  for (;; place = place + 1 == pairs_.size() ? 0 : place + 1) {
    const PairEntry& entry = pairs_[place];
    if ((entry.left == left && entry.right == right) || entry.priority == kNoMerge) return place;
  }
}

// No merge is of kNoToken, so a pair with one leads to a free place.
uint32_t BytePairs::priority(TokenId left, TokenId right) const {
  return pairs_[place_of(left, right)].priority;
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
  symbols.reserve(kFew);
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

// As merge_all does, for the few symbols of a word of bytes: nothing is allocated.
void BytePairs::merge_few(std::string_view word, std::vector<TokenId>& symbols) const {
  std::array<TokenId, kFew> tokens;
  std::array<uint32_t, kFew> priorities;  // [i] of tokens i and i + 1
  size_t count = word.size();
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(word[i]); };
  for (size_t i = 0; i < count; ++i) tokens[i] = byte_symbols_[byte(i)];
  for (size_t i = 0; i + 1 < count; ++i)
    priorities[i] = byte_pairs_[static_cast<size_t>(byte(i)) << 8 | byte(i + 1)];
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i)
      if (priorities[i] < priorities[best]) best = i;
    if (priorities[best] == kNoMerge) break;
    tokens[best] = made_by_[priorities[best]];
    --count;
    for (size_t i = best + 1; i < count; ++i) tokens[i] = tokens[i + 1];
    for (size_t i = best; i + 1 < count; ++i) priorities[i] = priorities[i + 1];
    if (best > 0) priorities[best - 1] = priority(tokens[best - 1], tokens[best]);
    if (best + 1 < count) priorities[best] = priority(tokens[best], tokens[best + 1]);
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
