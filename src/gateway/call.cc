#include "gateway/call.h"

namespace mill::gateway {

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
      const auto room = call.model->context_tokens - static_cast<int32_t>(prompt.ids.size());
      order.max_tokens = call.max_tokens.value_or(room);
      if (!call.ignore_end) order.stop_tokens.assign(ends.begin(), ends.end());
      order.score_prompt = call.echo && call.sampling.top_logprobs.has_value();
      order.deadline = terms.deadline;
      order.priority = call.priority;
      order.cache_salt = terms.cache_salt;
      order.speculate = call.speculate;
      orders.push_back(std::move(order));
    }
  }
  return orders;
}

}  // namespace mill::gateway
