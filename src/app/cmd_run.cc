#include "app/cmd_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <iostream>
#include <memory>
#include <random>

#include "app/chat_session.h"
#include "app/mounted_model.h"
#include "app/open_model.h"
#include "app/text_input.h"

namespace mill::app {
namespace {

std::atomic<bool> g_interrupted{false};  // set by SIGINT; the one way a handler can speak

void on_interrupt(int) {
  g_interrupted = true;
}

struct Arguments {
  std::string model, prompt, system;
  double temperature = 0.7, top_p = 0.95;
  int32_t max_tokens = 0;
  uint64_t seed = 0;
  bool seed_given = false;
};

constexpr std::string_view kHelp =
    "/system TEXT  sets the system message and begins anew\n"
    "/reset        begins a new conversation\n"
    "/stats        shows the figures of the last answer again\n"
    "/help         this\n"
    "Ctrl-C stops an answer; at the prompt, it and Ctrl-D end the program.\n";

void print_dim(const std::string& line) {
  const bool colour = ::isatty(STDERR_FILENO) != 0;
  fmt::print(stderr, "{}{}{}\n", colour ? "\033[2m" : "", line, colour ? "\033[0m" : "");
}

// Standard input is no terminal, or the prompt came as an argument: one answer, and nothing else on
// standard output.
Status answer_once(ChatSession& session, const std::string& words) {
  MILL_TRY(const ChatStats stats, session.say(words, stdout));
  fmt::print("\n");
  if (::isatty(STDERR_FILENO)) print_dim(describe(stats));
  return {};
}

// A line that begins with a slash.
void obey(ChatSession& session, const std::string& line, const std::string& last_stats) {
  if (line.starts_with("/system ")) {
    session.set_system(line.substr(8));
    print_dim("a new conversation with this system message");
  } else if (line == "/reset") {
    session.reset();
    print_dim("a new conversation");
  } else if (line == "/stats") {
    print_dim(last_stats.empty() ? "no answer yet" : last_stats);
  } else if (line == "/help") {
    fmt::print("{}", kHelp);
  } else {
    print_dim("no such command; /help tells what there is");
  }
}

Status converse(ChatSession& session, const std::string& model) {
  print_dim(fmt::format("{}; /help tells what you can do", model));
  std::string line, last_stats;
  for (;;) {
    g_interrupted = false;
    fmt::print("> ");
    std::fflush(stdout);
    if (!std::getline(std::cin, line) || g_interrupted) break;
    if (line.empty()) continue;
    if (line.starts_with('/')) {
      obey(session, line, last_stats);
      continue;
    }
    const Result<ChatStats> stats = session.say(line, stdout);
    fmt::print("\n");
    if (!stats) {
      print_error(stats.error());
      continue;
    }
    last_stats = describe(*stats);
    print_dim(last_stats);
  }
  fmt::print("\n");
  return {};
}

ChatOptions options_of(const Arguments& arguments) {
  ChatOptions options{.max_tokens = arguments.max_tokens, .system = arguments.system};
  options.sampling.temperature = static_cast<float>(arguments.temperature);
  options.sampling.top_p = static_cast<float>(arguments.top_p);
  options.sampling.seed = arguments.seed_given ? arguments.seed : std::random_device{}();
  return options;
}

Status run(const Arguments& arguments, const Settings& settings) {
  const bool terminal = ::isatty(STDIN_FILENO) != 0;
  std::string words = arguments.prompt;
  if (words.empty() && !terminal) {
    MILL_TRY(words, read_text("-"));
    if (words.ends_with('\n')) words.pop_back();
    if (words.empty())
      return fail(Code::kInvalid, "standard input is empty: give a prompt", "prompt");
  }
  MILL_TRY(const Mill mill, make_mill(settings));
  MILL_TRY(const std::unique_ptr<MountedModel> model,
           MountedModel::mount(arguments.model, mill, settings, part_of_one(settings)));
  if (!model->warning().empty()) print_dim(model->warning());

  // No SA_RESTART: Ctrl-C at the prompt ends the read.
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ChatSession session(*model, options_of(arguments), g_interrupted);
  return words.empty() ? converse(session, model->served().id) : answer_once(session, words);
}

}  // namespace

void add_run_command(CommandLine& line) {
  const auto arguments = std::make_shared<Arguments>();
  Command& command =
      line.add(nullptr, "run", "Chat with a model in the terminal", kRun,
               [arguments](const Settings& settings) { return run(*arguments, settings); });
  command.add_option("model", arguments->model, "a catalogue name or a path to a .gguf file")
      .required();
  command.add_option(
      "prompt", arguments->prompt,
      "answer this and end; without it, and when standard input is no terminal, that is read");
  command.add_option("--system", arguments->system, "the system message");
  command.add_option("--temperature", arguments->temperature, "0 is greedy")
      .range(0.0, 2.0)
      .show_default();
  command
      .add_option("--top-p", arguments->top_p,
                  "draw from the likeliest tokens that together have this share")
      .range(0.001, 1.0)
      .show_default();
  command
      .add_option("--max-tokens", arguments->max_tokens,
                  "longest answer; 0 means what the context has room for")
      .at_least_zero()
      .show_default();
  command.add_option("--seed", arguments->seed, "draw the same numbers each time")
      .each([arguments](const std::string&) { arguments->seed_given = true; });
}

}  // namespace mill::app
