#include "app/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/log.h"

namespace mill::app {
namespace {

std::string_view type_word(Kind kind) {
  switch (kind) {
    case Kind::kInteger:
      return "N";
    case Kind::kReal:
      return "X";
    case Kind::kBytes:
      return "SIZE";
    case Kind::kDuration:
      return "TIME";
    case Kind::kPath:
      return "PATH";
    case Kind::kChoice:
      return "WORD";
    case Kind::kIntegers:
      return "N,…";
    default:
      return "TEXT";
  }
}

// A default as --help shows it: the folders by their usual names rather than by this user's.
std::string shown_default(const Setting& setting) {
  if (setting.fallback.empty()) return "none";
  const Environment usual{{"HOME", "~"}};
  return setting.kind == Kind::kPath ? expand_path(setting.fallback, usual)
                                     : std::string(setting.fallback);
}

std::string help_of(const Setting& setting) {
  std::string choices;
  if (setting.kind == Kind::kChoice) choices = fmt::format(": {}", setting.choices);
  return fmt::format("{}{} (default {}; ${})", setting.help, choices, shown_default(setting),
                     environment_name(setting));
}

LogLevel level_of(std::string_view word) {
  if (word == "debug") return LogLevel::kDebug;
  if (word == "warn") return LogLevel::kWarn;
  return word == "error" ? LogLevel::kError : LogLevel::kInfo;
}

}  // namespace

void print_error(const Error& error) {
  std::fprintf(stderr, "tokenmill: %s\n", error.message.c_str());
}

CommandLine::CommandLine(const std::string& version)
    : root_(std::make_unique<CLI::App>(
          "Serves language models on this machine through the OpenAI API.\n"
          "Every flag can also be set in a YAML file (--config) and by the environment variable "
          "that its\n"
          "help names; a flag wins over the file, the file over the environment.",
          "tokenmill")) {
  root_->set_version_flag("--version", version);
  root_->require_subcommand(0, 1);
  given_.environment = system_environment();
}

CommandLine::~CommandLine() = default;

Command& CommandLine::add(Command* parent, const std::string& name, const std::string& help,
                          uint32_t commands, Action action) {
  CLI::App& command = *(parent == nullptr ? *root_ : parent->app_).add_subcommand(name, help);
  Command& added = all_.emplace_back(command);
  if (!action) {
    command.require_subcommand(1);
    return added;
  }
  command
      .add_option(
          "--config",
          [this](const CLI::results_t& given) {
            given_.config_file = given.back();
            return true;
          },
          "the YAML file of settings (default ~/.config/tokenmill/config.yaml; $TOKENMILL_CONFIG)")
      ->type_name("PATH");
  for (const Setting& setting : settings_table()) {
    if ((setting.commands & commands) != 0) add_flag(command, setting);
  }
  command.callback([this, &command, action = std::move(action)] {
    chosen_ = action;
    chosen_command_ = &command;
  });
  if (parent == nullptr) commands_.push_back(&command);
  return added;
}

void CommandLine::add_flag(CLI::App& command, const Setting& setting) {
  const std::string name(setting.name);
  const auto keep = [this, name](const CLI::results_t& given) {
    given_.flags[name] = given;
    return true;
  };
  if (setting.kind == Kind::kSwitch) {
    const std::string help = help_of(setting);
    command.add_flag("--" + name, help)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
        ->each([this, name](const std::string& given) { given_.flags[name] = {given}; });
    return;
  }
  command.add_option("--" + name, keep, help_of(setting))
      ->type_name(std::string(type_word(setting.kind)))
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void CommandLine::find_own_flags() {
  for (CLI::App* command : commands_) {
    for (CLI::Option* option : command->get_options()) {
      if (option->get_lnames().empty()) continue;  // a positional argument
      const std::string& name = option->get_lnames().front();
      if (name == "help" || name == "config" || find_setting(name) != nullptr) continue;
      own_flags_.push_back({command, option, name, option->get_required()});
      option->required(false);
      const std::string needed = own_flags_.back().required ? " (needed;" : " (";
      option->description(fmt::format("{}{} ${})", option->get_description(), needed,
                                      environment_name(command->get_name(), name)));
      given_.own[command->get_name()].push_back(name);
    }
  }
}

Status CommandLine::apply_own_values(const Settings& settings) {
  for (const OwnFlag& flag : own_flags_) {
    if (flag.command != chosen_command_ || flag.option->count() > 0) continue;
    for (const OwnValue& value : settings.own_values()) {
      if (value.command != flag.command->get_name() || value.flag != flag.name) continue;
      try {
        for (const std::string& text : value.texts) flag.option->add_result(text);
        flag.option->run_callback();
      } catch (const CLI::Error& wrong) {
        return fail(Code::kInvalid, fmt::format("{}: {} of {}: {}", value.origin.where, flag.name,
                                                value.command, wrong.what()));
      }
    }
    if (flag.required && flag.option->count() == 0) {
      return fail(Code::kInvalid, fmt::format("--{} is needed", flag.name));
    }
  }
  return {};
}

int CommandLine::run(int argc, const char* const* argv) {
  find_own_flags();
  try {
    root_->parse(argc, argv);
  } catch (const CLI::ParseError& end) {
    if (end.get_exit_code() == 0) return root_->exit(end);
    std::fprintf(stderr, "tokenmill: %s (tokenmill --help tells what there is)\n", end.what());
    return kUsageExit;
  }
  if (!chosen_) {
    std::fputs(root_->help().c_str(), stdout);
    return finish({});
  }
  const Result<Settings> settings = Settings::resolve(given_);
  if (!settings) {
    print_error(settings.error());
    return kUsageExit;
  }
  if (const Status applied = apply_own_values(*settings); !applied) {
    print_error(applied.error());
    return kUsageExit;
  }
  set_log_level(level_of(settings->text("log-level")));
  return finish(chosen_(*settings));
}

int CommandLine::finish(const Status& outcome) const {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fprintf(stderr, "tokenmill: cannot write to standard output: %s\n", std::strerror(errno));
    return kFailExit;
  }
  if (outcome) return 0;
  print_error(outcome.error());
  return outcome.error().code == Code::kInvalid ? kUsageExit : kFailExit;
}

}  // namespace mill::app
