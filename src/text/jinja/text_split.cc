#include <algorithm>
#include <cstring>
#include <limits>

#include "text/jinja/arguments.h"
#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/methods.h"
#include "text/jinja/text_ops.h"

namespace mill::text::jinja {
namespace {

using Piece = std::pair<size_t, size_t>;  // bytes [first, second)

std::vector<Piece> split_at_spaces(std::string_view bytes, int64_t most) {
  std::vector<Piece> pieces;
  size_t at = 0;
  const auto skip = [&](bool spaces) {
    while (at < bytes.size() && is_space(decode(bytes, at).code) == spaces)
      at += decode(bytes, at).bytes;
  };
  for (;;) {
    skip(true);
    if (at == bytes.size()) return pieces;
    const size_t start = at;
    if (static_cast<int64_t>(pieces.size()) == most) {
      pieces.emplace_back(start, bytes.size());  // the rest as it is
      return pieces;
    }
    skip(false);
    pieces.emplace_back(start, at);
  }
}

// The pieces from the right, last first.
std::vector<Piece> split_at_spaces_from_right(std::string_view bytes, int64_t most) {
  std::vector<Piece> pieces;
  size_t at = bytes.size();
  const auto skip = [&](bool spaces) {
    while (at > 0 && is_space(decode_before(bytes, at).code) == spaces)
      at -= decode_before(bytes, at).bytes;
  };
  for (;;) {
    skip(true);
    if (at == 0) return pieces;
    const size_t end = at;
    if (static_cast<int64_t>(pieces.size()) == most) {
      pieces.emplace_back(0, end);
      return pieces;
    }
    skip(false);
    pieces.emplace_back(at, end);
  }
}

std::vector<Piece> split_at(std::string_view bytes, std::string_view separator, int64_t most) {
  std::vector<Piece> pieces;
  size_t start = 0;
  while (static_cast<int64_t>(pieces.size()) != most) {
    const size_t found = find_first(bytes, separator, start);
    if (found == std::string_view::npos) break;
    pieces.emplace_back(start, found);
    start = found + separator.size();
  }
  pieces.emplace_back(start, bytes.size());
  return pieces;
}

std::vector<Piece> split_at_from_right(std::string_view bytes, std::string_view separator,
                                       int64_t most) {
  const std::string reversed(bytes.rbegin(), bytes.rend());
  const std::string reversed_separator(separator.rbegin(), separator.rend());
  std::vector<Piece> pieces = split_at(reversed, reversed_separator, most);
  for (auto& [from, to] : pieces) {
    const size_t mirrored = bytes.size() - to;
    to = bytes.size() - from;
    from = mirrored;
  }
  return pieces;
}

bool in_set(const Text& characters, std::string_view point) {
  const std::string_view set = characters.bytes();
  for (size_t at = 0; at < set.size();) {
    const uint32_t bytes = decode(set, at).bytes;
    if (set.substr(at, bytes) == point) return true;
    at += bytes;
  }
  return false;
}

template <Side kSide>
Result<Value> strip_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("strip", arguments, {""}));
  MILL_TRY(const Text* const characters, bound.text(0));
  return strip(runtime, self.text(), characters, kSide);
}

template <bool kFromRight>
Result<Value> split_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("split", arguments, {"sep", "maxsplit"}));
  MILL_TRY(const Text* const separator, bound.text(0));
  MILL_TRY(const int64_t most, bound.number(1, -1));
  MILL_TRY(Items pieces, split(runtime, self.text(), separator, most, kFromRight));
  return make_list(runtime, std::move(pieces));
}

Result<Value> splitlines_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("splitlines", arguments, {"keepends"}));
  const bool keep = bound.flag(0, false);
  MILL_TRY(const std::vector<Line> lines, split_lines(runtime, self.text()));
  Items items;
  for (const Line& line : lines) {
    MILL_TRY(Value item, make_slice(runtime, self.text(), line.from, keep ? line.next : line.to));
    items.push_back(std::move(item));
  }
  return make_list(runtime, std::move(items));
}

