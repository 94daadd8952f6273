// Tokenizer::build: a GGUF's vocabulary, held against itself and turned into the parts of a
// Tokenizer.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <unordered_set>

#include "text/pieces/byte_alphabet.h"
#include "text/special_names.h"
#include "text/split/unicode.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"

namespace mill::text {
namespace {

constexpr size_t kLongestPiece = 65535;
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kMerges = "tokenizer.ggml.merges";

tl::unexpected<Error> corrupt(std::string message, std::string field) {
  return fail(Code::kCorrupt, std::move(message), std::move(field));
}

std::string with_spaces(std::string_view piece) {
  std::string out;
  for (size_t at = 0; at < piece.size();) {
    const bool mark = piece.substr(at).starts_with(kSpaceMark);
    out.push_back(mark ? ' ' : piece[at]);
    at += mark ? kSpaceMark.size() : 1;
  }
  return out;
}

Status check_ids(const Vocabulary& vocabulary, size_t size) {
  const auto check = [&](TokenId id, const char* field) -> Status {
    if (id == kNoToken || (id >= 0 && static_cast<size_t>(id) < size)) return {};
    return corrupt(fmt::format("token id {} is outside the vocabulary of {} tokens", id, size),
                   field);
  };
  MILL_TRY_DO(check(vocabulary.bos, "tokenizer.ggml.bos_token_id"));
  MILL_TRY_DO(check(vocabulary.eos, "tokenizer.ggml.eos_token_id"));
  MILL_TRY_DO(check(vocabulary.unknown, "tokenizer.ggml.unknown_token_id"));
  for (const TokenId id : vocabulary.ends) MILL_TRY_DO(check(id, "tokenizer.ggml.eot_token_id"));
  for (const auto* list : {&vocabulary.strip_left, &vocabulary.strip_right})
    for (const TokenId id : *list) MILL_TRY_DO(check(id, kTokens));
  if (vocabulary.add_bos && vocabulary.bos == kNoToken)
    return corrupt("the model wants a BOS token in front, and names none",
                   "tokenizer.ggml.bos_token_id");
  if (vocabulary.add_eos && vocabulary.eos == kNoToken)
    return corrupt("the model wants an EOS token behind, and names none",
                   "tokenizer.ggml.eos_token_id");
  return {};
}

Status check_pieces(const std::shared_ptr<const StringTable>& pieces,
                    const std::vector<TokenType>& types) {
  PieceIndex seen(pieces);
  for (size_t i = 0; i < pieces->size(); ++i) {
    const std::string_view piece = (*pieces)[i];
    if (piece.size() > kLongestPiece)
      return corrupt(fmt::format("token {} has {} bytes, at most {} can be used", i, piece.size(),
                                 kLongestPiece),
                     kTokens);
    if (!piece.empty() && !seen.add(static_cast<TokenId>(i)))
      return corrupt(fmt::format("token {} is '{}', as another token is", i, for_people(piece)),
                     kTokens);
    const bool is_byte = !types.empty() && types[i] == TokenType::kByte;
    if (is_byte && byte_of_name(piece) < 0)
      return corrupt(
          fmt::format("token {} stands for a byte, but is '{}' and not of the form <0x0A>", i,
                      for_people(piece)),
          kTokens);
  }
  return {};
}

Status check(const Vocabulary& vocabulary, const std::shared_ptr<const StringTable>& pieces) {
  const size_t size = pieces->size();
  if (size == 0 || size > INT32_MAX)
    return corrupt(fmt::format("a vocabulary of {} tokens", size), kTokens);
  if (!vocabulary.types.empty() && vocabulary.types.size() != size)
    return corrupt(fmt::format("{} types for {} tokens", vocabulary.types.size(), size),
                   "tokenizer.ggml.token_type");
  const bool scored = vocabulary.algorithm == Vocabulary::Algorithm::kScoredPieces;
  if (vocabulary.scores.size() != size && (scored || !vocabulary.scores.empty()))
    return corrupt(fmt::format("{} scores for {} tokens", vocabulary.scores.size(), size),
                   "tokenizer.ggml.scores");
  for (size_t i = 0; i < vocabulary.scores.size(); ++i)
    if (std::isnan(vocabulary.scores[i]))
      return corrupt(fmt::format("the score of token {} is not a number", i),
                     "tokenizer.ggml.scores");
  MILL_TRY_DO(check_pieces(pieces, vocabulary.types));
  return check_ids(vocabulary, size);
}

class Builder {
 public:
  Builder(Vocabulary vocabulary, std::shared_ptr<const StringTable> pieces)
      : vocabulary_(std::move(vocabulary)), pieces_(std::move(pieces)) {}

