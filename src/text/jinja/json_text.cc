#include "text/jinja/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/characters.h"
#include "text/jinja/compare.h"
#include "text/jinja/number_text.h"
#include "text/jinja/repr.h"

namespace mill::text::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonStyle& style, bool trusted)
      : runtime_(runtime), style_(style), trusted_(trusted), out_(runtime.budget) {}

  Result<Value> run(const Value& value) {
    MILL_TRY_DO(write(value));
    return make_text(out_);
  }

 private:
  void put(std::string_view text) { out_.append(text, trusted_); }

  Status write(const Value& value) {
    MILL_TRY_DO(runtime_.budget.spend(1));
    MILL_TRY_DO(out_.status());
    switch (value.kind()) {
      case Kind::kText:
        return write_text(value.text());
      case Kind::kList:
      case Kind::kTuple:
        return write_list(value.sequence().items);
      case Kind::kDict:
        return write_dict(value.dict());
      case Kind::kNone:
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kFloat:
        put(scalar(value));
        return {};
      default:
        return fail(Code::kInvalid,
                    "TypeError: Object of type " + type_name(value) + " is not JSON serializable");
    }
  }

  static std::string scalar(const Value& value) {
    if (value.is(Kind::kNone)) return "null";
    if (value.is(Kind::kBool)) return value.truth_bit() ? "true" : "false";
    if (value.is(Kind::kInt)) return to_text(value.whole());
    if (std::isnan(value.real())) return "NaN";
    if (std::isinf(value.real())) return value.real() < 0 ? "-Infinity" : "Infinity";
    return to_text(value.real());
  }

  Status write_text(const Text& text) {
    const std::string_view bytes = text.bytes();
    MILL_TRY_DO(runtime_.budget.make(static_cast<int64_t>(bytes.size())));
    std::string out = "\"";
    out.reserve(bytes.size() + 2);
    for (size_t at = 0; at < bytes.size();) {
      const char c = bytes[at];
      if (static_cast<signed char>(c) >= 0) {
        append_ascii(out, c);
        ++at;
        continue;
      }
      const Decoded point = decode(bytes, at);
      if (style_.ascii_only) {
        append_code_units(out, point.code);
      } else {
        out.append(bytes.substr(at, point.bytes));
      }
      at += point.bytes;
    }
    out.push_back('"');
    put(out);
    return {};
  }

  void append_ascii(std::string& out, char c) const {
    switch (c) {
      case '"':
        out += "\\\"";
        return;
      case '\\':
        out += "\\\\";
        return;
      case '\n':
        out += "\\n";
        return;
      case '\r':
        out += "\\r";
        return;
      case '\t':
        out += "\\t";
        return;
      case '\f':
        out += "\\f";
        return;
      case '\b':
        out += "\\b";
        return;
      default:
        break;
    }
    if (static_cast<unsigned char>(c) < 0x20 || (c == 0x7F && style_.ascii_only)) {
      append_code_units(out, static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }

  static void append_code_units(std::string& out, uint32_t code) {
    auto to = std::back_inserter(out);
    if (code < 0x10000) {
      fmt::format_to(to, "\\u{:04x}", code);
    } else {
      code -= 0x10000;
      fmt::format_to(to, "\\u{:04x}\\u{:04x}", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF));
    }
  }

  void new_line() {
    put("\n");
    for (int32_t i = 0; i < level_; ++i) put(*style_.indent);
  }

  Status write_list(const Items& items) {
    if (items.empty()) {
      put("[]");
      return {};
    }
    put("[");
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) put(style_.between_items);
      if (style_.indent) new_line();
      MILL_TRY_DO(write(items[i]));
    }
    --level_;
    if (style_.indent) new_line();
    put("]");
    return {};
  }

  Status write_dict(const Dict& dict) {
    if (dict.pairs().empty()) {
      put("{}");
      return {};
    }
    std::vector<const std::pair<Value, Value>*> order;
    for (const auto& pair : dict.pairs()) order.push_back(&pair);
    if (style_.sorted) MILL_TRY_DO(sort_by_key(order));
    put("{");
    ++level_;
    bool first = true;
    for (const auto* pair : order) {
      if (!std::exchange(first, false)) put(style_.between_items);
      if (style_.indent) new_line();
      MILL_TRY_DO(write_key(pair->first));
      put(style_.after_key);
      MILL_TRY_DO(write(pair->second));
    }
    --level_;
    if (style_.indent) new_line();
    put("}");
    return {};
  }

  Status sort_by_key(std::vector<const std::pair<Value, Value>*>& order) {
    Status status;
    std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) {
      if (!status) return false;
      const Result<bool> before = less(runtime_, a->first, b->first);
      if (!before) status = fail(before.error());
      return before && *before;
    });
    return status;
  }

  Status write_key(const Value& key) {
    if (key.is_text()) return write_text(key.text());
    if (!key.is_number() && !key.is(Kind::kNone)) {
      return fail(Code::kInvalid,
                  "TypeError: keys must be str, int, float, bool or None, not " + type_name(key));
    }
    put("\"" + scalar(key) + "\"");
    return {};
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  const bool trusted_;
  TextBuilder out_;
  int32_t level_ = 0;
};

}  // namespace

Result<Value> to_json(Runtime& runtime, const Value& value, const JsonStyle& style) {
  return JsonWriter(runtime, style, all_trusted(runtime, value)).run(value);
}

}  // namespace mill::text::jinja
