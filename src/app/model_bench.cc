#include "app/model_bench.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"

namespace mill::app {
namespace {

// Sequences of random tokens, of the same length.
class Crowd {
 public:
  static Result<Crowd> make(model::Decoder& decoder, int64_t sequences, int64_t context) {
    Crowd crowd(decoder);
    const int64_t blocks = (context + tensor::kBlockTokens - 1) / tensor::kBlockTokens;
    MILL_TRY(crowd.kv_,
             model::KvRoom::reserve(decoder.kv_layout(), static_cast<size_t>(blocks * sequences)));
    for (int64_t s = 0; s < sequences; ++s) {
      std::vector<int32_t> owned;
      for (int64_t b = 0; b < blocks; ++b) owned.push_back(static_cast<int32_t>(s * blocks + b));
      crowd.blocks_.push_back(std::move(owned));
    }
    return crowd;
  }

  // Computes `count` tokens of the first sequence, a step of at most batch_tokens at a time, with
  // the logits of the last one (as generation needs them). Gives the seconds it took.
  double prefill(int64_t count, model::StepProfile* profile = nullptr) {
    const Instant start = now();
    for (int64_t position = 0; position < count;) {
      const int64_t step = std::min(count - position, decoder_->limits().batch_tokens);
      const std::vector<TokenId> tokens = random_tokens(step);
      const bool last = position + step == count;
      const model::SequenceSlice slice{.tokens = tokens,
                                       .position = position,
                                       .prompt_tokens = count,
                                       .blocks = blocks_.front(),
                                       .window_blocks = blocks_.front(),
                                       .logits_from = last ? step - 1 : step};
      decoder_->forward({&slice, 1}, kv_.memory(), profile);
      position += step;
    }
    return to_seconds(now() - start);
  }

  // Gives the others what the first has.
  void copy_to_all() {
    const model::KvLayout layout = decoder_->kv_layout();
    const model::KvMemory kv = kv_.memory();
    const size_t full = layout.block_bytes() * blocks_.front().size();
    const size_t windowed = layout.window_block_bytes() * blocks_.front().size();
    for (size_t s = 1; s < blocks_.size(); ++s) {
      std::memcpy(kv.full + s * full, kv.full, full);
      std::memcpy(kv.windowed + s * windowed, kv.windowed, windowed);
    }
  }

  // One token of every sequence; the seconds it took, and the logits.
  std::pair<double, tensor::ConstMatrix> step(int64_t position, model::StepProfile* profile) {
    const std::vector<TokenId> tokens = random_tokens(static_cast<int64_t>(blocks_.size()));
    std::vector<model::SequenceSlice> slices;
    for (size_t s = 0; s < blocks_.size(); ++s) {
      slices.push_back({.tokens = std::span(tokens).subspan(s, 1),
                        .position = position,
                        .blocks = blocks_[s],
                        .window_blocks = blocks_[s],
                        .logits_from = 0});
    }
    const Instant start = now();
    const tensor::ConstMatrix logits = decoder_->forward(slices, kv_.memory(), profile);
    return {to_seconds(now() - start), logits};
  }

 private:
  explicit Crowd(model::Decoder& decoder) : decoder_(&decoder) {}

  std::vector<TokenId> random_tokens(int64_t count) {
    std::vector<TokenId> tokens;
    for (int64_t i = 0; i < count; ++i) {
      tokens.push_back(static_cast<TokenId>(uniform_at(1, 0, drawn_++) *
                                            static_cast<double>(decoder_->config().vocabulary)));
    }
    return tokens;
  }

  model::Decoder* decoder_;
  model::KvRoom kv_;
  std::vector<std::vector<int32_t>> blocks_;
  uint64_t drawn_ = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Multiply-adds for one token: every matrix once, the head for `head_share` of the tokens.
double macs_of(const model::DecoderConfig& c, double head_share) {
  const double q = static_cast<double>(c.heads.heads) * c.heads.head_dim;
  const double kv = static_cast<double>(c.heads.kv_heads) * c.heads.head_dim;
  const double dim = static_cast<double>(c.dim);
  return c.layers * (dim * (2 * q + 2 * kv) + 3 * dim * static_cast<double>(c.ffn_dim)) +
         head_share * dim * static_cast<double>(c.vocabulary);
}

double seconds_to_sample(engine::Sampler& sampler, tensor::ConstMatrix logits) {
  const work::Sampling greedy{.temperature = 0};
  std::vector<engine::Draw> draws;
  for (int64_t row = 0; row < logits.rows; ++row) {
    draws.push_back(
        {.logits = {logits.row(row), static_cast<size_t>(logits.cols)}, .sampling = &greedy});
  }
  const Instant start = now();
  sampler.run(draws);
  return to_seconds(now() - start);
}

}  // namespace

Result<Figure> ModelBench::prefill(int64_t tokens, int64_t rounds) {
  MILL_TRY(Crowd crowd, Crowd::make(decoder_, 1, tokens));
  crowd.prefill(std::min<int64_t>(tokens, 64));  // first touch of the pages
  auto profile = profile_ ? std::make_shared<Profile>() : nullptr;
  std::vector<double> seconds;
  for (int64_t i = 0; i < rounds; ++i) {
    seconds.push_back(crowd.prefill(tokens, profile ? &profile->stations : nullptr));
  }
  const auto of_a_step = static_cast<double>(std::min(tokens, decoder_.limits().batch_tokens));
  return Figure{.tokens = tokens,
                .tokens_per_second = static_cast<double>(tokens) / median(seconds),
                .bytes_per_token = static_cast<double>(decoder_.weight_bytes()) / of_a_step,
                .macs_per_token = macs_of(decoder_.config(), 1.0 / static_cast<double>(tokens)),
                .profile = std::move(profile)};
}

Result<Figure> ModelBench::decode(const DecodeShape& shape) {
  MILL_TRY(Crowd crowd, Crowd::make(decoder_, shape.batch, shape.context + shape.steps));
  crowd.prefill(shape.context);
  crowd.copy_to_all();
  auto profile = profile_ ? std::make_shared<Profile>() : nullptr;
  std::vector<double> seconds;
  for (int64_t i = 0; i < shape.steps; ++i) {
    const auto [took, logits] =
        crowd.step(shape.context + i, profile ? &profile->stations : nullptr);
    seconds.push_back(took);
    if (profile) profile->sampling += seconds_to_sample(sampler_, logits);
  }
  const auto batch = static_cast<double>(shape.batch);
  return Figure{.batch = shape.batch,
                .context = shape.context,
                .tokens = shape.steps,
                .tokens_per_second = batch / median(seconds),
                .bytes_per_token = static_cast<double>(decoder_.weight_bytes()) / batch,
                .macs_per_token = macs_of(decoder_.config(), 1.0),
                .profile = std::move(profile)};
}

}  // namespace mill::app
