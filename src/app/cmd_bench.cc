#include "app/cmd_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <memory>
#include <vector>

#include "app/load_bench.h"
#include "app/open_model.h"
#include "base/clock.h"
#include "base/rng.h"
#include "tensor/arena.h"
#include "tensor/peak.h"

namespace mill::app {
namespace {

constexpr int64_t kDecodeContext = 128;  // tokens that each sequence has before it is timed

struct Figure {
  int64_t batch = 0;  // 0: prefill
  int64_t tokens = 0;
  double tokens_per_second = 0;
  double bytes_per_token = 0;  // weights read, over the tokens of a step
};

// Sequences of random tokens through a decoder.
class Bench {
 public:
  static Result<Bench> make(model::Decoder& decoder, int64_t sequences, int64_t context) {
    Bench bench(decoder);
    const int64_t blocks = (context + tensor::kBlockTokens - 1) / tensor::kBlockTokens;
    MILL_TRY(bench.kv_, tensor::Arena::reserve(decoder.kv_layout().block_bytes() *
                                               static_cast<size_t>(blocks * sequences)));
    for (int64_t s = 0; s < sequences; ++s) {
      std::vector<int32_t> owned;
      for (int64_t b = 0; b < blocks; ++b) owned.push_back(static_cast<int32_t>(s * blocks + b));
      bench.blocks_.push_back(std::move(owned));
    }
    return bench;
  }

  // Seconds to compute `count` tokens of every sequence from `position` on, a step of at most
  // batch_tokens at a time, with the logits of the last token of each (as generation needs them).
  double prefill(int64_t count) {
    const Instant start = now();
    for (const std::vector<int32_t>& blocks : blocks_) {
      for (int64_t position = 0; position < count;) {
        const int64_t step = std::min(count - position, decoder_->limits().batch_tokens);
        const std::vector<TokenId> tokens = random_tokens(step);
        const bool last = position + step == count;
        const model::SequenceSlice slice{.tokens = tokens,
                                         .position = position,
                                         .blocks = blocks,
                                         .logits_from = last ? step - 1 : step};
        decoder_->forward({&slice, 1}, kv_.data());
        position += step;
      }
    }
    return to_seconds(now() - start);
  }

  double decode_step(int64_t position) {
    const std::vector<TokenId> tokens = random_tokens(static_cast<int64_t>(blocks_.size()));
    std::vector<model::SequenceSlice> slices;
    for (size_t s = 0; s < blocks_.size(); ++s) {
      slices.push_back({.tokens = std::span(tokens).subspan(s, 1),
                        .position = position,
                        .blocks = blocks_[s],
                        .logits_from = 0});
    }
    const Instant start = now();
    decoder_->forward(slices, kv_.data());
    return to_seconds(now() - start);
  }

 private:
  explicit Bench(model::Decoder& decoder) : decoder_(&decoder) {}

  std::vector<TokenId> random_tokens(int64_t count) {
    std::vector<TokenId> tokens;
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<TokenId>(uniform_at(1, 0, drawn_++) *
                                            static_cast<double>(decoder_->config().vocabulary)));
    }
    return tokens;
  }

