// libFuzzer target: any bytes as a tokenizer.json, and cut up as the vocabulary of a GGUF. Whatever
// is accepted must take any text, name only its own tokens, and never make a control token of
// untrusted text.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace mill::text {
namespace {

void use(const Result<Tokenizer>& built, std::string_view text) {
  if (!built) {
    MILL_CHECK(!built.error().message.empty());
    return;
  }
  for (const bool trusted : {false, true}) {
    Detokenizer detokenizer(*built);
    for (const TokenId id : built->encode(text, trusted, Tokenizer::Ends::kNone)) {
      MILL_CHECK(id >= 0 && static_cast<size_t>(id) < built->size());
      MILL_CHECK(trusted || !built->is_control(id));
      detokenizer.push(id);
    }
    detokenizer.finish();
  }
  for (const TokenId id : built->ends_of_generation())
    MILL_CHECK(static_cast<size_t>(id) < built->size());
}

// Lines: a piece each, with its type in front; an empty line; merges; whatever follows the next
// empty line is text.
Vocabulary vocabulary_of_lines(std::string_view bytes, std::string_view& text) {
  Vocabulary vocabulary;
  const auto take = [&](char end) {
    const size_t size = std::min(bytes.find(end), bytes.size());
    const std::string_view line = bytes.substr(0, size);
    bytes.remove_prefix(std::min(size + 1, bytes.size()));
    return line;
  };
  const std::string_view head = take('\n');
  if (head.starts_with('s')) vocabulary.algorithm = Vocabulary::Algorithm::kScoredPieces;
  vocabulary.pre = head.substr(std::min<size_t>(1, head.size()));
  for (std::string_view line; !(line = take('\n')).empty();) {
    vocabulary.types.push_back(static_cast<TokenType>(line[0] % 6 + 1));
    vocabulary.pieces.add(line.substr(1));
    if (head.starts_with('s'))
      vocabulary.scores.push_back(static_cast<float>(line.size()) *
                                  (line[0] % 2 == 0 ? 1.0f : -1.0f));
  }
  for (std::string_view line; !(line = take('\n')).empty();) vocabulary.merges.add(line);
  vocabulary.unknown = vocabulary.pieces.empty() ? kNoToken : 0;
  vocabulary.add_space_prefix = head.size() % 2 == 0;
  text = bytes;
  return vocabulary;
}

}  // namespace
}  // namespace mill::text

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using mill::text::Tokenizer;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with('{')) {
    mill::text::use(Tokenizer::from_tokenizer_json(bytes), bytes);
  } else {
    std::string_view text;
    auto vocabulary = mill::text::vocabulary_of_lines(bytes, text);
    mill::text::use(Tokenizer::build(std::move(vocabulary)), text);
  }
  return 0;
}
