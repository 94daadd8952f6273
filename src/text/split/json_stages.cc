#include "text/split/json_stages.h"

#include <algorithm>
#include <iterator>

#include "text/split/json_read.h"
#include "text/split/runs.h"
#include "text/split/words.h"

namespace mill::text {
namespace {

using boost::json::object;
using boost::json::value;
using Behaviour = PatternStage::Behaviour;
using Kind = Normalizer::Step::Kind;

tl::unexpected<Error> unsupported(const char* field, const std::string& type) {
  return fail(
      Code::kUnsupported,
      "tokenizer.json: a " + std::string(field) + " of the type '" + type + "' is not built in",
      field);
}

// ---- patterns that are matched by hand ----

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepseek = R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^)"
                                       "\r\n"
                                       R"(\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[)"
                                       "\r\n"
                                       R"(]*|\s*[)"
                                       "\r\n"
                                       R"(]+|\s+(?!\S)|\s+)";

constexpr WordPattern cl100k(uint8_t digits) {
  return {.long_s = true, .digits = digits};
}
constexpr WordPattern o200k(uint8_t digits, WordPattern::Contractions contractions) {
  return {.contractions = contractions,
          .long_s = true,
          .digits = digits,
          .letters = kLetter | kMark,
          .tail = WordPattern::Tail::kNewlinesAndSlash,
          .cased = true,
          .only_up = kUpper | kTitle,
          .only_low = kLower};
}

struct Known {
  std::string pattern;
  WordPattern words;
};

const std::vector<Known>& known_patterns() {
  static const std::vector<Known> patterns = [] {
    const std::string contraction = R"((?i:'s|'t|'re|'ve|'m|'ll|'d))";
    const std::string lead = R"([^\r\n\p{L}\p{N}]?)";
    const std::string other = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)",
                      other_or_slash = R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)";
    const std::string spaces = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
    const std::string up = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])",
                      low = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
    const auto cased = [&](const std::string& after) {
      return lead + up + "*" + low + "+" + after + "|" + lead + up + "+" + low + "*" + after;
    };
    WordPattern marked = cl100k(1);
    marked.letters |= kMark;
    marked.not_other |= kMark;
    return std::vector<Known>{
        {contraction + "|" + lead + R"(\p{L}+|\p{N}{1,3})" + other + spaces, cl100k(3)},
        {contraction + "|" + lead + R"(\p{L}+|\p{N})" + other + spaces, cl100k(1)},
        {contraction + "|" + lead + R"([\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" +
             spaces,
         marked},
        {cased(contraction + "?") + R"(|\p{N}{1,3})" + other_or_slash + spaces,
         o200k(3, WordPattern::Contractions::kAfter)},
        {cased("") + R"(|\p{N})" + other_or_slash + spaces,
         o200k(1, WordPattern::Contractions::kNone)}};
  }();
  return patterns;
}

std::unique_ptr<const Stage> known_stage(std::string_view pattern) {
  if (pattern == kGpt2) return std::make_unique<Gpt2Words>();
  const std::vector<Known>& known = known_patterns();
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const Known& one) { return one.pattern == pattern; });
  if (found == known.end()) return nullptr;
  return std::make_unique<Words>(found->words);
}

// A pattern that matches `text` and nothing else.
std::string in_quotes(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!plain) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

// {"Regex": …} or {"String": …}
Result<std::string> pattern_of(const object& part) {
  MILL_TRY(const object* pattern, object_at(part, "pattern"));
  if (pattern->contains("Regex")) return string_at(*pattern, "Regex");
  MILL_TRY(const std::string text, string_at(*pattern, "String"));
  return in_quotes(text);
}

CodeClass punctuation() {
  return CodeClass(
      kPunctuation,
      {{'$', '$'}, {'+', '+'}, {'<', '>'}, {'^', '^'}, {'`', '`'}, {'|', '|'}, {'~', '~'}});
}