  Result<TokenizerParts> build() {
    settle_types();
    fill_texts();
    fill_specials();
    fill_ends();
    parts_.bos = vocabulary_.bos;
    parts_.eos = vocabulary_.eos;
    if (vocabulary_.add_bos) parts_.in_front = {vocabulary_.bos};
    if (vocabulary_.add_eos) parts_.behind = {vocabulary_.eos};
    if (scored())
      fill_scored_pieces();
    else
      MILL_TRY_DO(fill_byte_pairs());
    return std::move(parts_);
  }

 private:
  bool scored() const { return vocabulary_.algorithm == Vocabulary::Algorithm::kScoredPieces; }
  size_t size() const { return pieces_->size(); }
  std::string_view piece(size_t id) const { return (*pieces_)[id]; }
  bool is_hidden(size_t id) const {
    return types_[id] == TokenType::kControl || types_[id] == TokenType::kUnknown;
  }

  // Some files give a control token an ordinary type; its name tells.
  void settle_types() {
    types_ = vocabulary_.types;
    types_.resize(size(), TokenType::kNormal);
    for (size_t id = 0; id < size(); ++id)
      if (is_control_name(piece(id))) types_[id] = TokenType::kControl;
  }

  void fill_texts() {
    parts_.pieces = pieces_;
    StringTable bytes;
    bytes.reserve(size(), pieces_->bytes());
    parts_.is_control.resize(size());
    for (size_t id = 0; id < size(); ++id) {
      bytes.add(bytes_of(id));
      parts_.is_control[id] = types_[id] == TokenType::kControl;
    }
    parts_.bytes = std::make_shared<const StringTable>(std::move(bytes));
  }

  std::string bytes_of(size_t id) const {
    const std::string_view piece = this->piece(id);
    switch (types_[id]) {
      case TokenType::kByte:
        return std::string(1, static_cast<char>(byte_of_name(piece)));
      case TokenType::kUserDefined:
        return std::string(piece);
      case TokenType::kNormal:
        if (scored()) return with_spaces(piece);
        return bytes_of_alphabet(piece).value_or(std::string(piece));
      default:
        return {};
    }
  }

  void fill_specials() {
    std::vector<SpecialToken> specials;
    for (size_t id = 0; id < size(); ++id)
      if ((is_hidden(id) || types_[id] == TokenType::kUserDefined) && !piece(id).empty())
        specials.push_back({.id = static_cast<TokenId>(id),
                            .name = std::string(piece(id)),
                            .trusted_only = is_hidden(id),
                            .strip_left = contains(vocabulary_.strip_left, id),
                            .strip_right = contains(vocabulary_.strip_right, id)});
    parts_.specials = SpecialTokens(std::move(specials), SpecialTokens::Order::kLongestFirst);
  }
  static bool contains(const std::vector<TokenId>& ids, size_t id) {
    return std::find(ids.begin(), ids.end(), static_cast<TokenId>(id)) != ids.end();
  }

