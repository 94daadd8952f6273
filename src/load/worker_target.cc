#include "load/worker_target.h"

#include <string>
#include <utility>
#include <variant>

namespace mill::load {

Task<Result<Reply>> WorkerTarget::ask(Ask ask, Instant deadline) {
  work::Order order{.id = "load-" + std::to_string(ask.index),
                    .prompt = prompt_ids(ask, options_.ids, options_.seed),
                    .max_tokens = ask.output_tokens,
                    .stop_tokens = options_.stop_tokens,
                    .deadline = deadline,
                    .speculate = options_.speculate};
  order.sampling.temperature = static_cast<float>(options_.temperature);
  order.sampling.seed = options_.seed + static_cast<uint64_t>(ask.index);
  if (options_.unique_salts)
    order.cache_salt = {.high = 1, .low = static_cast<uint64_t>(ask.index)};
  MILL_CO_TRY(work::TokenStream stream, worker_.submit(std::move(order)));
  Reply reply;
  reply.pieces.reserve(static_cast<size_t>(ask.output_tokens));
  for (;;) {
    const std::optional<work::Event> event = co_await stream.next();
    if (!event) co_return fail(Code::kInternal, "the stream ended without its end");
    if (const auto* piece = std::get_if<work::Piece>(&*event)) {
      reply.pieces.push_back(now());
      reply.ids.push_back(piece->token);
      continue;
    }
    const auto& finished = std::get<work::Finished>(*event);
    if (finished.fault) co_return fail(*finished.fault);
    if (finished.reason == work::FinishReason::kDeadline) {
      co_return fail(Code::kDeadline, "the answer was not whole by the deadline");
    }
    if (finished.reason == work::FinishReason::kCancelled) {
      co_return fail(Code::kCancelled, "the answer was given up by the worker");
    }
    reply.ended = now();
    reply.finish_reason = work::name(finished.reason);
    reply.prompt_tokens = finished.usage.prompt_tokens;
    reply.cached_tokens = finished.usage.cached_tokens;
    reply.completion_tokens = finished.usage.completion_tokens;
    reply.accepted_drafts = finished.usage.accepted_drafts;
    co_return reply;
  }
}

}  // namespace mill::load
