#include "engine/forward.h"

#include <utility>

namespace mill::engine {
namespace {

class DecoderForward final : public Forward {
 public:
  explicit DecoderForward(std::unique_ptr<model::Decoder> decoder) : decoder_(std::move(decoder)) {}

  int64_t vocabulary() const override { return decoder_->config().vocabulary; }
  int64_t context_tokens() const override { return decoder_->config().context_tokens; }
  size_t block_bytes() const override { return decoder_->kv_layout().block_bytes(); }
  size_t window_block_bytes() const override { return decoder_->kv_layout().window_block_bytes(); }
  int64_t window() const override { return decoder_->kv_layout().window; }
  model::DecoderLimits limits() const override { return decoder_->limits(); }
  bool prompts_apart() const override { return decoder_->prompts_apart(); }
  tensor::ConstMatrix forward(std::span<const model::SequenceSlice> slices,
                              const model::KvMemory& kv) override {
    return decoder_->forward(slices, kv);
  }

 private:
  const std::unique_ptr<model::Decoder> decoder_;
};

}  // namespace

std::unique_ptr<Forward> make_forward(std::unique_ptr<model::Decoder> decoder) {
  return std::make_unique<DecoderForward>(std::move(decoder));
}

}  // namespace mill::engine
