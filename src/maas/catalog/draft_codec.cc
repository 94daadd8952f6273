#include "maas/catalog/draft_codec.h"

#include <fmt/format.h>

#include <cstdint>

namespace mill::maas {
namespace {

constexpr char kFormat = 1;
constexpr uint64_t kMostItems = 100'000;

// One description of the layout serves both ways: every `visit` names the fields once, and Writer
// and Reader walk them.
template <class V, class T>
void visit(V& v, T& draft);

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  void field(const std::string& text) {
    length(text.size());
    out_ += text;
  }
  void field(const int64_t& value) { length(uint64_t(value) << 1 ^ uint64_t(value >> 63)); }
  template <class T>
  void field(const std::vector<T>& list) {
    length(list.size());
    for (const T& item : list) any(item);
  }
  template <class T>
  void any(const T& item) {
    if constexpr (std::is_same_v<T, std::string>)
      field(item);
    else
      visit(*this, item);
  }

 private:
  void length(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += char(value | 0x80);
    out_ += char(value);
  }
  std::string& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  void field(std::string& text) {
    const uint64_t size = length();
    if (size > in_.size()) return break_off();
    text = in_.substr(0, size);
    in_.remove_prefix(size);
  }
  void field(int64_t& value) {
    const uint64_t zigzag = length();
    value = int64_t(zigzag >> 1 ^ (~(zigzag & 1) + 1));
  }
  template <class T>
  void field(std::vector<T>& list) {
    const uint64_t size = length();
    if (size > kMostItems || size > in_.size()) return break_off();  // an item has a byte at least
    list.resize(size);
    for (T& item : list) any(item);
  }
  template <class T>
  void any(T& item) {
    if (broken_) return;
    if constexpr (std::is_same_v<T, std::string>)
      field(item);
    else
      visit(*this, item);
  }
  bool whole() const { return !broken_ && in_.empty(); }

 private:
  uint64_t length() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (in_.empty()) break;
      const auto byte = uint8_t(in_.front());
      in_.remove_prefix(1);
      if (shift == 63 && byte > 1) break;
      value |= uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    break_off();
    return 0;
  }
  void break_off() {
    broken_ = true;
    in_ = {};
  }
  std::string_view in_;
  bool broken_ = false;
};

template <class V, class T>
void visit(V& v, T& d) {
  using D = std::remove_const_t<T>;
  const auto all = [&](auto&... fields) { (v.field(fields), ...); };
  if constexpr (std::is_same_v<D, RatesDraft>) {
    all(d.input, d.cache_read, d.cache_write, d.input_image, d.output, d.reasoning, d.output_image,
        d.request);
  } else if constexpr (std::is_same_v<D, SpanDraft>) {
    all(d.from, d.to);
  } else if constexpr (std::is_same_v<D, BandDraft>) {
    all(d.name, d.zone, d.days, d.hours, d.except);
  } else if constexpr (std::is_same_v<D, BandPriceDraft>) {
    all(d.band, d.factor);
    v.any(d.rates);
  } else if constexpr (std::is_same_v<D, TierPriceDraft>) {
    all(d.tier, d.factor);
    v.any(d.rates);
    all(d.bands);
  } else if constexpr (std::is_same_v<D, PriceDraft>) {
    all(d.currency);
    v.any(d.rates);
    all(d.bands, d.tiers, d.batch_factor);
  } else if constexpr (std::is_same_v<D, ModelDraft>) {
    all(d.id, d.description, d.aliases, d.fallbacks, d.deprecated_at, d.retires_at, d.replacement,
        d.context_tokens, d.max_output_tokens, d.prices);
  } else {
    static_assert(std::is_same_v<D, BookDraft>);
    all(d.effective_from, d.note, d.bands, d.models);
  }
}

}  // namespace

std::string encode(const BookDraft& draft) {
  std::string out{'P', 'B', kFormat};
  Writer writer(out);
  writer.any(draft);
  return out;
}

Result<BookDraft> decode_book(std::string_view bytes) {
  if (bytes.size() < 3 || bytes.substr(0, 2) != "PB")
    return fail(Code::kCorrupt, "these bytes are no price book");
  if (bytes[2] != kFormat)
    return fail(Code::kUnsupported,
                fmt::format("a price book of format {}; this program reads format {}",
                            int(uint8_t(bytes[2])), int(kFormat)));
  BookDraft draft;
  Reader reader(bytes.substr(3));
  reader.any(draft);
  if (!reader.whole()) return fail(Code::kCorrupt, "a price book with missing or surplus bytes");
  return draft;
}

}  // namespace mill::maas