  model::Decoder* decoder_;
  tensor::Arena kv_;
  std::vector<std::vector<int32_t>> blocks_;
  uint64_t drawn_ = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Result<Figure> time_prefill(model::Decoder& decoder, int64_t tokens, int64_t rounds) {
  MILL_TRY(Bench bench, Bench::make(decoder, 1, tokens));
  bench.prefill(std::min<int64_t>(tokens, 64));  // first touch of the pages
  std::vector<double> seconds;
  for (int64_t i = 0; i < rounds; ++i) seconds.push_back(bench.prefill(tokens));
  return Figure{.tokens = tokens,
                .tokens_per_second = static_cast<double>(tokens) / median(seconds)};
}

Result<Figure> time_decode(model::Decoder& decoder, int64_t batch, int64_t steps) {
  MILL_TRY(Bench bench, Bench::make(decoder, batch, kDecodeContext + steps));
  bench.prefill(kDecodeContext);
  std::vector<double> seconds;
  for (int64_t i = 0; i < steps; ++i) seconds.push_back(bench.decode_step(kDecodeContext + i));
  return Figure{
      .batch = batch,
      .tokens = steps,
      .tokens_per_second = static_cast<double>(batch) / median(seconds),
      .bytes_per_token = static_cast<double>(decoder.weight_bytes()) / static_cast<double>(batch)};
}

// This machine's limits.
struct Rates {
  double read_bytes_per_second = 0;
  double int8_macs_per_second = 0;
};

struct Shares {
  double bandwidth = 0;  // of the measured read bandwidth
  double integer = 0;    // of the measured int8 rate
};

// Multiply-adds for one token: every matrix once (the head only for tokens that need logits).
struct Work {
  double layers = 0, head = 0;
};

Work work_of(const model::DecoderConfig& c) {
  const double q = static_cast<double>(c.heads.heads) * c.heads.head_dim;
  const double kv = static_cast<double>(c.heads.kv_heads) * c.heads.head_dim;
  const double dim = static_cast<double>(c.dim);
  return {c.layers * (dim * (2 * q + 2 * kv) + 3 * dim * static_cast<double>(c.ffn_dim)),
          dim * static_cast<double>(c.vocabulary)};
}

Shares shares_of(const Figure& figure, const Work& work, const Rates& rates) {
  const double macs =
      work.layers + (figure.batch ? work.head : work.head / static_cast<double>(figure.tokens));
  return {rates.read_bytes_per_second > 0
              ? figure.tokens_per_second * figure.bytes_per_token / rates.read_bytes_per_second
              : 0,
          figure.tokens_per_second * macs / rates.int8_macs_per_second};
}

struct Arguments {
  std::string model;
  int64_t prompt = 512;
  int64_t gen = 64;
  int64_t rounds = 3;
  std::vector<int64_t> batch = {1, 8, 32};
  LoadArguments load;
};

struct Report {
  std::string model, backend;
  int threads = 0;
  Work work;
  Rates rates;
  std::vector<Figure> figures;
};

void print_json(const Report& report) {
  boost::json::array prefill, decode;
  for (const Figure& figure : report.figures) {
    const Shares shares = shares_of(figure, report.work, report.rates);
    boost::json::object row{{"tokens_per_second", figure.tokens_per_second},
                            {"integer_peak_share", shares.integer}};
    if (figure.batch == 0) {
      row["tokens"] = figure.tokens;
      prefill.push_back(std::move(row));
    } else {
      row["batch"] = figure.batch;
      row["context"] = kDecodeContext;
      row["bandwidth_share"] = shares.bandwidth;
      decode.push_back(std::move(row));
    }
  }
  const boost::json::object all{{"model", report.model},
                                {"backend", report.backend},
                                {"threads", report.threads},
                                {"read_bytes_per_second", report.rates.read_bytes_per_second},
                                {"int8_macs_per_second", report.rates.int8_macs_per_second},
                                {"prefill", prefill},
                                {"decode", decode}};
  fmt::print("{}\n", boost::json::serialize(all));
}

void print_table(const Report& report) {
  fmt::print(
      "{} on {} threads, {} path; this machine reads {:.1f} GB/s and does {:.0f} G int8 "
      "multiply-adds/s\n",
      report.model, report.threads, report.backend, report.rates.read_bytes_per_second / 1e9,
      report.rates.int8_macs_per_second / 1e9);
  fmt::print("{:<24} {:>12} {:>16} {:>16}\n", "", "tokens/s", "of bandwidth", "of int8 peak");
  for (const Figure& figure : report.figures) {
    const Shares shares = shares_of(figure, report.work, report.rates);
    const std::string what = figure.batch ? fmt::format("decode, batch {}", figure.batch)
                                          : fmt::format("prefill {}", figure.tokens);
    const std::string bandwidth =
        figure.batch ? fmt::format("{:.0f} %", shares.bandwidth * 100) : "";
    fmt::print("{:<24} {:>12.1f} {:>16} {:>14.0f} %\n", what, figure.tokens_per_second, bandwidth,
               shares.integer * 100);
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
                .work = work_of(decoder->config()),
                .rates = {tensor::measure_read_bytes_per_second(*mill.pool).value_or(0),
                          tensor::measure_int8_macs_per_second(*mill.pool)}};
  if (arguments.prompt > 0) {
    MILL_TRY(const Figure figure, time_prefill(*decoder, arguments.prompt, arguments.rounds));
    report.figures.push_back(figure);
  }
  for (const int64_t batch : arguments.batch) {
    if (arguments.gen == 0) break;
    MILL_TRY(const Figure figure, time_decode(*decoder, batch, arguments.gen));
    report.figures.push_back(figure);
  }
  settings.on("json") ? print_json(report) : print_table(report);
  return {};
}

}  // namespace

void add_bench_command(CommandLine& line) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& command = line.add(
      nullptr, "bench",
      "Measure how fast this machine mills a model; with --clients, --rate, --trace or "
      "--http, how it bears a load",
      kBench, [arguments](const Settings& settings) { return bench(*arguments, settings); });
  command.add_option(
      "model,--model", arguments->model,
      "a catalogue name or a path to a .gguf file; over --http, the server's name of "
      "it (none: the first that it lists)");
  command.add_option("--prompt", arguments->prompt, "tokens of the prompt that is timed (0: none)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command.add_option("--gen", arguments->gen, "steps that are timed per batch (0: none)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command.add_option("--batch", arguments->batch, "numbers of sequences decoded together")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      .add_option("--rounds", arguments->rounds, "how often the prompt is timed; the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_load_flags(command, arguments->load);
}

}  // namespace mill::app
