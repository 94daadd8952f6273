// Tokenizer::from_tokenizer_json: the file of the Hugging Face tokenizers library, turned into the
// parts of a Tokenizer.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "text/pieces/byte_alphabet.h"
#include "text/special_names.h"
#include "text/split/json_read.h"
#include "text/split/json_stages.h"
#include "text/split/unicode.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"

namespace mill::text {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

tl::unexpected<Error> corrupt(const std::string& message, std::string field) {
  return fail(Code::kCorrupt, "tokenizer.json: " + message, std::move(field));
}
tl::unexpected<Error> unsupported(const std::string& message, std::string field) {
  return fail(Code::kUnsupported, "tokenizer.json: " + message, std::move(field));
}

struct Merge {
  std::string left, right;
};

struct AddedToken {
  SpecialToken token;
  bool normalized = false;
};

class Loader {
 public:
  explicit Loader(const object& file) : file_(file) {}

  Result<TokenizerParts> load() {
    MILL_TRY(model_, object_at(file_, "model"));
    MILL_TRY_DO(find_kind());
    MILL_TRY(JsonStages stages,
             read_json_stages(member(file_, "normalizer"), member(file_, "pre_tokenizer")));
    byte_level_ = stages.byte_level;
    parts_.normalizer = Normalizer(std::move(stages.steps));
    parts_.pre_tokenizer = PreTokenizer(std::move(stages.stages));
    parts_.lenient_utf8 = false;
    MILL_TRY_DO(read_vocabulary());
    MILL_TRY_DO(read_added_tokens());
    fill_texts();
    MILL_TRY_DO(fill_specials());
    MILL_TRY_DO(read_post_processor(member(file_, "post_processor")));
    MILL_TRY_DO(word_pieces_ ? fill_word_pieces() : fill_byte_pairs());
    // Ordinary text can be unknown, so that token controls nothing, special as files may call it.
    MILL_TRY(const TokenId unknown, token_at("unk_token"));
    if (unknown != kNoToken) parts_.is_control[static_cast<size_t>(unknown)] = false;
    return std::move(parts_);
  }

 private:
  Status find_kind() {
    MILL_TRY(std::string type, string_or_empty(*model_, "type"));
    if (type.empty())
      type = model_->contains("merges") ? "BPE" : "WordPiece";  // as older files leave it out
    if (type != "BPE" && type != "WordPiece")
      return unsupported("a model of the type '" + type + "' is not built in", "model");
    word_pieces_ = type == "WordPiece";
    return {};
  }

  Result<TokenId> id_of(const value& number, std::string_view field) const {
    const int64_t* const id = number.if_int64();
    if (id == nullptr || *id < 0 || *id > INT32_MAX)
      return corrupt("an id is no number that can be one", std::string(field));
    return static_cast<TokenId>(*id);
  }

  // Files number their tokens without gaps, or nearly so.
  Status put(TokenId id, std::string piece, std::string_view field) {
    if (static_cast<size_t>(id) >= most_ids_)
      return corrupt(fmt::format("id {} is far above the number of tokens", id),
                     std::string(field));
    if (static_cast<size_t>(id) >= pieces_.size()) pieces_.resize(static_cast<size_t>(id) + 1);
    pieces_[static_cast<size_t>(id)] = std::move(piece);
    return {};
  }

  Status read_vocabulary() {
    MILL_TRY(const object* vocabulary, object_at(*model_, "vocab"));
    most_ids_ = vocabulary->size() * 2 + 65536;
    std::unordered_set<TokenId> seen;
    for (const auto& [piece, number] : *vocabulary) {
      MILL_TRY(const TokenId id, id_of(number, "vocab"));
      if (!seen.insert(id).second)
        return corrupt(fmt::format("two tokens have the id {}", id), "vocab");
      MILL_TRY_DO(put(id, std::string(piece), "vocab"));
    }
    return {};
  }

  Status read_added_tokens() {
    if (member(file_, "added_tokens").is_null()) return {};
    MILL_TRY(const array* tokens, array_at(file_, "added_tokens"));
    for (const value& one : *tokens) {
      const object* const fields = one.if_object();
      if (fields == nullptr) return not_a("an array of objects", "added_tokens");
      AddedToken added;
      MILL_TRY(added.token.id, id_of(member(*fields, "id"), "added_tokens"));
      MILL_TRY(added.token.name, string_at(*fields, "content"));
      MILL_TRY(added.token.trusted_only, bool_or(*fields, "special", false));
      MILL_TRY(added.token.strip_left, bool_or(*fields, "lstrip", false));
      MILL_TRY(added.token.strip_right, bool_or(*fields, "rstrip", false));
      MILL_TRY(added.token.whole_word, bool_or(*fields, "single_word", false));
      MILL_TRY(added.normalized, bool_or(*fields, "normalized", !added.token.trusted_only));
      MILL_TRY_DO(put(added.token.id, added.token.name, "added_tokens"));
      if (!added.token.name.empty()) added_.push_back(std::move(added));
    }
    return {};
  }