template <bool kFromRight>
Result<Value> partition_method(Runtime& runtime, const Value& self, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("partition", arguments, {""}, 1));
  MILL_TRY(const Text* const separator, bound.text(0));
  if (!separator) return fail(Code::kInvalid, "TypeError: partition() wants a str");
  if (separator->empty()) return fail(Code::kInvalid, "ValueError: empty separator");
  const Text& text = self.text();
  const size_t size = text.bytes().size();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(size)));
  const size_t found = kFromRight ? find_last(text.bytes(), separator->bytes())
                                  : find_first(text.bytes(), separator->bytes());
  size_t first = kFromRight ? 0 : size, second = first;
  if (found != std::string_view::npos) {
    first = found;
    second = found + separator->bytes().size();
  }
  MILL_TRY(Value left, make_slice(runtime, text, 0, first));
  MILL_TRY(Value middle, make_slice(runtime, *separator, 0, second - first));
  MILL_TRY(Value right, make_slice(runtime, text, second, size));
  return make_tuple(runtime, {std::move(left), std::move(middle), std::move(right)});
}

}  // namespace

Result<Value> strip(Runtime& runtime, const Text& text, const Text* characters, Side side) {
  const std::string_view bytes = text.bytes();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(bytes.size())));
  const auto strips = [&](size_t at, const Decoded& point) {
    return characters ? in_set(*characters, bytes.substr(at, point.bytes)) : is_space(point.code);
  };
  const int64_t price = characters ? static_cast<int64_t>(characters->bytes().size()) : 1;
  size_t from = 0, to = bytes.size();
  while (side != Side::kRight && from < to) {
    const Decoded point = decode(bytes, from);
    if (!strips(from, point)) break;
    MILL_TRY_DO(runtime.budget.make(price));
    from += point.bytes;
  }
  while (side != Side::kLeft && from < to) {
    const Decoded point = decode_before(bytes, to);
    if (!strips(to - point.bytes, point)) break;
    MILL_TRY_DO(runtime.budget.make(price));
    to -= point.bytes;
  }
  return make_slice(runtime, text, from, to);
}

Result<Items> split(Runtime& runtime, const Text& text, const Text* separator, int64_t most,
                    bool from_right) {
  const std::string_view bytes = text.bytes();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(bytes.size()) * 2));
  if (separator && separator->empty()) return fail(Code::kInvalid, "ValueError: empty separator");
  if (most < 0) most = std::numeric_limits<int64_t>::max();
  std::vector<Piece> pieces;
  if (from_right) {
    pieces = separator ? split_at_from_right(bytes, separator->bytes(), most)
                       : split_at_spaces_from_right(bytes, most);
    std::reverse(pieces.begin(), pieces.end());
  } else {
    pieces = separator ? split_at(bytes, separator->bytes(), most) : split_at_spaces(bytes, most);
  }
  Items items;
  items.reserve(pieces.size());
  for (const auto& [from, to] : pieces) {
    MILL_TRY(Value item, make_slice(runtime, text, from, to));
    items.push_back(std::move(item));
  }
  return items;
}

Result<std::vector<Line>> split_lines(Runtime& runtime, const Text& text) {
  const std::string_view bytes = text.bytes();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(bytes.size())));
  std::vector<Line> lines;
  size_t start = 0;
  for (size_t at = 0; at < bytes.size();) {
    const Decoded point = decode(bytes, at);
    const uint32_t c = point.code;
    const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) ||
                      (point.bytes > 1 && (c == 0x85 || c == 0x2028 || c == 0x2029));
    size_t next = at + point.bytes;
    if (ends) {
      if (c == '\r' && next < bytes.size() && bytes[next] == '\n') ++next;
      MILL_TRY_DO(runtime.budget.spend(1));
      lines.push_back({start, at, next});
      start = next;
    }
    at = next;
  }
  if (start < bytes.size()) lines.push_back({start, bytes.size(), bytes.size()});
  return lines;
}

size_t find_first(std::string_view bytes, std::string_view needle, size_t from) {
  if (from > bytes.size()) return std::string_view::npos;
  const void* found =
      memmem(bytes.data() + from, bytes.size() - from, needle.data(), needle.size());
  if (!found) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
}

size_t find_last(std::string_view bytes, std::string_view needle) {
  if (needle.size() <= 8) return bytes.rfind(needle);
  const std::string reversed(bytes.rbegin(), bytes.rend());
  const std::string reversed_needle(needle.rbegin(), needle.rend());
  const size_t found = find_first(reversed, reversed_needle);
  return found == std::string_view::npos ? found : bytes.size() - found - needle.size();
}

std::span<const Method> text_split_methods() {
  static const Method kMethods[] = {
      {"strip", strip_method<Side::kBoth>},   {"lstrip", strip_method<Side::kLeft>},
      {"rstrip", strip_method<Side::kRight>}, {"split", split_method<false>},
      {"rsplit", split_method<true>},         {"splitlines", splitlines_method},
      {"partition", partition_method<false>}, {"rpartition", partition_method<true>},
  };
  return kMethods;
}

}  // namespace mill::text::jinja
