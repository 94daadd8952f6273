#include "text/jinja/repr.h"

#include <algorithm>

#include "text/jinja/cursor.h"
#include "text/jinja/macro.h"
#include "text/jinja/number_text.h"
#include "text/jinja/string_literal.h"

namespace mill::text::jinja {
namespace {

// Writes one repr. The origin is that of the whole value: one untrusted string makes all of it so.
class ReprWriter {
 public:
  ReprWriter(Runtime& runtime, TextBuilder& out, bool trusted, bool ascii_only)
      : runtime_(runtime), out_(out), trusted_(trusted), ascii_only_(ascii_only) {}

  Status write(const Value& value) {
    MILL_TRY_DO(runtime_.budget.spend(1));
    if (++depth_ > runtime_.budget.depth() + 1) {
      return fail(Code::kTooLarge, "a value is nested too deeply to print");
    }
    MILL_TRY_DO(write_one(value));
    --depth_;
    return out_.status();
  }

 private:
  void put(std::string_view text) { out_.append(text, trusted_); }

  Status write_one(const Value& value) {
    switch (value.kind()) {
      case Kind::kText:
        return write_text(value.text());
      case Kind::kList:
        return write_items("[", value.sequence().items, "]");
      case Kind::kTuple:
        return write_items("(", value.sequence().items,
                           value.sequence().items.size() == 1 ? ",)" : ")");
      case Kind::kDict:
        return write_dict(value.dict());
      case Kind::kView:
        return write_view(value);
      case Kind::kNamespace:
        return write_namespace(value.names());
      case Kind::kRange:
        write_range(value.range());
        return {};
      case Kind::kLoop:
        return write_loop(value.loop());
      case Kind::kUndefined:
        put("Undefined");
        return {};
      case Kind::kNone:
        put("None");
        return {};
      case Kind::kBool:
        put(value.truth_bit() ? "True" : "False");
        return {};
      case Kind::kInt:
        put(to_text(value.whole()));
        return {};
      case Kind::kFloat:
        put(to_text(value.real()));
        return {};
      case Kind::kMacro:
        put("<Macro " + macro_label(value.macro()) + ">");
        return {};
      case Kind::kFunction:
        put("<function " + std::string(value.function().name) + ">");
        return {};
      default:
        put("<" + type_name(value) + " object>");
        return {};
    }
  }

  Status write_text(const Text& text) {
    std::string quoted;
    MILL_TRY_DO(runtime_.budget.make(static_cast<int64_t>(text.bytes().size())));
    append_quoted(quoted, text.bytes(), ascii_only_);
    put(text.is_markup() ? "Markup(" + quoted + ")" : quoted);
    return {};
  }

  Status write_items(std::string_view open, const Items& items, std::string_view close) {
    put(open);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) put(", ");
      MILL_TRY_DO(write(items[i]));
    }
    put(close);
    return {};
  }

  Status write_dict(const Dict& dict) {
    put("{");
    bool first = true;
    for (const auto& [key, value] : dict.pairs()) {
      if (!std::exchange(first, false)) put(", ");
      MILL_TRY_DO(write(key));
      put(": ");
      MILL_TRY_DO(write(value));
    }
    put("}");
    return {};
  }

  Status write_view(const Value& view) {
    MILL_TRY(const Items items, to_items(runtime_, view));
    put(type_name(view));
    return write_items("([", items, "])");
  }

  Status write_namespace(Namespace& names) {
    put("<Namespace {");
    for (size_t i = 0; i < names.entries.size(); ++i) {
      if (i > 0) put(", ");
      std::string quoted;
      append_quoted(quoted, names.entries[i].first, ascii_only_);
      put(quoted + ": ");
      MILL_TRY_DO(write(names.entries[i].second));
    }
    put("}>");
    return {};
  }

  void write_range(const Range& range) {
    std::string text = "range(" + to_text(Wide{range.start}) + ", " + to_text(Wide{range.stop});
    if (range.step != 1) text += ", " + to_text(Wide{range.step});
    put(text + ")");
  }

  Status write_loop(Loop& loop) {
    MILL_TRY(const int64_t length, loop.count());
    put("<LoopContext " + to_text(Wide{loop.index0 + 1}) + "/" + to_text(Wide{length}) + ">");
    return {};
  }

  Runtime& runtime_;
  TextBuilder& out_;
  const bool trusted_;
  const bool ascii_only_;
  int32_t depth_ = 0;
};

bool all_trusted_within(const Value& value, int32_t depth, int64_t& steps) {
  const auto inner = [&](const Value& item) { return all_trusted_within(item, depth - 1, steps); };
  if (depth <= 0 || --steps <= 0) return false;
  switch (value.kind()) {
    case Kind::kText:
      return value.text().trusted();
    case Kind::kList:
    case Kind::kTuple:
      return std::all_of(value.sequence().items.begin(), value.sequence().items.end(), inner);
    case Kind::kDict:
      return std::all_of(value.dict().pairs().begin(), value.dict().pairs().end(),
                         [&](const auto& pair) { return inner(pair.first) && inner(pair.second); });
    case Kind::kView:
      return inner(value.view().dict);
    case Kind::kIterator:
      return std::all_of(value.iterator().items.begin(), value.iterator().items.end(), inner);
    case Kind::kNamespace: {
      // An attribute's name can come from a dict of the request: ** spreads one.
      return false;
    }
    default:
      return true;
  }
}

}  // namespace

bool all_trusted(Runtime& runtime, const Value& value) {
  int64_t steps = runtime.budget.steps_left();
  const int64_t before = steps;
  const bool trusted = all_trusted_within(value, runtime.budget.depth() + 1, steps);
  if (!runtime.budget.spend(before - steps)) return false;
  return trusted;
}

Status append_repr(Runtime& runtime, TextBuilder& out, const Value& value, bool ascii_only) {
  return ReprWriter(runtime, out, all_trusted(runtime, value), ascii_only).write(value);
}

Status append_str(Runtime& runtime, TextBuilder& out, const Value& value) {
  if (value.is_text()) {
    out.append(value.text());
    return out.status();
  }
  if (value.undefined()) return {};
  return append_repr(runtime, out, value);
}

Result<Value> to_str(Runtime& runtime, const Value& value) {
  if (value.is_text()) return value;
  TextBuilder out(runtime.budget);
  MILL_TRY_DO(append_str(runtime, out, value));
  return make_text(out);
}

void append_escaped(TextBuilder& out, const Text& text) {
  text.pieces(0, text.bytes().size(), [&out](std::string_view piece, bool trusted) {
    while (!piece.empty() && !out.over()) {
      const size_t special = std::min(piece.find_first_of("&<>'\""), piece.size());
      out.append(piece.substr(0, special), trusted);
      if (special == piece.size()) return;
      const char c = piece[special];
      out.append(c == '&'   ? "&amp;"
                 : c == '<' ? "&lt;"
                 : c == '>' ? "&gt;"
                 : c == '"' ? "&#34;"
                            : "&#39;",
                 trusted);
      piece.remove_prefix(special + 1);
    }
  });
}

Result<Value> escape(Runtime& runtime, const Value& value) {
  MILL_TRY(const Value text, to_str(runtime, value));
  if (text.text().is_markup()) return text;
  TextBuilder out(runtime.budget);
  append_escaped(out, text.text());
  return make_text(out, true);
}

}  // namespace mill::text::jinja