  void fill_texts() {
    parts_.is_control.resize(pieces_.size());
    std::vector<bool> is_added(pieces_.size());
    for (const AddedToken& added : added_) {
      is_added[static_cast<size_t>(added.token.id)] = true;
      parts_.is_control[static_cast<size_t>(added.token.id)] = added.token.trusted_only;
    }
    const auto pieces = std::make_shared<const StringTable>(std::span(pieces_));
    parts_.pieces = pieces;
    StringTable bytes;
    for (size_t id = 0; id < pieces_.size(); ++id) {
      bytes.add(parts_.is_control[id] ? "" : is_added[id] ? pieces_[id] : bytes_of(pieces_[id]));
      if (is_end_name(pieces_[id])) parts_.ends.push_back(static_cast<TokenId>(id));
    }
    parts_.bytes = std::make_shared<const StringTable>(std::move(bytes));
    settle_ends(*pieces, parts_.ends);
  }

  std::string bytes_of(const std::string& piece) const {
    if (byte_level_) return bytes_of_alphabet(piece).value_or(piece);
    if (word_pieces_) return piece.starts_with("##") ? piece.substr(2) : " " + piece;
    const int byte = byte_of_name(piece);
    if (byte >= 0) return std::string(1, static_cast<char>(byte));
    return Normalizer({{Normalizer::Step::Kind::kReplace, std::string(kSpaceMark), " "}})
        .apply(piece, false);
  }

  Status fill_specials() {
    std::vector<SpecialToken> specials;
    for (AddedToken& added : added_) {
      // Such a name is to be found in the normalized text; where that would be another text, it
      // can't be found in the plain one.
      if (added.normalized && parts_.normalizer.apply(added.token.name, false) != added.token.name)
        return unsupported(
            "the added token '" + for_people(added.token.name) + "' is changed by the normalizer",
            "added_tokens");
      specials.push_back(std::move(added.token));
    }
    parts_.specials = SpecialTokens(std::move(specials), SpecialTokens::Order::kLeftmostFirst);
    return {};
  }

  Status read_post_processor(const value& part, int depth = 0) {
    if (part.is_null()) return {};
    const object* const fields = part.if_object();
    if (fields == nullptr || depth > 8) return not_a("an object", "post_processor");
    MILL_TRY(const std::string type, string_at(*fields, "type"));
    if (type == "ByteLevel") return {};
    if (type == "Sequence") {
      MILL_TRY(const array* parts, array_at(*fields, "processors"));
      for (const value& one : *parts) MILL_TRY_DO(read_post_processor(one, depth + 1));
      return {};
    }
    if (type == "TemplateProcessing") return read_template(*fields);
    if (type != "BertProcessing" && type != "RobertaProcessing")
      return unsupported("a post_processor of the type '" + type + "' is not built in",
                         "post_processor");
    for (const auto& [key, list] :
         {std::pair{"cls", &parts_.in_front}, std::pair{"sep", &parts_.behind}}) {
      MILL_TRY(const array* pair, array_at(*fields, key));  // [piece, id]
      if (pair->size() != 2) return not_a("a pair", key);
      MILL_TRY(const TokenId id, known_id((*pair)[1], key));
      *list = {id};
    }
    name_ends();
    return {};
  }

  Result<TokenId> known_id(const value& number, std::string_view field) const {
    MILL_TRY(const TokenId id, id_of(number, field));
    if (static_cast<size_t>(id) >= pieces_.size())
      return corrupt(fmt::format("id {} is no token", id), std::string(field));
    return id;
  }

  Status read_template(const object& fields) {
    MILL_TRY(const array* single, array_at(fields, "single"));
    MILL_TRY(const object* tokens, object_at(fields, "special_tokens"));
    bool before = true;
    for (const value& one : *single) {
      const object* const item = one.if_object();
      if (item == nullptr) return not_a("an array of objects", "single");
      if (item->contains("Sequence")) {
        before = false;
        continue;
      }
      MILL_TRY(const object* special, object_at(*item, "SpecialToken"));
      MILL_TRY(const std::string name, string_at(*special, "id"));
      MILL_TRY(const object* token, object_at(*tokens, name));
      MILL_TRY(const array* ids, array_at(*token, "ids"));
      for (const value& number : *ids) {
        MILL_TRY(const TokenId id, known_id(number, "ids"));
        (before ? parts_.in_front : parts_.behind).push_back(id);
      }
    }
    name_ends();
    return {};
  }
  void name_ends() {
    if (!parts_.in_front.empty()) parts_.bos = parts_.in_front.front();
    if (!parts_.behind.empty()) parts_.eos = parts_.behind.back();
  }

  // The token that `key` of the model names, kNoToken where it names none.
  Result<TokenId> token_at(std::string_view key) const {
    MILL_TRY(const std::string name, string_or_empty(*model_, key));
    if (name.empty()) return kNoToken;
    const auto found = std::find(pieces_.begin(), pieces_.end(), name);
    if (found == pieces_.end())
      return corrupt("'" + for_people(name) + "' is no token", std::string(key));
    return static_cast<TokenId>(found - pieces_.begin());
  }

