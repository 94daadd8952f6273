#include <algorithm>

#include "text/jinja/arguments.h"
#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/cursor.h"
#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/percent_format.h"
#include "text/jinja/repr.h"
#include "text/jinja/text_ops.h"

namespace mill::text::jinja {
namespace {

template <Letters kTo>
Result<Value> letters_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("filter", arguments, {}));
  MILL_TRY(const Value text, to_str(runtime, input));
  return change_letters(runtime, text.text(), kTo);
}

// Words start after white space, a hyphen or an opening bracket; their first letter is made large.
Result<Value> title_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("title", arguments, {}));
  MILL_TRY(const Value value, to_str(runtime, input));
  const Text& text = value.text();
  const std::string_view bytes = text.bytes();
  const auto between = [](uint32_t c) {
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c);
  };
  TextBuilder out(runtime.budget);
  for (size_t at = 0; at < bytes.size();) {
    const size_t start = at;
    const bool kind = between(decode(bytes, at).code);
    while (at < bytes.size() && between(decode(bytes, at).code) == kind)
      at += decode(bytes, at).bytes;
    const size_t first = start + decode(bytes, start).bytes;
    MILL_TRY_DO(append_letters(runtime, out, text, start, first, Letters::kUpper));
    MILL_TRY_DO(append_letters(runtime, out, text, first, at, Letters::kLower));
  }
  return make_text(out);
}

Result<Value> trim_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("trim", arguments, {"chars"}));
  MILL_TRY(const Text* const characters, bound.text(0));
  MILL_TRY(const Value text, to_str(runtime, input));
  return strip(runtime, text.text(), characters, Side::kBoth);
}

Result<Value> plain(Runtime& runtime, const Value& value) {
  MILL_TRY(const Value text, to_str(runtime, value));
  if (!text.text().is_markup()) return text;
  Text copy = text.text();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(copy.bytes().size())));
  copy.set_markup(false);
  return Value::text(std::move(copy));
}

Result<Value> replace_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("replace", arguments, {"old", "new", "count"}, 2));
  MILL_TRY(const Value text, plain(runtime, input));
  MILL_TRY(const Value old, plain(runtime, bound[0]));
  MILL_TRY(const Value with, plain(runtime, bound[1]));
  const bool all = !bound.has(2) || bound[2].is(Kind::kNone);
  MILL_TRY(const int64_t count, all ? Result<int64_t>(-1) : bound.number(2, -1));
  return replace(runtime, text.text(), old.text(), with.text(), count);
}

Result<Value> string_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("string", arguments, {}));
  return to_str(runtime, input);
}

Result<Value> safe_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("safe", arguments, {}));
  MILL_TRY(const Value text, to_str(runtime, input));
  Text copy = text.text();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(copy.bytes().size())));
  copy.set_markup(true);
  return Value::text(std::move(copy));
}

Result<Value> escape_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("escape", arguments, {}));
  return escape(runtime, input);
}

Result<Value> forceescape_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("forceescape", arguments, {}));
  MILL_TRY(const Value text, to_str(runtime, input));
  TextBuilder out(runtime.budget);
  append_escaped(out, text.text());
  return make_text(out, true);
}

Result<Value> indent_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("indent", arguments, {"width", "first", "blank"}));
  if (input.undefined()) return use_of_undefined(input);
  if (!input.is_text())
    return fail(Code::kInvalid, "TypeError: indent() wants a str, not " + type_name(input));
  Text width(std::string(4, ' '), true);
  if (bound.has(0) && bound[0].is_text()) {
    width = bound[0].text();
  } else if (bound.has(0)) {
    MILL_TRY(const int64_t spaces, bound.number(0, 4));
    TextBuilder made(runtime.budget);
    made.append_times(" ", spaces, true);
    MILL_TRY(width, made.take());
  }
  const bool first = bound.flag(1, false), blank = bound.flag(2, false);
  const Text& text = input.text();
  MILL_TRY(std::vector<Line> lines, split_lines(runtime, text));
  // The reference adds a newline before it splits: a text that ends in one has an empty last line.
  const size_t size = text.bytes().size();
  if (lines.empty() || lines.back().to < lines.back().next) lines.push_back({size, size, size});
  TextBuilder out(runtime.budget);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n", true);
    const bool empty = lines[i].from == lines[i].to;
    if (i == 0 ? first : blank || !empty) out.append(width);
    out.append(text, lines[i].from, lines[i].to);
  }
  return make_text(out, text.is_markup());
}

Result<Value> truncate_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound,
           Bound::bind("truncate", arguments, {"length", "killwords", "end", "leeway"}));
  MILL_TRY(const int64_t length, bound.number(0, 255));
  MILL_TRY(const Text* end, bound.text(2));
  const Text dots = [] {
    Text text("...", true);
    text.measure();
    return text;
  }();
  if (!end) end = &dots;
  const bool standard = !bound.has(3) || bound[3].is(Kind::kNone);
  MILL_TRY(const int64_t leeway, standard ? Result<int64_t>(5) : bound.number(3, 5));
  if (length < end->length() || leeway < 0) {
    return fail(Code::kInvalid,
                "AssertionError: truncate() wants a length of at least that of its end");
  }
  MILL_TRY(const int64_t size, length_of(runtime, input));
  if (size <= length + leeway) return input;
  if (!input.is_text()) {
    return fail(Code::kInvalid, "TypeError: truncate() wants a str, not " + type_name(input));
  }
  const Text& text = input.text();
  size_t to = text.offset_of(length - end->length());
  if (!bound.flag(1, false)) {
    const size_t space = text.bytes().substr(0, to).rfind(' ');
    if (space != std::string_view::npos) to = space;
  }
  TextBuilder out(runtime.budget);
  out.append(text, 0, to);
  out.append(*end);
  return make_text(out, text.is_markup());
}