class Reader {
 public:
  Status read_normalizer(const value& part, int depth = 0) {
    if (part.is_null()) return {};
    const object* const fields = part.if_object();
    if (fields == nullptr || depth > kDeepest) return not_a("an object", "normalizer");
    MILL_TRY(const std::string type, string_at(*fields, "type"));
    if (type == "Sequence") {
      MILL_TRY(const auto* parts, array_at(*fields, "normalizers"));
      for (const value& one : *parts) MILL_TRY_DO(read_normalizer(one, depth + 1));
      return {};
    }
    if (type == "Replace") {
      MILL_TRY(const object* pattern, object_at(*fields, "pattern"));
      if (!pattern->contains("String")) return unsupported("normalizer", "Replace by a pattern");
      MILL_TRY(std::string what, string_at(*pattern, "String"));
      MILL_TRY(std::string with, string_at(*fields, "content"));
      out_.steps.push_back({Kind::kReplace, std::move(what), std::move(with)});
      return {};
    }
    if (type == "Prepend") {
      MILL_TRY(std::string with, string_at(*fields, "prepend"));
      out_.steps.push_back({Kind::kPrepend, "", std::move(with)});
      return {};
    }
    if (type == "BertNormalizer") return read_bert_normalizer(*fields);
    constexpr std::pair<std::string_view, Kind> kSimple[] = {{"NFC", Kind::kNfc},
                                                             {"NFD", Kind::kNfd},
                                                             {"NFKC", Kind::kNfkc},
                                                             {"NFKD", Kind::kNfkd},
                                                             {"Lowercase", Kind::kLowercase},
                                                             {"StripAccents", Kind::kStripMarks}};
    for (const auto& [name, kind] : kSimple)
      if (type == name) {
        out_.steps.push_back({kind});
        return {};
      }
    return unsupported("normalizer", type);
  }

  Status read_pre_tokenizer(const value& part, int depth = 0) {
    if (part.is_null()) return {};
    const object* const fields = part.if_object();
    if (fields == nullptr || depth > kDeepest) return not_a("an object", "pre_tokenizer");
    MILL_TRY(const std::string type, string_at(*fields, "type"));
    if (type == "Sequence") {
      MILL_TRY(const auto* parts, array_at(*fields, "pretokenizers"));
      for (const value& one : *parts) MILL_TRY_DO(read_pre_tokenizer(one, depth + 1));
      return {};
    }
    if (type == "ByteLevel") return read_byte_level(*fields);
    if (type == "Split") return read_split(*fields);
    if (type == "Metaspace") return read_metaspace(*fields);
    if (type == "Digits") {
      MILL_TRY(const bool single, bool_or(*fields, "individual_digits", false));
      add<Runs>(CodeClass(kNumber, {}), Runs::Lead::kNone,
                Runs::Count{.most = single ? 1 : UINT32_MAX});
      return {};
    }
    if (type == "Punctuation") {
      MILL_TRY(const std::string behaviour, string_or_empty(*fields, "behavior"));
      if (!behaviour.empty() && behaviour != "Isolated")
        return unsupported("pre_tokenizer", "Punctuation, " + behaviour);
      add<Runs>(punctuation(), Runs::Lead::kNone, Runs::Count{.most = 1});
      return {};
    }
    if (type == "WhitespaceSplit") return add_pattern(R"(\s+)", {.behaviour = Behaviour::kRemoved});
    if (type == "Whitespace")
      return add_pattern(R"(\w+|[^\w\s]+)", {.behaviour = Behaviour::kRemoved, .inverted = true});
    if (type == "BertPreTokenizer") {
      MILL_TRY_DO(add_pattern(R"(\s+)", {.behaviour = Behaviour::kRemoved}));
      add<Runs>(punctuation(), Runs::Lead::kNone, Runs::Count{.most = 1});
      return {};
    }
    return unsupported("pre_tokenizer", type);
  }

  JsonStages take() { return std::move(out_); }

 private:
  static constexpr int kDeepest = 8;

  template <class T, class... Arguments>
  void add(Arguments&&... arguments) {
    out_.stages.push_back(std::make_unique<T>(std::forward<Arguments>(arguments)...));
  }
  Status add_pattern(const std::string& pattern, PatternStage::Options options) {
    MILL_TRY(auto stage, PatternStage::make(pattern, options));
    out_.stages.push_back(std::move(stage));
    return {};
  }

