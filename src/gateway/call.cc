#include "gateway/call.h"

#include <algorithm>

namespace mill::gateway {

int32_t Call::room(const Prompt& prompt) const {
  const int32_t left = context_tokens - static_cast<int32_t>(prompt.ids.size());
  const int32_t most = most_output > 0 ? std::min(left, most_output) : left;
  return max_tokens.value_or(most);
}

int64_t Call::prompt_tokens() const {
  int64_t sum = 0;
  for (const Prompt& prompt : prompts) sum += static_cast<int64_t>(prompt.ids.size());
  return sum;
}

int64_t Call::output_tokens() const {
  int64_t sum = 0;
  for (const Prompt& prompt : prompts) sum += int64_t{room(prompt)} * choices;
  return sum;
}

std::vector<work::Order> orders_of(const Call& call, const Terms& terms) {
  std::vector<work::Order> orders;
  const auto ends = call.model->tokenizer->ends_of_generation();
  for (const Prompt& prompt : call.prompts) {
    for (int32_t choice = 0; choice < call.choices; ++choice) {
      work::Order order;
      order.id = call.answers() == 1 ? terms.id : terms.id + "-" + std::to_string(orders.size());
      order.prompt = prompt.ids;
      order.sampling = call.sampling;
      order.sampling.choice = static_cast<uint32_t>(choice);
      order.max_tokens = call.room(prompt);
      if (!call.ignore_end) order.stop_tokens.assign(ends.begin(), ends.end());
      order.score_prompt = call.echo && call.sampling.top_logprobs.has_value();
      order.deadline = terms.deadline;
      order.priority = call.priority;
      order.cache_salt = call.salt;
      order.speculate = call.speculate;
      orders.push_back(std::move(order));
    }
  }
  return orders;
}

}  // namespace mill::gateway
