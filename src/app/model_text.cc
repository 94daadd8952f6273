#include "app/model_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "text/split/pre_tokenizer.h"

namespace mill::app {
namespace {

using text::TokenType;
using text::Vocabulary;

constexpr std::string_view kModel = "tokenizer.ggml.model";
constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";

Result<text::StringTable> strings(const model::Gguf& file, std::string_view key) {
  MILL_TRY(const std::vector<std::string_view> views, file.array<std::string_view>(key));
  size_t bytes = 0;
  for (const std::string_view view : views) bytes += view.size();
  if (bytes > text::StringTable::kMaxBytes)
    return fail(Code::kCorrupt, fmt::format("{} bytes of strings are more than 4 GiB", bytes),
                std::string(key));
  text::StringTable table;
  table.reserve(views.size(), bytes);
  table.append(views);
  return table;
}

Status read_types(const model::Gguf& file, Vocabulary& vocabulary) {
  if (!file.has(kTypes)) return {};
  MILL_TRY(const std::vector<int32_t> types, file.array<int32_t>(kTypes));
  for (const int32_t type : types) {
    if (type < 1 || type > 6)
      return fail(Code::kCorrupt,
                  fmt::format("a token is of type {}; there are types 1 to 6", type),
                  std::string(kTypes));
    vocabulary.types.push_back(static_cast<TokenType>(type));
  }
  return {};
}

// The id at `key`; where there is none, `fallback` if that is a token.
Result<TokenId> id_at(const model::Gguf& file, std::string_view key, TokenId fallback,
                      size_t tokens) {
  const TokenId usual =
      fallback >= 0 && static_cast<size_t>(fallback) < tokens ? fallback : kNoToken;
  return file.get_or<int32_t>(key, usual);
}

// Phi-3 files don't say that their special tokens swallow the white space behind them; it is known
// by the name of the model.
void add_phi3_stripping(const model::Gguf& file, Vocabulary& vocabulary) {
  const auto name = file.get_or<std::string_view>("general.name", "");
  std::string lower(name ? *name : "");
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower.find("phi-3") == std::string::npos && lower.find("phi3") == std::string::npos) return;
  for (size_t id = 0; id < vocabulary.pieces.size(); ++id) {
    const std::string_view piece = vocabulary.pieces[id];
    const TokenType type = id < vocabulary.types.size() ? vocabulary.types[id] : TokenType::kNormal;
    const bool special = type == TokenType::kControl || type == TokenType::kUserDefined ||
                         type == TokenType::kUnknown || piece == "</s>";
    if (special && piece != "<unk>" && piece != "<s>" && piece != "<|endoftext|>")
      vocabulary.strip_right.push_back(static_cast<TokenId>(id));
  }
}

}  // namespace

Result<Vocabulary> vocabulary_of(const model::Gguf& file) {
  Vocabulary vocabulary;
  MILL_TRY(const std::string_view kind, file.get<std::string_view>(kModel));
  const bool scored = kind == "llama";
  if (!scored && kind != "gpt2")
    return fail(Code::kUnsupported,
                fmt::format("tokenizers of the kind {} are not built in; 'gpt2' and 'llama' are",
                            model::shown(kind)),
                std::string(kModel));
  vocabulary.algorithm =
      scored ? Vocabulary::Algorithm::kScoredPieces : Vocabulary::Algorithm::kBytePairs;
  MILL_TRY(vocabulary.pieces, strings(file, kTokens));
  MILL_TRY_DO(read_types(file, vocabulary));
  const size_t tokens = vocabulary.pieces.size();
  if (scored) {
    MILL_TRY(vocabulary.scores, file.array<float>(kScores));
  } else {
    MILL_TRY(const std::string_view pre, file.get_or<std::string_view>("tokenizer.ggml.pre", ""));
    vocabulary.pre = pre;
    MILL_TRY(vocabulary.merges, strings(file, kMerges));
  }

  const bool bos_unset = vocabulary.pre == "glm4" || vocabulary.pre == "chatglm-bpe";
  const TokenId usual_bos = scored ? 1 : bos_unset ? kNoToken : 11;
  MILL_TRY(vocabulary.bos, id_at(file, "tokenizer.ggml.bos_token_id", usual_bos, tokens));
  MILL_TRY(vocabulary.eos, id_at(file, "tokenizer.ggml.eos_token_id", scored ? 2 : 11, tokens));
  MILL_TRY(vocabulary.unknown,
           id_at(file, "tokenizer.ggml.unknown_token_id", scored ? 0 : kNoToken, tokens));
  for (const std::string_view key :
       {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    MILL_TRY(const TokenId id, id_at(file, key, kNoToken, tokens));
    if (id != kNoToken) vocabulary.ends.push_back(id);
  }
  const bool usually_bos = scored || text::traits_of_pre_tokenizer(vocabulary.pre).adds_bos;
  MILL_TRY(vocabulary.add_bos, file.get_or<bool>("tokenizer.ggml.add_bos_token", usually_bos));
  MILL_TRY(vocabulary.add_eos, file.get_or<bool>("tokenizer.ggml.add_eos_token", false));
  MILL_TRY(vocabulary.add_space_prefix,
           file.get_or<bool>("tokenizer.ggml.add_space_prefix", scored));
  add_phi3_stripping(file, vocabulary);
  return vocabulary;
}

Result<std::optional<std::string>> chat_template_source_of(const model::Gguf& file) {
  constexpr std::string_view kTemplate = "tokenizer.chat_template";
  if (!file.has(kTemplate)) return std::optional<std::string>();
  MILL_TRY(const std::string_view source, file.get<std::string_view>(kTemplate));
  return std::optional<std::string>(source);
}

}  // namespace mill::app
