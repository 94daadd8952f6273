#include "app/sim_text.h"

#include <string>
#include <utility>

#include "text/pieces/byte_alphabet.h"
#include "text/vocabulary.h"

namespace mill::app {
namespace {

constexpr std::string_view kChatMl =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

text::Vocabulary plain_vocabulary() {
  text::Vocabulary vocabulary{.algorithm = text::Vocabulary::Algorithm::kBytePairs, .pre = "gpt-2"};
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary.pieces.add(text::alphabet_of_bytes(std::string(1, static_cast<char>(byte))));
    vocabulary.types.push_back(text::TokenType::kNormal);
  }
  for (const char* name : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    vocabulary.pieces.add(name);
    vocabulary.types.push_back(text::TokenType::kControl);
  }
  vocabulary.bos = 257;
  vocabulary.eos = 258;
  vocabulary.ends = {256};
  return vocabulary;
}

}  // namespace

Result<ModelText> plain_text_side() {
  MILL_TRY(text::Tokenizer tokenizer, text::Tokenizer::build(plain_vocabulary()));
  MILL_TRY(text::ChatTemplate chat_template, text::ChatTemplate::compile(kChatMl));
  return ModelText{.tokenizer = std::move(tokenizer), .chat_template = std::move(chat_template)};
}

}  // namespace mill::app
