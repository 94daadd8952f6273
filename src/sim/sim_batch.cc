#include "sim/sim_batch.h"

#include <algorithm>
#include <csignal>
#include <limits>
#include <string>

#include "base/check.h"
#include "base/log.h"
#include "sim/tokens.h"
#include "work/busy_time.h"

namespace mill::sim {
namespace {

using work::FinishReason;
using Kind = Faults::Kind;

int64_t blocks_for(int64_t tokens) {
  return (tokens + kBlockTokens - 1) / kBlockTokens;
}

}  // namespace

Prepared::Prepared(work::Order of, bool prefix_cache)
    : order(std::move(of)),
      prompt_tokens(static_cast<int64_t>(order.prompt.size())),
      digest(sim::digest(order.prompt)) {
  if (prefix_cache) blocks = block_names(order.prompt, order.cache_salt);
  if (!order.score_prompt) order.prompt = {};  // that was all that it is needed for
}

SimBatch::SimBatch(const Profile& profile, const BatchLimits& limits, std::vector<TokenId> alphabet)
    : profile_(profile),
      limits_(limits),
      alphabet_(std::move(alphabet)),
      prefixes_(limits.max_running * blocks_for(profile.context)) {
  MILL_CHECK(!alphabet_.empty() && limits.max_running > 0);
  MILL_CHECK(limits.step_tokens >= limits.max_running && limits.prefill_tokens > 0);
}

void SimBatch::take(Prepared prepared, work::TokenSink sink) {
  const work::Order& order = prepared.order;
  const work::Usage usage{.prompt_tokens = prepared.prompt_tokens};
  if (order.score_prompt) sink.deliver({.token = order.prompt.front(), .of_prompt = true});
  const bool scores = order.score_prompt && prepared.prompt_tokens > 1;
  Answer answer{.what = std::move(prepared), .sink = std::move(sink), .usage = usage};
  answer.number = taken_++;
  answer.scored = 1;
  answer.hit = profile_.faults.kind != Kind::kNone && answer.number % profile_.faults.every == 0;
  if (answer.what.order.max_tokens == 0 && !scores) {  // nothing is to be computed
    end(answer, FinishReason::kLength);
    return;
  }
  const auto place = [](const Answer& of) {
    return Place{of.what.order.priority, of.what.rank, of.number};
  };
  const auto before =
      std::upper_bound(waiting_.begin(), waiting_.end(), place(answer),
                       [&](const Place& here, const Answer& other) { return here < place(other); });
  waiting_.insert(before, std::move(answer));
}

bool SimBatch::hangs(const Answer& answer) const {
  return answer.hit && profile_.faults.kind == Kind::kHang &&
         answer.usage.completion_tokens >= profile_.faults.after;
}

void SimBatch::end_those_who_left(Line& line, Instant now) {
  const auto leaves = [&](Answer& answer) {
    if (answer.sink.cancelled()) {
      end(answer, FinishReason::kCancelled);
    } else if (answer.what.order.deadline <= now) {
      end(answer, FinishReason::kDeadline);
    } else {
      return false;
    }
    return true;
  };
  line.erase(std::remove_if(line.begin(), line.end(), leaves), line.end());
}

void SimBatch::admit() {
  const auto room = static_cast<size_t>(limits_.max_running) - running_.size();
  const size_t count = std::min(room, waiting_.size());
  if (count == 0) return;
  for (size_t i = 0; i < count; ++i) {
    Answer& answer = waiting_[i];
    if (!answer.what.order.score_prompt) {
      // The last token of a prompt is always computed, as somebody wants its logits.
      const int64_t whole = (answer.what.prompt_tokens - 1) / kBlockTokens;
      const auto known = std::min<int64_t>(prefixes_.find(answer.what.blocks), whole);
      answer.usage.cached_tokens = answer.computed = known * kBlockTokens;
      totals_.cached_tokens += answer.computed;
    }
    running_.push_back(std::move(answer));
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
}

// Those who generate come first; prompts get what is left.
void SimBatch::plan() {
  step_prompt_tokens_ = step_generating_ = 0;
  for (Answer& answer : running_) {
    answer.planned = 0;
    answer.generates = answer.computed == answer.what.prompt_tokens && !hangs(answer);
    step_generating_ += answer.generates ? 1 : 0;
  }
  int64_t room = limits_.step_tokens - step_generating_;
  if (step_generating_ > 0) room = std::min(room, limits_.prefill_tokens);
  for (Answer& answer : running_) {
    if (answer.generates || hangs(answer)) continue;
    answer.planned = std::min(room, answer.what.prompt_tokens - answer.computed);
    room -= answer.planned;
    step_prompt_tokens_ += answer.planned;
  }
}

std::optional<Duration> SimBatch::begin_step(Instant now) {
  end_those_who_left(running_, now);
  end_those_who_left(waiting_, now);
  admit();
  plan();
  if (step_prompt_tokens_ + step_generating_ == 0) return std::nullopt;
  const double seconds = profile_.seconds_of(step_prompt_tokens_, step_generating_);
  step_time_ = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  return step_time_;
}

void SimBatch::share_out() {
  work::TimeShares parts(step_time_, step_prompt_tokens_ + step_generating_);
  for (Answer& answer : running_)
    answer.usage.busy += parts.next(answer.generates ? 1 : answer.planned);
}

void SimBatch::end_step() {
  ++totals_.steps;
  totals_.prompt_tokens += step_prompt_tokens_;
  share_out();
  const auto done = [&](Answer& answer) { return !advance(answer); };
  running_.erase(std::remove_if(running_.begin(), running_.end(), done), running_.end());
}

// Whether the answer goes on.
bool SimBatch::advance(Answer& answer) {
  const work::Order& order = answer.what.order;
  const int64_t prompt = answer.what.prompt_tokens;
  if (!answer.generates) {
    if (answer.planned == 0) return true;
    answer.computed += answer.planned;
    if (order.score_prompt) score_prompt(answer);
    if (answer.computed < prompt) return true;
    prefixes_.add(answer.what.blocks);
    if (order.max_tokens == 0) {
      end(answer, FinishReason::kLength);
      return false;
    }
    if (hangs(answer)) return true;
  }
  return generate(answer);
}

// Every computed token tells how likely the one behind it was.
void SimBatch::score_prompt(Answer& answer) {
  const work::Order& order = answer.what.order;
  const int64_t upto = std::min(answer.computed + 1, answer.what.prompt_tokens);
  for (; answer.scored < upto; ++answer.scored) {
    work::Piece piece =
        piece_of(alphabet_, order.prompt[static_cast<size_t>(answer.scored)], order.sampling);
    piece.of_prompt = true;
    answer.sink.deliver(std::move(piece));
  }
}

bool SimBatch::generate(Answer& answer) {
  const work::Order& order = answer.what.order;
  const int64_t position = answer.usage.completion_tokens;
  const bool due = answer.hit && position == profile_.faults.after;
  if (due && profile_.faults.kind == Kind::kDie) std::raise(SIGKILL);
  if (due && profile_.faults.kind == Kind::kFault) {
    log_error("simulated_fault").add("request", order.id);
    end(answer, FinishReason::kFault, Error{Code::kInternal, "a simulated fault", ""});
    return false;
  }
  TokenId token = token_at(alphabet_, answer.what.digest, order.sampling, position);
  const std::vector<TokenId>& stops = order.stop_tokens;
  if (position + 1 >= profile_.answer_tokens && !stops.empty()) token = stops.front();
  ++answer.usage.completion_tokens;
  ++totals_.generated_tokens;
  if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
    end(answer, FinishReason::kStop);
    return false;
  }
  answer.sink.deliver(piece_of(alphabet_, token, order.sampling));
  if (answer.usage.completion_tokens < order.max_tokens) return true;
  end(answer, FinishReason::kLength);
  return false;
}

work::Usage SimBatch::reported(const Answer& answer) const {
  work::Usage usage = answer.usage;
  if (!answer.hit) return usage;
  switch (profile_.faults.kind) {
    case Kind::kMissing:
      return {};
    case Kind::kZero:
      usage.completion_tokens = 0;
      return usage;
    case Kind::kNegative:
      usage.prompt_tokens = -usage.prompt_tokens;
      usage.completion_tokens = -1 - usage.completion_tokens;
      return usage;
    case Kind::kHuge:
      usage.prompt_tokens = usage.completion_tokens = std::numeric_limits<int64_t>::max();
      return usage;
    default:
      return usage;
  }
}

void SimBatch::end(Answer& answer, FinishReason reason, std::optional<Error> fault) {
  ++ended_;
  endings_.emplace_back(
      std::move(answer.sink),
      work::Finished{.reason = reason, .usage = reported(answer), .fault = std::move(fault)});
}

void SimBatch::end_all(FinishReason reason) {
  for (Line* line : {&running_, &waiting_}) {
    for (Answer& answer : *line) end(answer, reason);
    line->clear();
  }
}

void SimBatch::deliver_endings() {
  for (auto& [sink, finished] : endings_) sink.finish(std::move(finished));
  endings_.clear();
}

work::Load SimBatch::load() const {
  work::Load load = totals_;
  load.running = static_cast<int64_t>(running_.size());
  load.waiting = static_cast<int64_t>(waiting_.size());
  load.kv_blocks_total = limits_.max_running * blocks_for(profile_.context);
  int64_t used = 0;
  for (const Answer& answer : running_)
    used += blocks_for(answer.computed + answer.usage.completion_tokens);
  load.kv_blocks_free = load.kv_blocks_total - used;
  load.cached_blocks = std::min(prefixes_.size(), load.kv_blocks_free);
  return load;
}

}  // namespace mill::sim
