#include "app/cmd_tokenize.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "app/open_model.h"
#include "app/text_input.h"
#include "base/log.h"

namespace mill::app {
namespace {

struct Arguments {
  std::string model, text, file;
  bool ids_only = false;
  bool no_special = false;
};

Result<std::string> text_of(const Arguments& arguments) {
  if (!arguments.file.empty() && !arguments.text.empty()) {
    return fail(Code::kInvalid, "give either a text or --file, not both", "file");
  }
  if (!arguments.file.empty()) return read_text(arguments.file);
  if (arguments.text == "-") return read_text("-");
  return arguments.text;
}

Status tokenize(const Arguments& arguments, const Settings& settings) {
  MILL_TRY(const std::string text, text_of(arguments));
  MILL_TRY(const ModelFile model, open_model_file(arguments.model, settings));
  MILL_TRY(const ModelText words, open_model_text(*model.file));
  const auto ends =
      arguments.no_special ? text::Tokenizer::Ends::kNone : text::Tokenizer::Ends::kAsModelWants;
  const std::vector<TokenId> ids = words.tokenizer.encode(text, !arguments.no_special, ends);
  if (arguments.ids_only) {
    fmt::print("[{}]\n", fmt::join(ids, ","));
    return {};
  }
  for (const TokenId id : ids) {
    std::string piece;
    append_json_string(piece, words.tokenizer.piece(id));
    fmt::print("{:>8}  {}{}\n", id, piece, words.tokenizer.is_control(id) ? "  control" : "");
  }
  std::fprintf(stderr, "%zu tokens for %zu bytes\n", ids.size(), text.size());
  return {};
}

}  // namespace

void add_tokenize_command(CommandLine& line) {
  const auto arguments = std::make_shared<Arguments>();
  Command& command =
      line.add(nullptr, "tokenize", "Show the tokens of a text", kTokenize,
               [arguments](const Settings& settings) { return tokenize(*arguments, settings); });
  command.add_option("model", arguments->model, "a catalogue name or a path to a .gguf file")
      .required();
  command.add_option("text", arguments->text, "the text; - reads standard input");
  command.add_option("--file", arguments->file, "read the text from this file; - is standard input")
      .type_name("PATH");
  command.add_flag("--ids", arguments->ids_only, "print one JSON array of ids");
  command.add_flag("--no-special", arguments->no_special,
                   "names of control tokens are ordinary text, and no BOS or EOS is added");
}

}  // namespace mill::app
