#include "engine/sampler/sampler.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>

#include "base/rng.h"

namespace mill::engine {
namespace {

constexpr int64_t kWorthATeam = 1 << 15;  // logits; waking the others takes as long as this many

// The token at `target` when all weights are laid end to end in order of their ids.
TokenId token_at(double target, const Scratch& scratch) {
  size_t chunk = 0;
  while (chunk + 1 < scratch.chunk_sums.size() && target >= scratch.chunk_sums[chunk]) {
    target -= scratch.chunk_sums[chunk++];
  }
  const size_t first = chunk * static_cast<size_t>(kChunk);
  const size_t end = std::min(first + static_cast<size_t>(kChunk), scratch.weights.size());
  size_t last = first;  // the last with any weight, should rounding carry the target past the end
  for (size_t i = first; i < end; ++i) {
    const auto weight = static_cast<double>(scratch.weights[i]);
    if (weight <= 0) continue;
    last = i;
    if (target < weight) break;
    target -= weight;
  }
  return static_cast<TokenId>(last);
}

TokenId candidate_at(double target, std::span<const Candidate> candidates) {
  TokenId last = candidates.front().token;
  for (const Candidate& candidate : candidates) {
    if (candidate.weight <= 0) continue;
    last = candidate.token;
    if (target < static_cast<double>(candidate.weight)) break;
    target -= static_cast<double>(candidate.weight);
  }
  return last;
}

// The repetition penalty is for what stands in prompt or answer, the others are for the answer.
void penalise(const Draw& draw, Scratch& scratch) {
  const work::Sampling& sampling = *draw.sampling;
  std::vector<float>& logits = scratch.adjusted;
  std::vector<int32_t>& counts = scratch.counts;
  counts.resize(logits.size(), 0);
  const auto clear = [&] {
    for (const TokenId token : draw.prompt) counts[static_cast<size_t>(token)] = 0;
    for (const TokenId token : draw.answer) counts[static_cast<size_t>(token)] = 0;
  };
  if (sampling.repetition_penalty != 1.0F) {
    const auto once = [&](TokenId token) {
      const auto at = static_cast<size_t>(token);
      if (counts[at]++ > 0) return;
      logits[at] = logits[at] > 0 ? logits[at] / sampling.repetition_penalty
                                  : logits[at] * sampling.repetition_penalty;
    };
    std::for_each(draw.prompt.begin(), draw.prompt.end(), once);
    std::for_each(draw.answer.begin(), draw.answer.end(), once);
    clear();
  }
  for (const TokenId token : draw.answer) ++counts[static_cast<size_t>(token)];
  for (const TokenId token : draw.answer) {
    int32_t& count = counts[static_cast<size_t>(token)];
    if (count == 0) continue;
    logits[static_cast<size_t>(token)] -=
        sampling.presence_penalty + sampling.frequency_penalty * static_cast<float>(count);
    count = 0;
  }
}

// Logits with bias and penalties, or the row itself where there are none.
std::span<const float> adjusted(const Draw& draw, Scratch& scratch) {
  const work::Sampling& sampling = *draw.sampling;
  const bool penalised = sampling.presence_penalty != 0 || sampling.frequency_penalty != 0 ||
                         sampling.repetition_penalty != 1.0F;
  if (sampling.logit_bias.empty() && !penalised) return draw.logits;
  scratch.adjusted.assign(draw.logits.begin(), draw.logits.end());
  if (penalised) penalise(draw, scratch);
  for (const auto& [token, bias] : sampling.logit_bias) {
    scratch.adjusted[static_cast<size_t>(token)] += bias;
  }
  return scratch.adjusted;
}

TokenId choose(const Draw& draw, const Highest& raw, Scratch& scratch) {
  const work::Sampling& sampling = *draw.sampling;
  const std::span<const float> logits = adjusted(draw, scratch);
  const Highest best = logits.data() == draw.logits.data() ? raw : highest(logits);
  if (!best.finite) return kNoToken;
  if (sampling.temperature <= 0) return best.token;
  const double uniform = uniform_at(sampling.seed, sampling.choice, draw.position);
  if (filters(sampling, static_cast<int64_t>(logits.size()))) {
    const double total = filter(logits, best.logit, sampling, scratch);
    return candidate_at(uniform * total, scratch.candidates);
  }
  const float scale = scale_of(sampling.temperature);
  const double total = weigh(logits, best.logit, scale, scratch.weights, scratch.chunk_sums);
  return token_at(uniform * total, scratch);
}

void report_logprobs(Draw& draw, const Highest& raw, Scratch& scratch) {
  const double log_total =
      static_cast<double>(raw.logit) + std::log(sum_of_exp(draw.logits, raw.logit, 1.0F));
  const auto logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit) - log_total);
  };
  draw.logprob = logprob(draw.logits[static_cast<size_t>(draw.token)]);
  const int32_t count = draw.sampling->top_logprobs.value_or(0);
  if (count == 0) return;
  best_of(draw.logits, count, scratch.candidates);
  draw.top.reserve(scratch.candidates.size());
  for (const Candidate& candidate : scratch.candidates) {
    draw.top.push_back({candidate.token, logprob(candidate.logit)});
  }
}

