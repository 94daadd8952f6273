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
  model::DecoderLimits limits() const override { return decoder_->limits(); }
  tensor::ConstMatrix forward(std::span<const model::SequenceSlice> slices,
                              std::byte* kv) override {
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
