// The flags of `tokenmill bench` that make a load.
#include "app/load_bench.h"

namespace mill::app {
namespace {

constexpr int64_t kMostTokens = 1 << 24;

void add_shape(Command& command, LoadArguments& a) {
  command
      .add_option("--input", a.input,
                  "tokens of a prompt: N, LOW:HIGH, or lognormal:MEDIAN:SIGMA[:MOST]")
      .show_default();
  command.add_option("--output", a.output, "tokens of an answer, likewise").show_default();
  command.add_option("--shared-prefix", a.shared_prefix, "tokens that all prompts begin with")
      .range(int64_t{0}, kMostTokens);
  command.add_option("--trace", a.trace,
                     "a recorded load to replay: Azure's CSV or Mooncake's JSON lines");
  command.add_option("--speed", a.speed, "how many times as fast the trace's time passes")
      .range(1e-6, 1e6);
  command.add_option("--max-input", a.max_input, "cut a trace's prompts to so many tokens")
      .range(int64_t{0}, kMostTokens);
  command.add_option("--max-output", a.max_output, "cut a trace's answers to so many tokens")
      .range(int64_t{0}, kMostTokens);
  command.add_option("--prompts", a.prompts,
                     "texts to ask (over --http): JSON lines of {\"prompt\", \"output_tokens\"}");
  command.add_option(
      "--seed", a.seed,
      "of lengths, prompts and arrivals; the report names it (0: another every time, "
      "so that no cache knows the prompts)");
  command
      .add_option("--vocabulary", a.vocabulary,
                  "prompts are drawn from ids below this (0: as the target tells, else 32000)")
      .range(int64_t{0}, kMostTokens);
  command.add_flag("--unique-salts", a.unique_salts,
                   "every request as if of another tenant: no cached prefix is used");
  command.add_flag("--stop-at-end", a.stop_at_end,
                   "let answers end by themselves; else they are as long as asked");
  command.add_option("--temperature", a.temperature, "0: greedy").range(0.0, 2.0);
}

void add_pace(Command& command, LoadArguments& a) {
  command
      .add_option("--clients", a.clients,
                  "closed loop: so many, each asks again when answered (a list is a sweep)")
      .delimiter(',')
      .range(1, 100000);
  command
      .add_option("--rate", a.rates,
                  "open loop: so many requests per second, come what may (a list is a sweep)")
      .delimiter(',')
      .range(1e-6, 1e6);
  command.add_option("--arrivals", a.process, "of the open loop: poisson or even")
      .one_of({"poisson", "even"});
  command
      .add_option("--requests", a.requests,
                  "how many (0: 4 for each client, 30 s of the rate, a whole trace)")
      .range(int64_t{0}, int64_t{1} << 24);
  command.add_option("--duration", a.duration, "no request begins later than this (0s: no limit)");
  command.add_option("--warmup", a.warmup, "requests before those that count").range(0, 1 << 20);
  command.add_option("--deadline", a.deadline, "a request that takes longer has failed (0s: none)")
      .show_default();
  command.add_option("--in-flight", a.in_flight, "open loop: at most so many at a time")
      .range(1, 100000);
}

}  // namespace

void add_load_flags(Command& command, LoadArguments& a) {
  command.add_option("--http", a.http,
                     "a server to load instead of the engine: http://host:port, any that speaks "
                     "the OpenAI API");
  command.add_option("--endpoint", a.endpoint, "of it: completions or chat")
      .one_of({"completions", "chat"});
  command
      .add_option("--prompt-as", a.prompt_as,
                  "ids: exact; text: words, for servers that take no token ids")
      .one_of({"ids", "text"});
  command.add_option("--body", a.body, "a JSON object whose members go into every request");
  add_pace(command, a);
  add_shape(command, a);
  command.add_option("--slo-ttft", a.slo_ttft, "a good answer's first token comes within this");
  command.add_option("--slo-tpot", a.slo_tpot, "and its further tokens, on average, within this");
  command.add_option("--slo-itl", a.slo_itl, "and no gap between them is longer than this");
  command.add_option("--watts", a.watts, "what the machine draws, where it can't be measured")
      .range(0.0, 1e6);
  command.add_option("--svg", a.svg, "draw the run, or the sweep, into this file");
  command.add_option("--save", a.save, "write every request into this file, as JSON lines");
}

}  // namespace mill::app
