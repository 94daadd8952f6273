// For tests: the toy model in a batch of its own, orders of all kinds for it, and a drafter that
// knows the answer and is wrong where it is told to.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/toy_forward.h"
#include "engine/trial.h"

namespace mill::engine {

struct ToyMill : Trial {
  explicit ToyMill(scheduler::PlannerLimits limits = {}, ToyForward::Options toy = {},
                   DrafterFactory drafters = {})
      : Trial(std::make_shared<ToyForward>(std::move(toy)), with_blocks(limits),
              std::move(drafters)) {}

  static scheduler::PlannerLimits with_blocks(scheduler::PlannerLimits limits) {
    if (limits.blocks == 0) limits.blocks = 200;
    return limits;
  }
};

// Greedy and sampled, with and without filters, penalties and scored prompts.
inline work::Order mixed(uint64_t i) {
  work::Order order{.prompt = prompt_of(5 + static_cast<int64_t>(i * 37 % 90), i),
                    .sampling = {.temperature = i % 3 == 0 ? 0.0F : 1.1F,
                                 .top_p = i % 4 == 0 ? 0.9F : 1.0F,
                                 .top_k = i % 5 == 0 ? 10 : 0,
                                 .repetition_penalty = i % 7 == 0 ? 1.3F : 1.0F,
                                 .presence_penalty = i % 2 == 0 ? 0.5F : 0.0F,
                                 .frequency_penalty = i % 2 == 0 ? 0.2F : 0.0F,
                                 .seed = i,
                                 .choice = static_cast<uint32_t>(i % 2)},
                    .max_tokens = 60 + static_cast<int32_t>(i * 53 % 200)};
  if (i % 6 == 0) {
    order.score_prompt = true;
    order.sampling.top_logprobs = 2;
  }
  return order;
}

constexpr uint64_t kWildKinds = 66;
constexpr TokenId kPoison = 39;  // see ToyOptions

// Beginnings of two families, some of them poisoned, for three tenants; kWildKinds of them.
inline work::Order wild(uint64_t kind) {
  work::Order order = mixed(kind);
  const Tokens family = prompt_of(120, 1000 + kind % 2);
  order.prompt.insert(order.prompt.begin(), family.begin(),
                      family.begin() + static_cast<int64_t>(kind * 29 % 120));
  std::replace(order.prompt.begin(), order.prompt.end(), kPoison, 0);
  if (kind % 33 == 10) order.prompt[order.prompt.size() / 2] = kPoison;
  order.max_tokens = 20 + static_cast<int32_t>(kind * 31 % 60);
  order.cache_salt = {kind % 3, 0};
  order.priority = static_cast<int32_t>(kind % 5) - 2;
  return order;
}

// The answers by heart: prompts with what follows them, and how often a guess is right.
struct Crib {
  std::vector<std::pair<Tokens, Tokens>> known;  // prompt, answer
  std::function<TokenId(TokenId truth, size_t place)> say = [](TokenId truth, size_t) {
    return truth;
  };
  int64_t computed = 0, right = 0;  // what the drafters were told

  DrafterFactory drafters();
};

class CribDrafter final : public Drafter {
 public:
  explicit CribDrafter(Crib& crib) : crib_(crib) {}

  void propose(std::span<const TokenId> tokens, int64_t most,
               std::vector<TokenId>& draft) override {
    draft.clear();
    for (const auto& [prompt, answer] : crib_.known) {
      if (!starts_with(tokens, prompt)) continue;
      const auto answered = tokens.subspan(prompt.size());
      if (!starts_with(answer, answered)) continue;
      for (size_t i = answered.size(); i < answer.size() && std::ssize(draft) < most; ++i) {
        draft.push_back(crib_.say(answer[i], i));
      }
      return;
    }
  }
  void learn(int64_t computed, int64_t accepted) override {
    crib_.computed += computed;
    crib_.right += accepted;
  }

 private:
  static bool starts_with(std::span<const TokenId> tokens, std::span<const TokenId> start) {
    return tokens.size() >= start.size() && std::equal(start.begin(), start.end(), tokens.begin());
  }

  Crib& crib_;
};

inline DrafterFactory Crib::drafters() {
  return [this] { return std::make_unique<CribDrafter>(*this); };
}

}  // namespace mill::engine
