#include "app/cmd_perplexity.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "app/open_model.h"
#include "app/perplexity.h"
#include "app/text_input.h"

namespace mill::app {
namespace {

struct Arguments {
  std::string model, file, logits_out;
  int64_t windows = 0;
};

Status perplexity(const Arguments& arguments, const Settings& settings) {
  MILL_TRY(const std::string text, read_text(arguments.file));
  MILL_TRY(const ModelFile model, open_model_file(arguments.model, settings));
  MILL_TRY(const ModelText words, open_model_text(*model.file));
  MILL_TRY(const Mill mill, make_mill(settings));
  MILL_TRY(const std::unique_ptr<model::Decoder> decoder, load_decoder(model, mill, {}));
  const std::vector<TokenId> tokens =
      words.tokenizer.encode(text, false, text::Tokenizer::Ends::kAsModelWants);
  const int64_t context = settings.integer("ctx") > 0 ? settings.integer("ctx") : 512;
  const bool show = ::isatty(STDERR_FILENO) != 0;
  const auto progress = [&](const PerplexityResult& result, int64_t windows) {
    if (!show) return;
    std::fprintf(stderr, "\r%lld/%lld windows, perplexity %.4f",
                 static_cast<long long>(result.windows), static_cast<long long>(windows),
                 result.perplexity);
  };
  const PerplexityJob job{.tokens = tokens,
                          .context = context,
                          .bos = words.tokenizer.adds_bos() ? words.tokenizer.bos() : kNoToken,
                          .max_windows = arguments.windows,
                          .logits_out = arguments.logits_out};
  const Result<PerplexityResult> measured = measure_perplexity(*decoder, job, progress);
  if (show) std::fputs("\r\033[K", stderr);
  if (!measured) return fail(measured.error());
  fmt::print("perplexity {:.4f} ± {:.4f} over {} tokens in {} windows of {}\n",
             measured->perplexity, measured->standard_error, measured->scored_tokens,
             measured->windows, context);
  return {};
}

}  // namespace

void add_perplexity_command(CommandLine& line) {
  const auto arguments = std::make_shared<Arguments>();
  Command& command =
      line.add(nullptr, "perplexity", "Measure how well a model predicts a text", kPerplexity,
               [arguments](const Settings& settings) { return perplexity(*arguments, settings); });
  command.add_option("model", arguments->model, "a catalogue name or a path to a .gguf file")
      .required();
  command.add_option("--file", arguments->file, "the text; - reads standard input")
      .required()
      .type_name("PATH");
  command
      .add_option("--windows", arguments->windows,
                  "stop after this many windows; 0 means the whole text")
      .at_least_zero();
  command
      .add_option(
          "--logits-out", arguments->logits_out,
          "write the logits of the first window here: a .npy file, f32 [window, vocabulary]")
      .type_name("PATH");
}

}  // namespace mill::app
