#include "app/cmd_template.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdio>
#include <memory>

#include "app/open_model.h"
#include "app/text_input.h"
#include "base/clock.h"

namespace mill::app {
namespace {

struct Arguments {
  std::string model, file, input;
  int64_t now = 0;
  bool now_given = false;
  bool show_origin = false;
};

Result<boost::json::object> read_case(const std::string& path) {
  MILL_TRY(const std::string text, read_text(path));
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  if (error)
    return fail(Code::kInvalid, fmt::format("{} is no JSON: {}", path, error.message()), "input");
  if (!value.is_object())
    return fail(Code::kInvalid, fmt::format("{} must hold a JSON object", path), "input");
  return value.get_object();
}

struct Source {
  text::ChatTemplate chat_template;
  std::string bos, eos;
};

Result<Source> source_of(const Arguments& arguments, const Settings& settings) {
  if (arguments.model.empty() == arguments.file.empty()) {
    return fail(Code::kInvalid, "give a model or --file T.jinja (one of them)", "model");
  }
  if (!arguments.file.empty()) {
    MILL_TRY(const std::string source, read_text(arguments.file));
    MILL_TRY(text::ChatTemplate compiled, text::ChatTemplate::compile(source));
    return Source{std::move(compiled), "", ""};
  }
  MILL_TRY(const ModelFile model, open_model_file(arguments.model, settings));
  MILL_TRY(ModelText words, open_model_text(*model.file));
  if (!words.chat_template) {
    return fail(Code::kNotFound, words.template_refusal.empty()
                                     ? fmt::format("{} has no chat template", model.id)
                                     : fmt::format("the template of {} is refused: {}", model.id,
                                                   words.template_refusal));
  }
  const auto piece = [&](TokenId id) {
    return id == kNoToken ? "" : std::string(words.tokenizer.piece(id));
  };
  return Source{std::move(*words.chat_template), piece(words.tokenizer.bos()),
                piece(words.tokenizer.eos())};
}

Status render(const Arguments& arguments, const Settings& settings) {
  MILL_TRY(boost::json::object variables, read_case(arguments.input));
  MILL_TRY(const Source source, source_of(arguments, settings));
  if (!variables.contains("bos_token")) variables["bos_token"] = source.bos;
  if (!variables.contains("eos_token")) variables["eos_token"] = source.eos;
  const int64_t time = arguments.now_given ? arguments.now : unix_seconds();
  MILL_TRY(const text::Rendered rendered, source.chat_template.render(variables, time));
  if (!arguments.show_origin) {
    std::fwrite(rendered.text().data(), 1, rendered.text().size(), stdout);
    return {};
  }
  for (const text::TextSpan& span : rendered.spans()) {
    fmt::print("{} {}\n", span.trusted ? "template" : "request ",
               boost::json::serialize(boost::json::string(span.text)));
  }
  return {};
}

}  // namespace

void add_template_command(CommandLine& line) {
  const auto arguments = std::make_shared<Arguments>();
  Command& command = line.add(
      nullptr, "template", "Render a chat template, to see the prompt a model gets", kTemplate,
      [arguments](const Settings& settings) { return render(*arguments, settings); });
  command.add_option("model", arguments->model, "a catalogue name or a path to a .gguf file");
  command.add_option("--file", arguments->file, "a template of its own instead of a model's")
      .type_name("PATH");
  command
      .add_option("--input", arguments->input,
                  "a JSON object with messages and any other variable (tools, "
                  "add_generation_prompt, bos_token, …); - is standard input")
      .required()
      .type_name("PATH");
  command
      .add_option("--now", arguments->now,
                  "the time that strftime_now sees, in seconds since 1970 UTC")
      .type_name("TIME")
      .each([arguments](const std::string&) { arguments->now_given = true; });
  command.add_flag("--origin", arguments->show_origin,
                   "show which parts are the template's own and which came with the request");
}

}  // namespace mill::app
