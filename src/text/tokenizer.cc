#include "text/tokenizer.h"

#include <algorithm>
#include <atomic>

#include "text/split/unicode.h"
#include "text/text_units.h"
#include "text/tokenizer_parts.h"

namespace mill::text {
namespace {

// A short text is not to make its lists grow step by step.
constexpr size_t kFewWords = 256;

// What one encode() keeps from word to word.
struct Memory {
  BytePairs::Memory byte_pairs;
  ScoredPieces::Memory scored_pieces;
  Pieces words;
  std::string repaired, normalized;
};

// The spans as one text, and which parts of it are trusted.
struct Joined {
  std::string storage;
  std::string_view text;
  std::vector<SpecialTokens::Range> trusted;
};

std::string repair_strictly(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Sequence sequence = first_sequence(text);
    if (sequence.state == Sequence::State::kValid)
      out.append(text.substr(0, sequence.bytes));
    else
      append_utf8(out, kReplacement);
    text.remove_prefix(sequence.bytes);
  }
  return out;
}

Joined join(std::span<const TextSpan> spans, bool lenient_utf8) {
  Joined out;
  const bool in_place = lenient_utf8 && spans.size() == 1;
  size_t bytes = 0;
  for (const TextSpan& span : spans) bytes += span.text.size();
  if (!in_place) out.storage.reserve(bytes);
  out.trusted.reserve(std::min<size_t>(spans.size(), 16));
  for (const TextSpan& span : spans) {
    const size_t begin = out.storage.size();
    if (in_place)
      out.text = span.text;
    else if (lenient_utf8)
      out.storage += span.text;
    else
      out.storage += repair_strictly(span.text);
    const size_t end = in_place ? span.text.size() : out.storage.size();
    if (!span.trusted || begin == end) continue;
    if (!out.trusted.empty() && out.trusted.back().end == begin)
      out.trusted.back().end = end;
    else
      out.trusted.push_back({begin, end});
  }
  if (!in_place) out.text = out.storage;
  return out;
}

}  // namespace

struct Tokenizer::Impl {
  TokenizerParts parts;
  TextUnits units;
  uint64_t serial;  // no two tokenizers of this process have one

  explicit Impl(TokenizerParts of)
      : parts(std::move(of)), units(parts), serial(made.fetch_add(1, std::memory_order_relaxed)) {}

  void encode_text(std::string_view text, bool at_start, Memory& memory,
                   std::vector<TokenId>& out) const {
    if (const auto* scored = std::get_if<ScoredPieces>(&parts.model)) {
      scored->encode(text, memory.scored_pieces, out);
      return;
    }
    if (!is_sound(text)) text = memory.repaired = repair(text);
    if (!parts.normalizer.empty())
      text = memory.normalized = parts.normalizer.apply(text, at_start);
    memory.byte_pairs.words.expect(text.size());
    memory.words.reserve(std::min(text.size() / 4 + 4, kFewWords));
    parts.pre_tokenizer.cut(text, memory.words);
    for (const std::string_view word : memory.words) {
      if (const auto* pairs = std::get_if<BytePairs>(&parts.model))
        pairs->encode(word, memory.byte_pairs, out);
      else if (const auto* pieces = std::get_if<WordPieces>(&parts.model))
        pieces->encode(word, out);
    }
  }

  // encode_text() of what is not remembered.
  void encode_units(std::string_view text, bool at_start, Remembered remembered, Memory& memory,
                    std::vector<TokenId>& out) const {
    if (remembered.cache == nullptr) return encode_text(text, at_start, memory, out);
    // The beginning is read in another way only by normalizers that keep a text from being divided.
    const uint64_t reading = serial << 1 | (at_start && !units.divides() ? 1 : 0);
    while (!text.empty()) {
      const std::string_view unit = text.substr(0, units.first_unit(text));
      text.remove_prefix(unit.size());
      const TokenCache::Key key{remembered.owner, reading, unit};
      const bool worth_it = unit.size() >= TextUnits::kWorthIt;
      if (worth_it && remembered.cache->find(key, out)) continue;
      const size_t before = out.size();
      encode_text(unit, at_start, memory, out);
      if (worth_it) remembered.cache->add(key, std::span(out).subspan(before));
    }
  }

 private:
  static inline std::atomic<uint64_t> made{1};
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::from_parts(TokenizerParts parts) {
  return Tokenizer(std::make_unique<Impl>(std::move(parts)));
}

std::vector<TokenId> Tokenizer::encode(std::span<const TextSpan> spans, Ends ends,
                                       Remembered remembered) const {
  const TokenizerParts& parts = impl_->parts;
  const Joined joined = join(spans, parts.lenient_utf8);
  std::vector<TokenId> out;
  out.reserve(std::min(joined.text.size() / 3 + 4, kFewWords));
  if (ends == Ends::kAsModelWants) out = parts.in_front;
  Memory memory;
  std::string with_space;
  bool after_special = true;
  for (const SpecialTokens::Fragment& fragment :
       parts.specials.partition(joined.text, joined.trusted)) {
    if (fragment.token != kNoToken) {
      out.push_back(fragment.token);
    } else if (parts.space_in_front && after_special) {
      with_space.assign(" ").append(fragment.text);
      impl_->encode_units(with_space, false, remembered, memory, out);
    } else {
      const bool at_start = fragment.text.data() == joined.text.data();
      impl_->encode_units(fragment.text, at_start, remembered, memory, out);
    }
    after_special = fragment.token != kNoToken;
  }
  if (ends == Ends::kAsModelWants) out.insert(out.end(), parts.behind.begin(), parts.behind.end());
  return out;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool trusted, Ends ends) const {
  const TextSpan span{text, trusted};
  return encode({&span, 1}, ends);
}

size_t Tokenizer::size() const {
  return impl_->parts.pieces->size();
}
std::string_view Tokenizer::bytes(TokenId id) const {
  return (*impl_->parts.bytes)[static_cast<size_t>(id)];
}
std::string_view Tokenizer::piece(TokenId id) const {
  return (*impl_->parts.pieces)[static_cast<size_t>(id)];
}
bool Tokenizer::is_control(TokenId id) const {
  return impl_->parts.is_control[static_cast<size_t>(id)];
}
TokenId Tokenizer::bos() const {
  return impl_->parts.bos;
}
TokenId Tokenizer::eos() const {
  return impl_->parts.eos;
}
bool Tokenizer::adds_bos() const {
  const auto& in_front = impl_->parts.in_front;
  return impl_->parts.bos != kNoToken &&
         std::find(in_front.begin(), in_front.end(), impl_->parts.bos) != in_front.end();
}
std::span<const TokenId> Tokenizer::ends_of_generation() const {
  return impl_->parts.ends;
}

}  // namespace mill::text
