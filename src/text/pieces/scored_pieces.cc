#include "text/pieces/scored_pieces.h"

#include <algorithm>
#include <bit>

namespace mill::text {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

// A lower number for a higher score.
uint32_t priority_of(float score) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 becomes 0
  const uint32_t rising = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return std::min(~rising, kNoMerge - 1);
}

// The size of the character that starts with `lead`, as llama.cpp and SentencePiece take it: by the
// high bits alone.
size_t size_by_lead(char lead) {
  const auto high = static_cast<unsigned char>(lead) >> 4;
  return high < 12 ? 1 : high < 14 ? 2 : static_cast<size_t>(high - 11);
}

// Calls visit(begin, size) for each character; the last may be cut short.
template <class Visit>
void for_each_character(std::string_view text, Visit visit) {
  for (size_t at = 0; at < text.size();) {
    const size_t size = std::min(size_by_lead(text[at]), text.size() - at);
    visit(at, size);
    at += size;
  }
}

struct Ends {
  unsigned char first, last;
};
Ends ends_of(std::string_view character) {
  if (character == kSpaceMark) return {' ', ' '};
  return {static_cast<unsigned char>(character.front()),
          static_cast<unsigned char>(character.back())};
}

}  // namespace

struct ScoredPieces::Rule {
  const ScoredPieces& pieces;
  std::string_view text;

  uint32_t priority(Span left, Span right) const {
    const TokenId id = pieces.index_.find(text.substr(left.begin, left.size + right.size));
    return id == kNoToken ? kNoMerge : pieces.priorities_[id];
  }
  Span join(Span left, Span right, uint32_t) const { return {left.begin, left.size + right.size}; }
};

ScoredPieces::ScoredPieces(const Parts& parts)
    : index_(parts.pieces),
      priorities_(parts.pieces->size()),
      bytes_(parts.bytes),
      unknown_(parts.unknown),
      joints_(size_t{1} << 16),
      wholeness_(std::make_unique<std::atomic<uint8_t>[]>(parts.pieces->size())) {
  for (size_t id = 0; id < parts.pieces->size(); ++id) {
    priorities_[id] = priority_of(parts.scores.empty() ? 0 : parts.scores[id]);
    const std::string_view piece = (*parts.pieces)[id];
    if (piece.empty() || (!parts.hidden.empty() && parts.hidden[id])) continue;
    index_.add(static_cast<TokenId>(id));
    add_joints(piece);
  }
}

void ScoredPieces::add_joints(std::string_view piece) {
  bool first = true;
  size_t last = 0;
  for_each_character(piece, [&](size_t begin, size_t size) {
    const Ends ends = ends_of(piece.substr(begin, size));
    if (!first) joints_[last << 8 | ends.first] = true;
    last = ends.last;
    first = false;
  });
}

void ScoredPieces::encode(std::string_view text, Memory& memory, std::vector<TokenId>& out) const {
  std::string& escaped = memory.escaped;
  escaped.clear();
  for (size_t at = 0; at < text.size();) {
    const size_t space = std::min(text.find(' ', at), text.size());
    escaped.append(text.substr(at, space - at));
    if (space < text.size()) escaped.append(kSpaceMark);
    at = space + 1;
  }
  const std::string_view whole = escaped;
  size_t part = 0;
  bool first = true;
  size_t last = 0;
  for_each_character(whole, [&](size_t begin, size_t size) {
    const Ends ends = ends_of(whole.substr(begin, size));
    if (!first && !may_merge_across(last, ends.first)) {
      encode_part(whole.substr(part, begin - part), memory, out);
      part = begin;
    }
    last = ends.last;
    first = false;
  });
  if (part < whole.size()) encode_part(whole.substr(part), memory, out);
}

void ScoredPieces::encode_part(std::string_view part, Memory& memory,
                               std::vector<TokenId>& out) const {
  const TokenId whole = index_.find(part);
  std::atomic<uint8_t>* const wholeness = whole == kNoToken ? nullptr : &wholeness_[whole];
  if (wholeness != nullptr && wholeness->load(std::memory_order_relaxed) == kItself) {
    out.push_back(whole);
    return;
  }
  std::vector<Span>& symbols = memory.symbols;
  symbols.clear();
  for_each_character(part, [&](size_t begin, size_t size) {
    symbols.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(size)});
  });
  merge_all(Rule{*this, part}, symbols, memory.merging);
  for (const Span symbol : symbols) {
    const std::string_view bytes = part.substr(symbol.begin, symbol.size);
    const TokenId id = index_.find(bytes);
    if (id != kNoToken) {
      out.push_back(id);
      continue;
    }
    for (const char byte : bytes) {
      const TokenId token = bytes_[static_cast<unsigned char>(byte)];
      if (token != kNoToken || unknown_ != kNoToken)
        out.push_back(token != kNoToken ? token : unknown_);
    }
  }
  if (wholeness != nullptr)
    wholeness->store(symbols.size() == 1 ? kItself : kOthers, std::memory_order_relaxed);
}

}  // namespace mill::text
