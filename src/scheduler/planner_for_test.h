// For tests of the planner: short ways to say what happens.
#pragma once

#include <chrono>
#include <numeric>
#include <vector>

#include "scheduler/step_planner.h"

namespace mill::scheduler {

inline constexpr Instant kStart{};

inline std::vector<TokenId> prompt_of(int64_t tokens) {
  std::vector<TokenId> prompt(static_cast<size_t>(tokens));
  std::iota(prompt.begin(), prompt.end(), 0);
  return prompt;
}

// A sequence that begins like no other.
inline SequenceId add(StepPlanner& planner, int64_t prompt, int64_t max_tokens,
                      bool score = false) {
  static TokenId next = 1000;
  std::vector<TokenId> tokens = prompt_of(prompt);
  tokens[0] = next++;
  return planner
      .add({.prompt = std::move(tokens), .max_tokens = max_tokens, .score_prompt = score}, kStart)
      .value();
}

// Commits, and gives a token to everybody who is due one.
inline void play(StepPlanner& planner) {
  planner.commit();
  const std::vector<SequenceId> running(planner.running().begin(), planner.running().end());
  for (const SequenceId id : running) {
    const Sequence& s = planner.sequence(id);
    if (s.generates && s.computed == s.goal()) planner.accept(id, 1);
  }
}

// A machine on which a step takes 1 ms and 100 us per token.
inline Duration teacher(int64_t tokens) {
  return std::chrono::microseconds(1000 + 100 * tokens);
}

inline void teach(StepPlanner& planner) {
  for (int i = 0; i < 30; ++i) {
    const SequenceId id = add(planner, 20 + 13 * (i % 7), 3);
    for (int step = 0; step < 3; ++step) {
      const int64_t tokens = planner.plan(kStart).tokens;
      play(planner);
      planner.measured(teacher(tokens));
    }
    planner.finish(id);
  }
}

inline const Slice* slice_of(const StepPlan& plan, SequenceId id) {
  for (const Slice& slice : plan.slices) {
    if (slice.sequence == id) return &slice;
  }
  return nullptr;
}

}  // namespace mill::scheduler
