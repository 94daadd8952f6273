#include "text/jinja/text.h"

#include <algorithm>

#include "text/jinja/characters.h"
#include "text/split/unicode.h"

namespace mill::text::jinja {

bool Text::trusted() const {
  if (cuts_.empty()) return trusted_;
  return std::all_of(cuts_.begin(), cuts_.end(), [](const Cut& cut) { return cut.trusted; });
}

size_t Text::cut_of(size_t at) const {
  const auto found = std::upper_bound(cuts_.begin(), cuts_.end(), at,
                                      [](size_t where, const Cut& cut) { return where < cut.end; });
  return static_cast<size_t>(found - cuts_.begin());
}

size_t Text::offset_of(int64_t index) const {
  if (ascii()) return static_cast<size_t>(index);
  if (index > length_ / 2) {
    size_t at = bytes_.size();
    for (int64_t back = length_ - index; back > 0; --back) at -= decode_before(bytes_, at).bytes;
    return at;
  }
  size_t at = 0;
  for (; index > 0; --index) at += decode(bytes_, at).bytes;
  return at;
}

void Text::measure() {
  length_ = is_ascii(bytes_) ? static_cast<int64_t>(bytes_.size()) : count_code_points(bytes_);
}

void TextBuilder::append(std::string_view bytes, bool trusted) {
  if (bytes.empty() || over()) return;
  status_ = budget_->make(static_cast<int64_t>(bytes.size()));
  if (over()) return;
  if (!any_) {
    text_.trusted_ = trusted;
    any_ = true;
  } else if (text_.cuts_.empty()) {
    if (trusted != text_.trusted_) text_.cuts_.push_back({text_.bytes_.size(), text_.trusted_});
  }
  text_.bytes_.append(bytes);
  if (text_.cuts_.empty()) return;
  if (text_.cuts_.back().trusted == trusted) {
    text_.cuts_.back().end = text_.bytes_.size();
  } else {
    text_.cuts_.push_back({text_.bytes_.size(), trusted});
  }
}

void TextBuilder::append(const Text& text, size_t from, size_t to) {
  text.pieces(from, to, [this](std::string_view piece, bool trusted) { append(piece, trusted); });
}

void TextBuilder::append_code_point(uint32_t code, bool trusted) {
  std::string bytes;
  append_utf8(bytes, code);
  append(bytes, trusted);
}

void TextBuilder::append_times(std::string_view bytes, int64_t times, bool trusted) {
  for (; times > 0 && !over(); --times) append(bytes, trusted);
}

Result<Text> TextBuilder::take() {
  if (over()) return fail(status_.error());
  Text taken = std::move(text_);
  text_ = Text();
  any_ = false;
  taken.measure();
  return taken;
}

}  // namespace mill::text::jinja