  Status read_bert_normalizer(const object& fields) {
    MILL_TRY(const bool clean, bool_or(fields, "clean_text", true));
    MILL_TRY(const bool chinese, bool_or(fields, "handle_chinese_chars", true));
    MILL_TRY(const bool lower, bool_or(fields, "lowercase", true));
    MILL_TRY(const bool strip, bool_or(fields, "strip_accents", lower));
    if (clean) out_.steps.push_back({Kind::kBertClean});
    if (chinese) out_.steps.push_back({Kind::kBertChinese});
    if (strip) out_.steps.push_back({Kind::kNfd});
    if (strip) out_.steps.push_back({Kind::kStripAccents});
    if (lower) out_.steps.push_back({Kind::kLowercase});
    return {};
  }

  Status read_byte_level(const object& fields) {
    MILL_TRY(const bool space, bool_or(fields, "add_prefix_space", true));
    MILL_TRY(const bool words, bool_or(fields, "use_regex", true));
    if (space && !out_.stages.empty())
      return unsupported("pre_tokenizer", "ByteLevel with add_prefix_space behind others");
    if (space) out_.steps.push_back({Kind::kPrependIfNoSpace, "", " "});
    if (words) add<Gpt2Words>();
    out_.byte_level = true;
    return {};
  }

  Status read_split(const object& fields) {
    MILL_TRY(const std::string pattern, pattern_of(fields));
    MILL_TRY(const std::string name, string_at(fields, "behavior"));
    MILL_TRY(const bool inverted, bool_or(fields, "invert", false));
    constexpr std::pair<std::string_view, Behaviour> kBehaviours[] = {
        {"Isolated", Behaviour::kIsolated},
        {"Removed", Behaviour::kRemoved},
        {"MergedWithPrevious", Behaviour::kMergedWithPrevious},
        {"MergedWithNext", Behaviour::kMergedWithNext},
        {"Contiguous", Behaviour::kContiguous}};
    const auto found = std::find_if(std::begin(kBehaviours), std::end(kBehaviours),
                                    [&](const auto& one) { return one.first == name; });
    if (found == std::end(kBehaviours)) return unsupported("pre_tokenizer", "Split, " + name);
    const Behaviour behaviour = found->second;
    if (behaviour == Behaviour::kIsolated && pattern == kDeepseek) {
      add<DeepseekWords>();
      return {};
    }
    // The known patterns match everything, so nothing lies between to be removed.
    if (behaviour == Behaviour::kIsolated || (behaviour == Behaviour::kRemoved && inverted))
      if (auto stage = known_stage(pattern)) {
        out_.stages.push_back(std::move(stage));
        return {};
      }
    return add_pattern(pattern, {.behaviour = behaviour, .inverted = inverted});
  }

  Status read_metaspace(const object& fields) {
    MILL_TRY(const std::string mark, string_at(fields, "replacement"));
    MILL_TRY(std::string scheme, string_or_empty(fields, "prepend_scheme"));
    MILL_TRY(const bool split, bool_or(fields, "split", true));
    if (!out_.stages.empty()) return unsupported("pre_tokenizer", "Metaspace behind others");
    if (scheme.empty()) {  // as older files say it
      MILL_TRY(const bool always, bool_or(fields, "add_prefix_space", true));
      scheme = always ? "always" : "never";
    }
    out_.steps.push_back({Kind::kReplace, " ", mark});
    if (scheme == "always") out_.steps.push_back({Kind::kPrependIfNew, "", mark});
    if (scheme == "first") out_.steps.push_back({Kind::kPrependIfFirst, "", mark});
    if (split) return add_pattern(in_quotes(mark), {.behaviour = Behaviour::kMergedWithNext});
    return {};
  }

  JsonStages out_;
};

}  // namespace

Result<JsonStages> read_json_stages(const value& normalizer, const value& pre_tokenizer) {
  Reader reader;
  MILL_TRY_DO(reader.read_normalizer(normalizer));
  MILL_TRY_DO(reader.read_pre_tokenizer(pre_tokenizer));
  return reader.take();
}

}  // namespace mill::text
