#include "model/vocabulary_check.h"

#include <fmt/format.h>

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "model/gguf.h"

namespace mill::model {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr std::string_view kPrefix = "tokenizer.ggml.";
constexpr std::string_view kIdSuffix = "_token_id";
constexpr size_t kMaxTokenBytes = 65535;
constexpr int32_t kByteType = 6;  // the last of GGUF's token types, which begin at 1

tl::unexpected<Error> corrupt(std::string message, std::string_view key) {
  return fail(Code::kCorrupt, std::move(message), std::string(key));
}

bool is_byte_piece(std::string_view piece) {
  return piece.size() == 6 && piece.starts_with("<0x") && piece[5] == '>' &&
         std::isxdigit(static_cast<unsigned char>(piece[3])) &&
         std::isxdigit(static_cast<unsigned char>(piece[4]));
}

Status check_count(std::string_view key, size_t count, size_t tokens) {
  if (count == tokens) return {};
  return corrupt(fmt::format("{} has {} elements for {} tokens", key, count, tokens), key);
}

Status check_types(const Gguf& file, const std::vector<std::string_view>& tokens) {
  if (!file.has(kTypes)) return {};
  const auto types = file.array<int32_t>(kTypes);
  if (!types) return fail(types.error());
  MILL_TRY_DO(check_count(kTypes, types->size(), tokens.size()));
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int32_t type = (*types)[i];
    if (type < 1 || type > kByteType)
      return corrupt(
          fmt::format("{} is {} for token {}; 1 to {} is possible", kTypes, type, i, kByteType),
          kTypes);
    if (type == kByteType && !is_byte_piece(tokens[i]))
      return corrupt(
          fmt::format("token {} is of type byte and reads {}, not <0xHH>", i, shown(tokens[i])),
          kTokens);
  }
  return {};
}

Status check_scores(const Gguf& file, size_t tokens) {
  if (!file.has(kScores)) return {};
  const auto scores = file.array<float>(kScores);
  if (!scores) return fail(scores.error());
  return check_count(kScores, scores->size(), tokens);
}

Status check_merges(const Gguf& file) {
  if (!file.has(kMerges)) return {};
  const auto merges = file.array<std::string_view>(kMerges);
  if (!merges) return fail(merges.error());
  return {};
}

Status check_ids(const Gguf& file, size_t tokens) {
  for (const GgufValue& value : file.values()) {
    if (!value.key.starts_with(kPrefix) || !value.key.ends_with(kIdSuffix)) continue;
    const auto id = file.get<int64_t>(value.key);
    if (!id) return fail(id.error());
    if (*id < 0 || *id >= static_cast<int64_t>(tokens))
      return corrupt(
          fmt::format("{} is {}, but there are {} tokens", shown(value.key), *id, tokens),
          value.key);
  }
  return {};
}

}  // namespace

Result<int64_t> vocabulary_size(const Gguf& file) {
  if (!file.has(kTokens)) return 0;
  const auto tokens = file.array<std::string_view>(kTokens);
  if (!tokens) return fail(tokens.error());
  if (tokens->empty()) return corrupt(fmt::format("{} is empty", kTokens), kTokens);
  for (size_t i = 0; i < tokens->size(); ++i)
    if ((*tokens)[i].size() > kMaxTokenBytes)
      return corrupt(fmt::format("token {} has {} bytes; the limit is {}", i, (*tokens)[i].size(),
                                 kMaxTokenBytes),
                     kTokens);
  MILL_TRY_DO(check_types(file, *tokens));
  MILL_TRY_DO(check_scores(file, tokens->size()));
  MILL_TRY_DO(check_merges(file));
  MILL_TRY_DO(check_ids(file, tokens->size()));
  return static_cast<int64_t>(tokens->size());
}

}  // namespace mill::model
