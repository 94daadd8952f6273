#include <algorithm>

#include "text/jinja/arguments.h"
#include "text/jinja/characters.h"
#include "text/jinja/methods.h"
#include "text/jinja/text_ops.h"

namespace mill::text::jinja {
namespace {

template <Side kSide>  // where the text goes
Result<Value> pad_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("center", arguments, {"", ""}, 1));
  MILL_TRY(const int64_t width, bound.number(0, 0));
  MILL_TRY(const Text* const fill, bound.text(1));
  if (fill && fill->length() != 1)
    return fail(Code::kInvalid, "TypeError: The fill character must be exactly one character long");
  const Text& text = self.text();
  const int64_t padding = std::max<int64_t>(width - text.length(), 0);
  // Python's centre: the odd one goes left when the width is odd.
  const int64_t left = kSide == Side::kLeft    ? 0
                       : kSide == Side::kRight ? padding
                                               : padding / 2 + (padding & width & 1);
  TextBuilder out(runtime.budget);
  const std::string_view filler = fill ? fill->bytes() : " ";
  const bool trusted = !fill || fill->trusted();
  out.append_times(filler, left, trusted);
  out.append(text);
  out.append_times(filler, padding - left, trusted);
  return make_text(out, text.is_markup());
}

Result<Value> zfill_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("zfill", arguments, {""}, 1));
  MILL_TRY(const int64_t width, bound.number(0, 0));
  const Text& text = self.text();
  const std::string_view bytes = text.bytes();
  const size_t sign = !bytes.empty() && (bytes[0] == '+' || bytes[0] == '-') ? 1 : 0;
  TextBuilder out(runtime.budget);
  out.append(text, 0, sign);
  out.append_times("0", width - text.length(), true);
  out.append(text, sign, bytes.size());
  return make_text(out, text.is_markup());
}

Result<Value> expandtabs_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("expandtabs", arguments, {"tabsize"}));
  MILL_TRY(const int64_t tab, bound.number(0, 8));
  const Text& text = self.text();
  const std::string_view bytes = text.bytes();
  TextBuilder out(runtime.budget);
  int64_t column = 0;
  for (size_t at = 0; at < bytes.size() && !out.over();) {
    const Decoded point = decode(bytes, at);
    if (point.code == '\t') {
      const int64_t spaces = tab > 0 ? tab - column % tab : 0;
      out.append_times(" ", spaces, text.trusted_at(at));
      column += spaces;
    } else {
      out.append(text, at, at + point.bytes);
      column = point.code == '\n' || point.code == '\r' ? 0 : column + 1;
    }
    at += point.bytes;
  }
  return make_text(out, text.is_markup());
}

}  // namespace

std::span<const Method> text_layout_methods() {
  static const Method kMethods[] = {
      {"ljust", pad_method<Side::kLeft>},  {"rjust", pad_method<Side::kRight>},
      {"center", pad_method<Side::kBoth>}, {"zfill", zfill_method},
      {"expandtabs", expandtabs_method},
  };
  return kMethods;
}

}  // namespace mill::text::jinja
