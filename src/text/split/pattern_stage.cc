#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include "base/check.h"
#include "text/split/runs.h"

namespace mill::text {
namespace {

constexpr uint32_t kStepsOfOneMatch = 10'000'000;

struct Freed {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

// \w as Oniguruma and Rust take it, with marks and joining punctuation, which this PCRE2 leaves
// out.
std::string with_word_class(const std::string& pattern) {
  constexpr std::string_view kWord = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc})";
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const char next = c == '\\' && i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (next == 'w' || (next == 'W' && !in_class)) {
      if (!in_class) out += next == 'w' ? "[" : "[^";
      out += kWord;
      if (!in_class) out += ']';
      ++i;
      continue;
    }
    out += c;
    if (next != '\0') {
      out += next;
      ++i;
    } else if (c == '[') {
      in_class = true;
    } else if (c == ']') {
      in_class = false;
    }
  }
  return out;
}

struct Part {
  std::string_view text;
  bool matched;
};

void arrange(const std::vector<Part>& parts, PatternStage::Behaviour behaviour, Pieces& pieces) {
  using Behaviour = PatternStage::Behaviour;
  const auto join = [](std::string_view a, std::string_view b) {
    return between(a.data(), b.data() + b.size());
  };
  const size_t before = pieces.size();
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    const bool first = i == 0;
    switch (behaviour) {
      case Behaviour::kIsolated:
        pieces.push_back(part.text);
        break;
      case Behaviour::kRemoved:
        if (!part.matched) pieces.push_back(part.text);
        break;
      case Behaviour::kMergedWithPrevious:
        if (!first && part.matched && !parts[i - 1].matched)
          pieces.back() = join(pieces.back(), part.text);
        else
          pieces.push_back(part.text);
        break;
      case Behaviour::kMergedWithNext:
        if (!first && !part.matched && parts[i - 1].matched && pieces.size() > before)
          pieces.back() = join(pieces.back(), part.text);
        else
          pieces.push_back(part.text);
        break;
      case Behaviour::kContiguous:
        if (!first && part.matched == parts[i - 1].matched)
          pieces.back() = join(pieces.back(), part.text);
        else
          pieces.push_back(part.text);
        break;
    }
  }
}

}  // namespace

struct PatternStage::Compiled {
  std::unique_ptr<pcre2_code, Freed> pattern;
  std::unique_ptr<pcre2_match_context, Freed> context;
};

PatternStage::PatternStage(std::unique_ptr<const Compiled> compiled, Options options)
    : compiled_(std::move(compiled)), options_(options) {}
PatternStage::~PatternStage() = default;

Result<std::unique_ptr<const Stage>> PatternStage::make(const std::string& pattern,
                                                        Options options) {
  const std::string adapted = with_word_class(pattern);
  int error = 0;
  PCRE2_SIZE place = 0;
  auto compiled = std::make_unique<Compiled>();
  compiled->pattern.reset(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(adapted.data()), adapted.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &place, nullptr));
  if (!compiled->pattern) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof message);
    return fail(Code::kUnsupported,
                fmt::format("the pre-tokenizer pattern can't be used: {} at byte {} of: {}",
                            reinterpret_cast<const char*>(message), place, pattern),
                "pre_tokenizer");
  }
  pcre2_jit_compile(compiled->pattern.get(), PCRE2_JIT_COMPLETE);  // where it can't, it interprets
  compiled->context.reset(pcre2_match_context_create(nullptr));
  MILL_CHECK(compiled->context != nullptr);
  pcre2_set_match_limit(compiled->context.get(), kStepsOfOneMatch);
  return std::unique_ptr<const Stage>(new PatternStage(std::move(compiled), options));
}

void PatternStage::cut(std::string_view text, Pieces& pieces) const {
  std::unique_ptr<pcre2_match_data, Freed> found(pcre2_match_data_create(1, nullptr));
  MILL_CHECK(found != nullptr);
  const auto match_from = [&](size_t start, uint32_t options) {
    return pcre2_match(compiled_->pattern.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                       text.size(), start, PCRE2_NO_UTF_CHECK | options, found.get(),
                       compiled_->context.get());
  };
  std::vector<Part> parts;
  const auto add = [&](size_t begin, size_t end, bool matched) {
    if (begin < end) parts.push_back({text.substr(begin, end - begin), matched});
  };
  size_t gap = 0;  // what is not yet in a part begins here
  for (size_t at = 0; at < text.size();) {
    int result = match_from(at, 0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match_from(at, PCRE2_NO_JIT);
    if (result < 0) break;
    const PCRE2_SIZE* const span = pcre2_get_ovector_pointer(found.get());
    add(gap, span[0], options_.inverted);
    add(span[0], span[1], !options_.inverted);
    gap = at = span[1];
    // A match of nothing still cuts; the next one is looked for behind the next code point.
    if (span[0] == span[1] && at < text.size()) at += code_point_at(text.data() + at).bytes;
  }
  add(gap, text.size(), options_.inverted);
  arrange(parts, options_.behaviour, pieces);
}

}  // namespace mill::text