void carry_out(Draw& draw, Scratch& scratch) {
  const Highest raw = highest(draw.logits);
  if (!raw.finite) return;
  draw.token = draw.given != kNoToken ? draw.given : choose(draw, raw, scratch);
  if (draw.token == kNoToken) return;
  if (draw.given != kNoToken || draw.sampling->top_logprobs) report_logprobs(draw, raw, scratch);
}

bool within(float value, float least, float most) {
  return value >= least && value <= most;
}

}  // namespace

Sampler::Sampler(tensor::ThreadPool& pool)
    : pool_(pool), scratch_(static_cast<size_t>(pool.size())) {}

void Sampler::run(std::span<Draw> draws) {
  if (draws.empty()) return;
  const auto logits = static_cast<int64_t>(draws.size() * draws.front().logits.size());
  if (draws.size() == 1 || logits < kWorthATeam) {
    for (Draw& draw : draws) carry_out(draw, scratch_.front());
    return;
  }
  std::atomic<size_t> next = 0;  // rows differ in cost, so each thread takes the next one
  pool_.run([&](tensor::Team& team) {
    Scratch& scratch = scratch_[static_cast<size_t>(team.index())];
    for (size_t i = next.fetch_add(1); i < draws.size(); i = next.fetch_add(1)) {
      carry_out(draws[i], scratch);
    }
  });
}

Status check_sampling(const work::Sampling& sampling, int64_t vocabulary) {
  const auto bad = [](const char* field, const char* bounds) {
    return fail(Code::kInvalid, std::string(field) + " must be " + bounds, field);
  };
  // Written so that NaN is out of bounds.
  if (!within(sampling.temperature, 0, 1e6F)) return bad("temperature", "a number from 0 up");
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) return bad("top_p", "in (0, 1]");
  if (sampling.top_k < 0) return bad("top_k", "0 (off) or more");
  if (!within(sampling.min_p, 0, 1)) return bad("min_p", "in [0, 1]");
  if (!(sampling.typical_p > 0 && sampling.typical_p <= 1)) return bad("typical_p", "in (0, 1]");
  if (!(sampling.repetition_penalty > 0 && sampling.repetition_penalty <= 10)) {
    return bad("repetition_penalty", "in (0, 10]");
  }
  if (!within(sampling.presence_penalty, -2, 2)) return bad("presence_penalty", "in [-2, 2]");
  if (!within(sampling.frequency_penalty, -2, 2)) return bad("frequency_penalty", "in [-2, 2]");
  for (const auto& [token, bias] : sampling.logit_bias) {
    if (token < 0 || token >= vocabulary) return bad("logit_bias", "for ids of the vocabulary");
    if (!within(bias, -100, 100)) return bad("logit_bias", "in [-100, 100]");
  }
  const int32_t top = sampling.top_logprobs.value_or(0);
  if (top < 0 || top > 20) return bad("top_logprobs", "in [0, 20]");
  return {};
}

}  // namespace mill::engine