  // A piece as text is compared with it; "" when it is not spelled in the byte alphabet.
  std::string text_of(std::string_view piece) const {
    return byte_level_ ? bytes_of_alphabet(piece).value_or("") : std::string(piece);
  }

  Status fill_word_pieces() {
    WordPieces::Parts parts;
    MILL_TRY(parts.unknown, token_at("unk_token"));
    if (model_->contains("continuing_subword_prefix")) {
      MILL_TRY(parts.continuation, string_at(*model_, "continuing_subword_prefix"));
    }
    if (const int64_t* longest = member(*model_, "max_input_chars_per_word").if_int64();
        longest != nullptr && *longest > 0)
      parts.longest_word = static_cast<size_t>(std::min<int64_t>(*longest, 10'000));
    for (size_t id = 0; id < pieces_.size(); ++id)
      parts.pieces.add(parts_.is_control[id] ? std::string_view() : pieces_[id]);
    parts_.model = WordPieces(std::move(parts));
    return {};
  }

  Status fill_byte_pairs() {
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      MILL_TRY(const std::string affix, string_or_empty(*model_, key));
      if (!affix.empty())
        return unsupported(std::string("a BPE model with ") + key + " is not built in", key);
    }
    BytePairs::Parts parts;
    parts.options.by_characters = !byte_level_;
    MILL_TRY(parts.options.whole_words, bool_or(*model_, "ignore_merges", false));
    MILL_TRY(parts.options.byte_fallback, bool_or(*model_, "byte_fallback", false));
    MILL_TRY(parts.options.fuse_unknown, bool_or(*model_, "fuse_unk", false));
    MILL_TRY(parts.options.unknown, token_at("unk_token"));
    parts.bytes.fill(kNoToken);
    StringTable texts;  // that become the token
    std::unordered_set<std::string> hidden;
    for (size_t id = 0; id < pieces_.size(); ++id) {
      std::string text = text_of(pieces_[id]);
      texts.add(parts_.is_control[id] ? std::string_view() : text);
      if (parts_.is_control[id]) {
        hidden.insert(std::move(text));
        continue;
      }
      if (const int byte = byte_of_name(pieces_[id]); byte >= 0)
        parts.bytes[byte] = static_cast<TokenId>(id);
    }
    parts.pieces = std::make_shared<const StringTable>(std::move(texts));
    MILL_TRY(const array* merges, array_at(*model_, "merges"));
    for (size_t i = 0; i < merges->size(); ++i) {
      MILL_TRY(const Merge merge, merge_of((*merges)[i], i));
      // Text never becomes a control token, so the way there is closed as well.
      if (hidden.contains(merge.left) || hidden.contains(merge.right) ||
          hidden.contains(merge.left + merge.right))
        continue;
      parts.merges.add(merge.left);
      parts.merges.add(merge.right);
    }
    MILL_TRY(parts_.model, BytePairs::build(std::move(parts)));
    return {};
  }

  // "left right" or ["left", "right"].
  Result<Merge> merge_of(const value& one, size_t number) const {
    std::string_view left, right;
    if (const auto* string = one.if_string()) {
      const std::string_view both = *string;
      const size_t space = std::min(both.find(' '), both.size());
      left = both.substr(0, space);
      right = both.substr(std::min(space + 1, both.size()));
    } else if (const auto* pair = one.if_array(); pair != nullptr && pair->size() == 2 &&
                                                  (*pair)[0].is_string() &&
                                                  (*pair)[1].is_string()) {
      left = (*pair)[0].get_string();
      right = (*pair)[1].get_string();
    }
    Merge merge{text_of(left), text_of(right)};
    if (merge.left.empty() || merge.right.empty())
      return corrupt(fmt::format("merge {} does not name two pieces", number), "merges");
    return merge;
  }

  const object& file_;
  const object* model_ = nullptr;
  bool word_pieces_ = false;
  bool byte_level_ = false;
  size_t most_ids_ = 0;
  std::vector<std::string> pieces_;  // [vocabulary], "" where no token has the id
  std::vector<AddedToken> added_;
  TokenizerParts parts_;
};

}  // namespace

Result<Tokenizer> Tokenizer::from_tokenizer_json(std::string_view json) {
  // A table of its pieces, or of its merges, is no longer than the file.
  if (json.size() > StringTable::kMaxBytes)
    return fail(Code::kTooLarge, "tokenizer.json: it is of more than 4 GiB");
  boost::json::parse_options options;
  options.max_depth = 32;
  boost::json::error_code error;
  const value file = boost::json::parse(json, error, {}, options);
  if (error) return corrupt("it is not JSON: " + error.message(), "");
  const object* const fields = file.if_object();
  if (fields == nullptr) return corrupt("it is no JSON object", "");
  MILL_TRY(TokenizerParts parts, Loader(*fields).load());
  return from_parts(std::move(parts));
}

}  // namespace mill::text
