// A string of a template: UTF-8 bytes, and for each byte whether the template itself wrote it.
//
// Only trusted bytes may become control tokens later, so every operation on strings carries the
// origin of each byte along; where that is not possible the whole result is untrusted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/jinja/budget.h"

namespace mill::text::jinja {

struct Cut {
  size_t end;  // the bytes up to here, from the cut before
  bool trusted;
};

class Text {
 public:
  Text() = default;
  Text(std::string bytes, bool trusted) : bytes_(std::move(bytes)), trusted_(trusted) {}

  std::string_view bytes() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  int64_t length() const { return length_; }  // in code points.  Requires: measured
  bool ascii() const { return length_ == static_cast<int64_t>(bytes_.size()); }
  // True when every byte is the template's own.
  bool trusted() const;
  bool is_markup() const { return markup_; }  // made by `safe` or `escape`: + and % escape for it

  // Calls visit(string_view, bool trusted) for each stretch of one origin in bytes [from, to).
  template <class Visit>
  void pieces(size_t from, size_t to, Visit visit) const {
    if (cuts_.empty()) {
      if (from < to) visit(bytes().substr(from, to - from), trusted_);
      return;
    }
    for (size_t i = cut_of(from); from < to; ++i) {
      const size_t end = std::min(cuts_[i].end, to);
      visit(bytes().substr(from, end - from), cuts_[i].trusted);
      from = end;
    }
  }
  bool trusted_at(size_t at) const { return cuts_.empty() ? trusted_ : cuts_[cut_of(at)].trusted; }

  // Where the code point number `index` starts.  Requires: 0 <= index <= length()
  size_t offset_of(int64_t index) const;

  // Counts the code points; to be called once, before the text is shared.
  void measure();
  void set_markup(bool markup) { markup_ = markup; }

 private:
  friend class TextBuilder;
  size_t cut_of(size_t at) const;  // the cut that holds byte `at`.  Requires: cuts_ not empty

  std::string bytes_;
  std::vector<Cut> cuts_;  // empty: all of it is of one origin, trusted_
  int64_t length_ = 0;
  bool trusted_ = true;
  bool markup_ = false;
};

// Puts a text together. Every byte is paid for before it is copied; once the budget is used up the
// builder swallows what follows, and status() and take() fail.
class TextBuilder {
 public:
  explicit TextBuilder(Budget& budget) : budget_(&budget) {}

  // Room for what is about to be appended, and paid for: a little ahead of it.
  void reserve(size_t bytes) { text_.bytes_.reserve(bytes); }
  void append(std::string_view bytes, bool trusted);
  void append(const Text& text) { append(text, 0, text.bytes().size()); }
  void append(const Text& text, size_t from, size_t to);  // bytes [from, to)
  void append_code_point(uint32_t code, bool trusted);
  void append_times(std::string_view bytes, int64_t times, bool trusted);

  size_t size() const { return text_.bytes_.size(); }
  bool over() const { return !status_.has_value(); }  // worth asking in long loops
  const Status& status() const { return status_; }
  Result<Text> take();  // leaves the builder empty

 private:
  Budget* budget_;
  Text text_;
  bool any_ = false;
  Status status_;
};

}  // namespace mill::text::jinja
