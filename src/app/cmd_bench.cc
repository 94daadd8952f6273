#include "app/cmd_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "app/load_bench.h"
#include "app/model_bench.h"
#include "app/open_model.h"
#include "tensor/peak.h"

namespace mill::app {
namespace {

// This machine's limits.
struct Rates {
  double read_bytes_per_second = 0;
  double int8_macs_per_second = 0;
  double prompt_macs_per_second = 0;  // of the kind that prompts go by
};

struct Shares {
  double bandwidth = 0;  // of the measured read bandwidth
  double products = 0;   // of the measured rate of multiply-adds, of answers' or of prompts'
};

Shares shares_of(const Figure& figure, const Rates& rates) {
  const double macs = figure.batch == 0 ? rates.prompt_macs_per_second : rates.int8_macs_per_second;
  return {rates.read_bytes_per_second > 0
              ? figure.tokens_per_second * figure.bytes_per_token / rates.read_bytes_per_second
              : 0,
          figure.tokens_per_second * figure.macs_per_token / macs};
}

struct Arguments {
  std::string model;
  int64_t prompt = 512;
  int64_t gen = 64;
  int64_t context = 128;
  int64_t rounds = 3;
  bool profile = false;
  std::vector<int64_t> batch = {1, 8, 32};
  LoadArguments load;
};

struct Report {
  std::string model, backend;
  int threads = 0;
  Rates rates;
  std::vector<Figure> figures;
};

// The parts of a profile, with their seconds; those that took none are left out.
std::vector<std::pair<std::string_view, double>> parts_of(const Profile& profile) {
  std::vector<std::pair<std::string_view, double>> parts;
  for (size_t i = 0; i < model::kStationNames.size(); ++i) {
    const double seconds = profile.stations.seconds(static_cast<model::Station>(i));
    if (seconds > 0) parts.emplace_back(model::kStationNames[i], seconds);
  }
  if (profile.sampling > 0) parts.emplace_back("sampling", profile.sampling);
  return parts;
}

boost::json::object json_of(const Figure& figure, const Rates& rates) {
  const Shares shares = shares_of(figure, rates);
  boost::json::object row{{"tokens_per_second", figure.tokens_per_second},
                          {"peak_share", shares.products},
                          {"bandwidth_share", shares.bandwidth}};
  if (figure.batch == 0) {
    row["tokens"] = figure.tokens;
  } else {
    row["batch"] = figure.batch;
    row["context"] = figure.context;
    row["steps"] = figure.tokens;
  }
  if (figure.profile) {
    boost::json::object& seconds = row["profile_seconds"].emplace_object();
    for (const auto& [name, took] : parts_of(*figure.profile)) seconds[name] = took;
  }
  return row;
}

void print_json(const Report& report) {
  boost::json::array prefill, decode;
  for (const Figure& figure : report.figures) {
    (figure.batch == 0 ? prefill : decode).push_back(json_of(figure, report.rates));
  }
  const boost::json::object all{{"model", report.model},
                                {"backend", report.backend},
                                {"threads", report.threads},
                                {"read_bytes_per_second", report.rates.read_bytes_per_second},
                                {"int8_macs_per_second", report.rates.int8_macs_per_second},
                                {"prompt_macs_per_second", report.rates.prompt_macs_per_second},
                                {"prefill", prefill},
                                {"decode", decode}};
  fmt::print("{}\n", boost::json::serialize(all));
}

std::string name_of(const Figure& figure) {
  return figure.batch ? fmt::format("decode, batch {}", figure.batch)
                      : fmt::format("prefill {}", figure.tokens);
}

void print_profile(const Figure& figure) {
  double whole = figure.profile->sampling + figure.profile->stations.seconds();
  fmt::print("\n{}: where the time went\n", name_of(figure));
  for (const auto& [name, seconds] : parts_of(*figure.profile)) {
    fmt::print("  {:<22} {:>5.1f} %\n", name, 100 * seconds / whole);
  }
}

void print_table(const Report& report) {
  fmt::print(
      "{} on {} threads, {} path; this machine reads {:.1f} GB/s and does {:.0f} G int8 "
      "multiply-adds/s{}\n",
      report.model, report.threads, report.backend, report.rates.read_bytes_per_second / 1e9,
      report.rates.int8_macs_per_second / 1e9,
      report.backend == "amx"
          ? fmt::format(", {:.0f} G of bf16", report.rates.prompt_macs_per_second / 1e9)
          : "");
  fmt::print("{:<24} {:>12} {:>16} {:>16}\n", "", "tokens/s", "of bandwidth", "of their peak");
  for (const Figure& figure : report.figures) {
    const Shares shares = shares_of(figure, report.rates);
    fmt::print("{:<24} {:>12.1f} {:>14.0f} % {:>14.0f} %\n", name_of(figure),
               figure.tokens_per_second, shares.bandwidth * 100, shares.products * 100);
  }
  for (const Figure& figure : report.figures) {
    if (figure.profile) print_profile(figure);
  }
}

Status bench(const Arguments& arguments, const Settings& settings) {
  if (arguments.load.any()) return bench_load(arguments.load, arguments.model, settings);
  if (arguments.model.empty()) return fail(Code::kInvalid, "name the model to measure", "model");
  MILL_TRY(const ModelFile model, open_model_file(arguments.model, settings));
  MILL_TRY(const Mill mill, make_mill(settings));
  const int64_t widest = arguments.batch.empty()
                             ? 1
                             : *std::max_element(arguments.batch.begin(), arguments.batch.end());
  const model::DecoderLimits limits{.batch_tokens = std::max<int64_t>(512, widest),
                                    .logit_rows = std::max<int64_t>(64, widest)};
  MILL_TRY(const std::unique_ptr<model::Decoder> decoder, load_decoder(model, mill, limits));
  Report report{.model = model.id,
                .backend = std::string(mill.backend->name()),
                .threads = mill.pool->size(),
                .rates = {tensor::measure_read_bytes_per_second(*mill.pool).value_or(0),
                          tensor::measure_int8_macs_per_second(*mill.pool),
                          tensor::measure_prompt_macs_per_second(*mill.pool, mill.backend->name())}};
  ModelBench measure(*decoder, *mill.pool, arguments.profile);
  if (arguments.prompt > 0) {
    MILL_TRY(Figure figure, measure.prefill(arguments.prompt, arguments.rounds));
    report.figures.push_back(std::move(figure));
  }
  for (const int64_t batch : arguments.batch) {
    if (arguments.gen == 0) break;
    MILL_TRY(
        Figure figure,
        measure.decode({.batch = batch, .context = arguments.context, .steps = arguments.gen}));
    report.figures.push_back(std::move(figure));
  }
  settings.on("json") ? print_json(report) : print_table(report);
  return {};
}

}  // namespace

void add_bench_command(CommandLine& line) {
  const auto arguments = std::make_shared<Arguments>();
  Command& command = line.add(
      nullptr, "bench",
      "Measure how fast this machine mills a model; with --clients, --rate, --trace or "
      "--http, how it bears a load",
      kBench, [arguments](const Settings& settings) { return bench(*arguments, settings); });
  command.add_option(
      "model,--model", arguments->model,
      "a catalogue name or a path to a .gguf file; over --http, the server's name of "
      "it (none: the first that it lists)");
  command.add_option("--prompt", arguments->prompt, "tokens of the prompt that is timed (0: none)")
      .range(0, 1 << 20)
      .show_default();
  command.add_option("--gen", arguments->gen, "steps that are timed per batch (0: none)")
      .range(0, 1 << 20)
      .show_default();
  command
      .add_option("--context", arguments->context,
                  "tokens that each sequence has before its steps are timed")
      .range(1, 1 << 20)
      .show_default();
  command.add_flag("--profile", arguments->profile,
                   "say where the time went: at which stations of the decoder, or waiting");
  command.add_option("--batch", arguments->batch, "numbers of sequences decoded together")
      .delimiter(',')
      .range(1, 1024)
      .show_default();
  command
      .add_option("--rounds", arguments->rounds, "how often the prompt is timed; the median counts")
      .range(1, 1000)
      .show_default();
  add_load_flags(command, arguments->load);
}

}  // namespace mill::app
