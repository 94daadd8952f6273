// What the planner costs: nanoseconds per sequence and step (plan, commit, accept, and the next
// answer in the place of one that ended), medians over rounds.
//
//   mill_planner_bench [--sequences 1024] [--steps 400] [--rounds 9]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "scheduler/step_planner.h"

namespace mill::scheduler {
namespace {

struct Options {
  int32_t sequences = 1024;
  int64_t steps = 400;
  int rounds = 9;
};

Options options_of(int count, char** words) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < count; i += 2) given[words[i]] = words[i + 1];
  Options made;
  if (given.contains("--sequences")) made.sequences = std::stoi(given["--sequences"]);
  if (given.contains("--steps")) made.steps = std::stoll(given["--steps"]);
  if (given.contains("--rounds")) made.rounds = std::stoi(given["--rounds"]);
  return made;
}

// A mill at full load: as many answers as run, each replaced by another when it ends.
struct Load {
  const char* name;
  int64_t prompt;       // tokens
  int64_t shared;       // of them, the same in all prompts
  int64_t answer;       // tokens
  int64_t drafts = 0;   // of every sequence in every step, half of them right
  double memory = 1.2;  // blocks, in parts of what all answers need at their longest
};

class Plant {
 public:
  Plant(const Options& options, const Load& load) : load_(load), planner_(limits(options, load)) {
    for (int32_t i = 0; i < options.sequences; ++i) arrive();
    for (int64_t i = 0; i < load.prompt + load.answer; ++i) step();  // until it is steady
  }

  // How many sequences were in it.
  int64_t step() {
    now_ += std::chrono::milliseconds(10);
    if (load_.drafts > 0) guess();
    const StepPlan& plan = planner_.plan(now_);
    slices_ = plan.slices;
    planner_.commit();
    planner_.measured(std::chrono::microseconds(1000 + 50 * plan.tokens));
    for (const Slice& slice : slices_) draw(slice);
    return static_cast<int64_t>(slices_.size());
  }

  const StepPlanner& planner() const { return planner_; }

 private:
  static PlannerLimits limits(const Options& options, const Load& load) {
    const int64_t longest = (load.prompt + load.answer) / 32 + 1;
    return {.blocks = static_cast<int32_t>(static_cast<double>(longest * options.sequences) *
                                           load.memory),
            .max_running = options.sequences,
            .max_waiting = options.sequences,
            .step_tokens = options.sequences * static_cast<int32_t>(2 + load.drafts),
            .prefill_tokens = options.sequences,
            .logit_rows = options.sequences * static_cast<int32_t>(1 + load.drafts)};
  }

  void arrive() {
    std::vector<TokenId> prompt(static_cast<size_t>(load_.prompt));
    for (int64_t p = 0; p < load_.prompt; ++p) {
      prompt[static_cast<size_t>(p)] = static_cast<TokenId>(p < load_.shared ? p : ++next_);
    }
    // Of different length, so that they don't all end in one step.
    const int64_t answer = load_.answer / 2 + (next_ * 7919) % (load_.answer / 2);
    first_ = planner_.add({.prompt = std::move(prompt), .max_tokens = answer}, now_).value();
    const auto place = static_cast<size_t>(first_);
    if (place >= left_.size()) left_.resize(place + 1);
    left_[place] = answer;
  }

  void guess() {
    const std::vector<TokenId> drafts(static_cast<size_t>(load_.drafts), 5);
    for (const SequenceId id : planner_.running()) {
      if (planner_.may_draft(id)) planner_.draft(id, drafts);
    }
  }

  void draw(const Slice& slice) {
    const Sequence& s = planner_.sequence(slice.sequence);
    if (s.computed < s.goal()) return;
    int64_t& left = left_[static_cast<size_t>(slice.sequence)];
    for (int64_t row = 0; row <= slice.drafts; ++row) {
      if (--left == 0) {
        planner_.finish(slice.sequence);
        arrive();
        return;
      }
      if (!planner_.accept(slice.sequence, row < load_.drafts / 2 ? 5 : 6)) return;
    }
  }

  const Load load_;
  StepPlanner planner_;
  std::vector<int64_t> left_;  // by SequenceId
  std::vector<Slice> slices_;
  Instant now_{};
  SequenceId first_ = 0;
  int64_t next_ = 1000000;
};

void measure(const Options& options, const Load& load) {
  Plant plant(options, load);
  std::vector<double> rounds;
  for (int round = 0; round < options.rounds; ++round) {
    int64_t sequences = 0;
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < options.steps; ++i) sequences += plant.step();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    rounds.push_back(took.count() / static_cast<double>(sequences));
  }
  std::sort(rounds.begin(), rounds.end());
  const StepPlanner::Totals& totals = plant.planner().totals();
  fmt::print("{:<34} {:>6.0f} ns  (slowest round {:.0f}; {} preemptions, {} tokens cached)\n",
             load.name, rounds[rounds.size() / 2], rounds.back(), totals.preemptions,
             totals.cached_tokens);
}

}  // namespace

int run(int count, char** words) {
  const Options options = options_of(count, words);
  fmt::print("{} sequences, per sequence and step:\n", options.sequences);
  for (const Load& load : {Load{"prompts of 128, answers of 200", 128, 0, 200},
                           Load{"the same, 4 drafts each", 128, 0, 200, 4},
                           Load{"2,000 shared of 2,128", 2128, 2000, 200},
                           Load{"too few blocks: some wait", 128, 0, 200, 0, 0.4},
                           Load{"prompts of 16, answers of 8", 16, 0, 8}}) {
    measure(options, load);
  }
  return 0;
}

}  // namespace mill::scheduler

int main(int count, char** words) {
  return mill::scheduler::run(count, words);
}
