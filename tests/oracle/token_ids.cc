// Token ids of many texts at once: `mill_token_ids MODEL [--trusted] [--ends]` reads texts from
// standard input, each as its length in decimal, a newline and its bytes, and writes one line of
// ids a text. MODEL is a GGUF or a tokenizer.json.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "app/model_text.h"
#include "text/tokenizer.h"

namespace {

using mill::Result;
using mill::text::Tokenizer;

Result<Tokenizer> open(const std::string& path) {
  if (path.ends_with(".json")) {
    std::ifstream file(path, std::ios::binary);
    const std::string json((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    return Tokenizer::from_tokenizer_json(json);
  }
  MILL_TRY(const mill::model::Gguf file, mill::model::Gguf::open(path));
  MILL_TRY(mill::text::Vocabulary vocabulary, mill::app::vocabulary_of(file));
  return Tokenizer::build(std::move(vocabulary));
}

}  // namespace

int main(int count, char** arguments) {
  const std::string model = count > 1 ? arguments[1] : "";
  bool trusted = false, ends = false;
  for (int i = 2; i < count; ++i) {
    trusted |= std::string_view(arguments[i]) == "--trusted";
    ends |= std::string_view(arguments[i]) == "--ends";
  }
  const Result<Tokenizer> tokenizer = open(model);
  if (!tokenizer) {
    std::fprintf(stderr, "%s (%s)\n", tokenizer.error().message.c_str(),
                 tokenizer.error().param.c_str());
    return 1;
  }
  std::ios::sync_with_stdio(false);
  std::string length;
  while (std::getline(std::cin, length)) {
    std::string text(std::stoul(length), '\0');
    std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
    std::string line;
    for (const mill::TokenId id : tokenizer->encode(
             text, trusted, ends ? Tokenizer::Ends::kAsModelWants : Tokenizer::Ends::kNone))
      line.append(line.empty() ? "" : " ").append(std::to_string(id));
    std::cout << line << '\n';
  }
  return 0;
}
