#include "app/chat_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "gateway/prompt.h"
#include "text/detokenizer.h"

namespace mill::app {
namespace {

constexpr auto kGlance =
    std::chrono::milliseconds(50);  // how often a waiting reader looks for Ctrl-C

boost::json::object message(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

}  // namespace

std::string describe(const ChatStats& stats) {
  return fmt::format("prompt {}, answer {} tokens, first after {:.2f} s, {:.1f} tokens/s{}",
                     stats.prompt_tokens, stats.output_tokens, stats.first_token_seconds,
                     stats.tokens_per_second, stats.interrupted ? ", stopped" : "");
}

ChatSession::ChatSession(MountedModel& model, ChatOptions options,
                         const std::atomic<bool>& interrupted)
    : model_(model), options_(std::move(options)), interrupted_(interrupted) {
  reset();
}

void ChatSession::set_system(std::string text) {
  options_.system = std::move(text);
  reset();
}

void ChatSession::reset() {
  messages_.clear();
  if (!options_.system.empty()) messages_.push_back(message("system", options_.system));
}

Result<std::vector<TokenId>> ChatSession::prompt_of(const boost::json::array& messages,
                                                    const std::string& words) const {
  const gateway::ServedModel& served = model_.served();
  if (!served.chat_template) return gateway::text_prompt(served, words, false).ids;
  MILL_TRY(gateway::Prompt prompt,
           gateway::render_prompt(served, {{"messages", messages}}, unix_seconds()));
  return std::move(prompt.ids);
}

Result<ChatStats> ChatSession::say(const std::string& words, std::FILE* out) {
  boost::json::array messages = messages_;
  messages.push_back(message("user", words));
  MILL_TRY(std::vector<TokenId> prompt, prompt_of(messages, words));
  const gateway::ServedModel& served = model_.served();
  const auto length = static_cast<int64_t>(prompt.size());
  if (length >= served.context_tokens) {
    return fail(
        Code::kTooLarge,
        fmt::format("the conversation has {} tokens and the context is {}: /reset begins a new one",
                    length, served.context_tokens));
  }
  work::Order order{.id = fmt::format("run-{}", answers_),
                    .prompt = std::move(prompt),
                    .sampling = options_.sampling};
  const int64_t room = served.context_tokens - length;
  order.max_tokens = static_cast<int32_t>(
      options_.max_tokens > 0 ? std::min<int64_t>(room, options_.max_tokens) : room);
  const auto ends = served.tokenizer->ends_of_generation();
  order.stop_tokens.assign(ends.begin(), ends.end());
  order.sampling.choice = static_cast<uint32_t>(answers_++);

  const Instant start = now();
  Instant first = start;
  MILL_TRY(work::TokenStream stream, served.worker->submit(std::move(order)));
  text::Detokenizer detokenizer(*served.tokenizer);
  std::string answer;
  const auto show = [&](const std::string& text) {
    answer += text;
    std::fwrite(text.data(), 1, text.size(), out);
    std::fflush(out);
  };
  bool seen_first = false;
  for (;;) {
    if (interrupted_) stream.cancel();
    const std::optional<work::Event> event = stream.next_blocking(now() + kGlance);
    if (!event) continue;
    if (const auto* piece = std::get_if<work::Piece>(&*event)) {
      if (!std::exchange(seen_first, true)) first = now();
      show(detokenizer.push(piece->token));
      continue;
    }
    const auto& finished = std::get<work::Finished>(*event);
    show(detokenizer.finish());
    if (finished.fault) return fail(*finished.fault);
    messages.push_back(message("assistant", answer));
    messages_ = std::move(messages);
    ChatStats stats{.prompt_tokens = finished.usage.prompt_tokens,
                    .output_tokens = finished.usage.completion_tokens,
                    .interrupted = finished.reason == work::FinishReason::kCancelled};
    stats.first_token_seconds = to_seconds((seen_first ? first : now()) - start);
    const double rest = to_seconds(now() - first);
    if (seen_first && rest > 0)
      stats.tokens_per_second = static_cast<double>(stats.output_tokens - 1) / rest;
    return stats;
  }
}

}  // namespace mill::app