  void fill_ends() {
    parts_.ends = vocabulary_.ends;
    if (vocabulary_.eos != kNoToken) parts_.ends.push_back(vocabulary_.eos);
    for (size_t id = 0; id < size(); ++id)
      if (is_end_name(piece(id))) parts_.ends.push_back(static_cast<TokenId>(id));
    settle_ends(*pieces_, parts_.ends);
  }

  void fill_scored_pieces() {
    const TokenId unknown = vocabulary_.unknown;
    const bool usable =
        unknown != kNoToken && types_[static_cast<size_t>(unknown)] != TokenType::kControl;
    ScoredPieces::Parts parts{.pieces = pieces_,
                              .scores = std::move(vocabulary_.scores),
                              .unknown = usable ? unknown : kNoToken};
    parts.bytes.fill(kNoToken);
    parts.hidden.resize(size());
    for (size_t id = 0; id < size(); ++id) {
      parts.hidden[id] = is_hidden(id);
      if (is_hidden(id)) continue;
      const int byte = byte_of_name(piece(id));
      if (byte >= 0 && (parts.bytes[byte] == kNoToken || types_[id] == TokenType::kByte))
        parts.bytes[byte] = static_cast<TokenId>(id);
    }
    parts_.space_in_front = vocabulary_.add_space_prefix;
    parts_.model = ScoredPieces(parts);
  }

  Status fill_byte_pairs() {
    MILL_TRY(parts_.pre_tokenizer, PreTokenizer::named(vocabulary_.pre));
    BytePairs::Parts parts{
        .options = {.whole_words = traits_of_pre_tokenizer(vocabulary_.pre).whole_words}};
    parts.hidden.resize(size());
    StringTable texts;  // that become the token
    texts.reserve(size(), pieces_->bytes());
    std::unordered_set<std::string> hidden;
    bool as_given_back = true;
    for (size_t id = 0; id < size(); ++id) {
      std::string text = bytes_of_alphabet(piece(id)).value_or("");
      parts.hidden[id] = is_hidden(id) || text.empty();
      as_given_back &= parts.hidden[id] || text == (*parts_.bytes)[id];
      texts.add(text);
      if (is_hidden(id)) hidden.insert(std::move(text));
    }
    // Mostly a token gives back the text that becomes it: then one table is enough.
    parts.pieces =
        as_given_back ? parts_.bytes : std::make_shared<const StringTable>(std::move(texts));
    parts.merges.reserve(vocabulary_.merges.size() * 2, vocabulary_.merges.bytes());
    for (size_t i = 0; i < vocabulary_.merges.size(); ++i) {
      const std::string_view merge = vocabulary_.merges[i];
      const size_t space = std::min(merge.find(' ', 1), merge.size());
      auto left = bytes_of_alphabet(merge.substr(0, space));
      auto right = bytes_of_alphabet(merge.substr(std::min(space + 1, merge.size())));
      if (!left || !right || left->empty() || right->empty())
        return corrupt(fmt::format("merge {} is '{}', not two pieces with a space between", i,
                                   for_people(merge)),
                       kMerges);
      // Text never becomes a control token, so the way there is closed as well.
      if (hidden.contains(*left) || hidden.contains(*right) || hidden.contains(*left + *right))
        continue;
      parts.merges.add(*left);
      parts.merges.add(*right);
    }
    MILL_TRY(parts_.model, BytePairs::build(std::move(parts)));
    return {};
  }

  Vocabulary vocabulary_;  // without its pieces
  std::shared_ptr<const StringTable> pieces_;
  std::vector<TokenType> types_;  // [vocabulary]
  TokenizerParts parts_;
};

}  // namespace

Result<Tokenizer> Tokenizer::build(Vocabulary vocabulary) {
  const auto pieces = std::make_shared<const StringTable>(std::move(vocabulary.pieces));
  MILL_TRY_DO(check(vocabulary, pieces));
  MILL_TRY(TokenizerParts parts, Builder(std::move(vocabulary), pieces).build());
  return from_parts(std::move(parts));
}

}  // namespace mill::text