Result<Value> center_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Bound bound, Bound::bind("center", arguments, {"width"}));
  MILL_TRY(const int64_t width, bound.number(0, 80));
  MILL_TRY(const Value value, to_str(runtime, input));
  const Text& text = value.text();
  const int64_t padding = std::max<int64_t>(width - text.length(), 0);
  const int64_t left = padding / 2 + (padding & width & 1);
  TextBuilder out(runtime.budget);
  out.append_times(" ", left, true);
  out.append(text);
  out.append_times(" ", padding - left, true);
  return make_text(out, text.is_markup());
}

Result<Value> wordcount_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("wordcount", arguments, {}));
  MILL_TRY(const Value value, to_str(runtime, input));
  const std::string_view bytes = value.text().bytes();
  MILL_TRY_DO(runtime.budget.make(static_cast<int64_t>(bytes.size()) * 4));
  int64_t words = 0;
  bool inside = false;
  for (size_t at = 0; at < bytes.size();) {
    const Decoded point = decode(bytes, at);
    const bool word = point.code == '_' || is_alnum(point.code);
    words += word && !inside ? 1 : 0;
    inside = word;
    at += point.bytes;
  }
  return Value::integer(words);
}

Status append_quoted_url(Runtime& runtime, TextBuilder& out, const Value& value, bool query) {
  MILL_TRY(const Value text, to_str(runtime, value));
  const bool trusted = text.text().trusted();
  std::string quoted;
  for (const char c : text.text().bytes()) {
    const bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                       std::string_view("_.-~").find(c) != std::string_view::npos ||
                       (c == '/' && !query);
    if (plain) {
      quoted.push_back(c);
    } else if (c == ' ' && query) {
      quoted.push_back('+');
    } else {
      const auto byte = static_cast<unsigned char>(c);
      quoted.push_back('%');
      quoted.push_back("0123456789ABCDEF"[byte >> 4]);
      quoted.push_back("0123456789ABCDEF"[byte & 15]);
    }
  }
  out.append(quoted, trusted);
  return out.status();
}

Result<Value> urlencode_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY_DO(Bound::bind("urlencode", arguments, {}));
  TextBuilder out(runtime.budget);
  if (input.is_text() || !iterable(input)) {
    MILL_TRY_DO(append_quoted_url(runtime, out, input, false));
    return make_text(out);
  }
  Value pairs = input;
  if (input.is(Kind::kDict)) {
    MILL_TRY(pairs, make_view(runtime, input, View::Of::kItems));
  }
  MILL_TRY(const Items items, to_items(runtime, pairs));
  for (size_t i = 0; i < items.size(); ++i) {
    MILL_TRY(const Items pair, to_items(runtime, items[i]));
    if (pair.size() != 2) return fail(Code::kInvalid, "ValueError: urlencode() wants pairs");
    if (i > 0) out.append("&", true);
    MILL_TRY_DO(append_quoted_url(runtime, out, pair[0], true));
    out.append("=", true);
    MILL_TRY_DO(append_quoted_url(runtime, out, pair[1], true));
  }
  return make_text(out);
}

Result<Value> format_filter(Runtime& runtime, const Value& input, Arguments& arguments) {
  MILL_TRY(const Value format, to_str(runtime, input));
  if (!arguments.named.empty() && !arguments.positional.empty()) {
    return fail(
        Code::kInvalid,
        "FilterArgumentError: can't handle positional and keyword arguments at the same time");
  }
  Value values;
  if (arguments.named.empty()) {
    MILL_TRY(values, make_tuple(runtime, std::move(arguments.positional)));
  } else {
    Pairs pairs;
    for (auto& [name, value] : arguments.named)
      pairs.emplace_back(Value::text(name), std::move(value));
    MILL_TRY(values, make_dict(runtime, std::move(pairs)));
  }
  return percent_format(runtime, format.text(), values);
}

template <const char* kName>
Result<Value> unsupported_filter(Runtime&, const Value&, Arguments&) {
  return fail(Code::kUnsupported,
              std::string("the filter '") + kName + "' is not supported in chat templates");
}
constexpr char kFilesizeformat[] = "filesizeformat", kPprint[] = "pprint", kRandom[] = "random",
               kStriptags[] = "striptags", kUrlize[] = "urlize", kWordwrap[] = "wordwrap",
               kXmlattr[] = "xmlattr";

}  // namespace

std::span<const NamedFilter> text_filters() {
  static const NamedFilter kFilters[] = {
      {"capitalize", letters_filter<Letters::kCapitalize>},
      {"center", center_filter},
      {"e", escape_filter},
      {"escape", escape_filter},
      {"filesizeformat", unsupported_filter<kFilesizeformat>},
      {"forceescape", forceescape_filter},
      {"format", format_filter},
      {"indent", indent_filter},
      {"lower", letters_filter<Letters::kLower>},
      {"pprint", unsupported_filter<kPprint>},
      {"random", unsupported_filter<kRandom>},
      {"replace", replace_filter},
      {"safe", safe_filter},
      {"string", string_filter},
      {"striptags", unsupported_filter<kStriptags>},
      {"title", title_filter},
      {"trim", trim_filter},
      {"truncate", truncate_filter},
      {"upper", letters_filter<Letters::kUpper>},
      {"urlencode", urlencode_filter},
      {"urlize", unsupported_filter<kUrlize>},
      {"wordcount", wordcount_filter},
      {"wordwrap", unsupported_filter<kWordwrap>},
      {"xmlattr", unsupported_filter<kXmlattr>},
  };
  return kFilters;
}

}  // namespace mill::text::jinja
