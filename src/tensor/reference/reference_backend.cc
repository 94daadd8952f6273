#include "tensor/reference/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "base/check.h"
#include "tensor/half.h"
#include "tensor/reference/dequantize.h"

namespace mill::tensor {
namespace {

double dot(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double inverse_rms(const float* x, int64_t count, float eps) {
  return 1.0 / std::sqrt(dot(x, x, count) / static_cast<double>(count) + eps);
}

float activate(Gate gate, float x) {
  const double d = x;
  if (gate == Gate::kSilu) return static_cast<float>(d / (1.0 + std::exp(-d)));
  const double inner = std::sqrt(2.0 / std::numbers::pi) * (d + 0.044715 * d * d * d);
  return static_cast<float>(0.5 * d * (1.0 + std::tanh(inner)));
}

void rotate(float* head, const Rotation& rotation, int64_t row) {
  const int64_t half = rotation.dims / 2;
  for (int64_t i = 0; i < half; ++i) {
    float& a = head[rotation.half_split ? i : 2 * i];
    float& b = head[rotation.half_split ? i + half : 2 * i + 1];
    const float cos = rotation.cos.row(row)[i];
    const float sin = rotation.sin.row(row)[i];
    const float first = a * cos - b * sin;
    b = a * sin + b * cos;
    a = first;
  }
}

// Norm and factors (where there are any), rotation and center of all heads of one row.
void prepare_heads(float* row_data, int64_t heads, const StoreCall& call, const float* norm,
                   const float* factors, const float* center, int64_t row) {
  const int64_t head_dim = call.shape.head_dim;
  for (int64_t h = 0; h < heads; ++h) {
    float* head = row_data + h * head_dim;
    if (norm) {
      const double inverse = inverse_rms(head, head_dim, call.eps);
      for (int64_t i = 0; i < head_dim; ++i)
        head[i] = static_cast<float>(head[i] * inverse * norm[i]);
    }
    if (factors) {
      const float* of_head = factors + h / (heads / call.shape.kv_heads) * head_dim;
      for (int64_t i = 0; i < head_dim; ++i) head[i] *= of_head[i];
    }
    if (call.rotation) rotate(head, *call.rotation, row);
    if (center) {
      for (int64_t i = 0; i < head_dim; ++i) head[i] -= center[h * head_dim + i];
    }
  }
}

// The transform of kv_cache.h, rounded as it says there: so a number in the middle of two codes
// falls to the same side on every path.
std::vector<float> mixed(std::vector<float> values) {
  const auto size = static_cast<size_t>(mixed_size(static_cast<int64_t>(values.size())));
  for (float& value : values) value *= 1.0F / std::sqrt(static_cast<float>(size));
  for (size_t stride = 1; stride < size; stride *= 2) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (i & stride) continue;
      const float low = values[i], high = values[i + stride];
      values[i] = low + high;
      values[i + stride] = low - high;
    }
  }
  return values;
}

// One head's keys (or values) of a block: [kBlockTokens, head_dim] of the type; of codes,
// [kBlockTokens, padded head_dim] s8 and then [kBlockTokens] scales in f32.
class CachedHead {
 public:
  CachedHead(const KvLayer& kv, const HeadShape& shape, const Slice& slice, size_t offset,
             int64_t position, int64_t kv_head)
      : type_(kv.type), head_dim_(shape.head_dim), token_(position % kBlockTokens) {
    const auto block =
        static_cast<size_t>(slice.blocks[static_cast<size_t>(position / kBlockTokens)]);
    head_ = kv.base + block * kv.block_bytes + offset +
            static_cast<size_t>(kv_head) * kv_head_bytes(type_, head_dim_);
  }

  void put(const float* values) const {
    if (type_ == KvType::kI8) return put_codes(values);
    for (int64_t i = 0; i < head_dim_; ++i) {
      if (type_ == KvType::kF32) std::memcpy(number(i), &values[i], 4);
      const float within = std::clamp(values[i], -65504.0F, 65504.0F);
      const uint16_t half = type_ == KvType::kF16 ? f32_to_f16(within) : f32_to_bf16(values[i]);
      if (type_ != KvType::kF32) std::memcpy(number(i), &half, 2);
    }
  }

  std::vector<float> take() const {
    std::vector<float> values(static_cast<size_t>(head_dim_));
    for (int64_t i = 0; i < head_dim_; ++i) values[static_cast<size_t>(i)] = take(i);
    return type_ == KvType::kI8 ? mixed(values) : values;
  }

 private:
  size_t number_bytes() const { return type_ == KvType::kF32 ? 4 : type_ == KvType::kI8 ? 1 : 2; }
  std::byte* number(int64_t i) const {
    const int64_t width = type_ == KvType::kI8 ? padded_head_dim(head_dim_) : head_dim_;
    return head_ + static_cast<size_t>(token_ * width + i) * number_bytes();
  }
  std::byte* scale() const {
    return head_ + kBlockTokens * padded_head_dim(head_dim_) + token_ * 4;
  }

  void put_codes(const float* from) const {
    const std::vector<float> values = mixed(std::vector<float>(from, from + head_dim_));
    float highest = 0;
    for (const float value : values) highest = std::max(highest, std::abs(value));
    const float inverse = highest > 1e-36F ? 127.0F / highest : 0.0F;
    for (int64_t i = 0; i < head_dim_; ++i) {
      const float code = std::nearbyint(values[static_cast<size_t>(i)] * inverse);
      *number(i) = static_cast<std::byte>(static_cast<int8_t>(code));
    }
    const float step = highest / 127.0F;
    std::memcpy(scale(), &step, 4);
  }

  float take(int64_t i) const {
    float value = 0;
    uint16_t half = 0;
    switch (type_) {
      case KvType::kF32:
        std::memcpy(&value, number(i), 4);
        return value;
      case KvType::kF16:
      case KvType::kBF16:
        std::memcpy(&half, number(i), 2);
        return type_ == KvType::kF16 ? f16_to_f32(half) : bf16_to_f32(half);
      case KvType::kI8:
        break;
    }
    std::memcpy(&value, scale(), 4);
    return value * static_cast<float>(static_cast<int8_t>(*number(i)));
  }

  KvType type_;
  int64_t head_dim_;
  int64_t token_;
  std::byte* head_;
};

class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }

  size_t packed_bytes(const Weight& weight) const override {
    return static_cast<size_t>(weight.rows * weight.cols) * sizeof(float);
  }

  PackedMatrix pack(Team& team, const Weight& weight, std::span<std::byte> room) const override {
    MILL_CHECK(room.size() >= packed_bytes(weight));
    auto* values = reinterpret_cast<float*>(room.data());
    const auto cols = static_cast<size_t>(weight.cols);
    const size_t row_size = row_bytes(weight.dtype, weight.cols);
    const auto [first, last] = team.share(weight.rows);
    for (int64_t row = first; row < last; ++row) {
      const auto r = static_cast<size_t>(row);
      dequantize_row(weight.dtype, weight.data + r * row_size, std::span(values + r * cols, cols));
    }
    return packed(weight, room.first(packed_bytes(weight)));
  }

  std::string_view layout() const override { return "rows-f32-1"; }

  PackedMatrix packed(const Weight& weight, std::span<const std::byte> bytes) const override {
    MILL_CHECK(bytes.size() == packed_bytes(weight));
    return {weight.rows, weight.cols, 0, bytes.data(), bytes.size()};
  }

  uint32_t form_read_by(const PackedMatrix&) const override { return kValues; }

  void rms_norm(Team& team, ConstMatrix x, const float* weight, float eps,
                const Activations& out) const override {
    const auto [first, last] = team.share(x.rows);
    for (int64_t row = first; row < last; ++row) {
      const double inverse = inverse_rms(x.row(row), x.cols, eps);
      float* to = out.values + row * out.cols;
      for (int64_t i = 0; i < x.cols; ++i)
        to[i] = static_cast<float>(x.row(row)[i] * inverse * weight[i]);
    }
  }

  void add_rms_norm(Team& team, ConstMatrix x, const float* weight, float eps,
                    Matrix sum) const override {
    const auto [first, last] = team.share(x.rows);
    for (int64_t row = first; row < last; ++row) {
      const double inverse = inverse_rms(x.row(row), x.cols, eps);
      for (int64_t i = 0; i < x.cols; ++i) {
        sum.row(row)[i] += static_cast<float>(x.row(row)[i] * inverse * weight[i]);
      }
    }
  }

  void gated(Team& team, Gate gate, ConstMatrix g, ConstMatrix u,
             const Activations& out) const override {
    const auto [first, last] = team.share(g.rows);
    for (int64_t row = first; row < last; ++row) {
      float* to = out.values + row * out.cols;
      for (int64_t i = 0; i < g.cols; ++i) to[i] = activate(gate, g.row(row)[i]) * u.row(row)[i];
    }
  }

  void products(Team& team, const Activations& x,
                std::span<const Product> products) const override {
    for (const Product& product : products) {
      const PackedMatrix& weight = *product.weight;
      const auto* values = reinterpret_cast<const float*>(weight.data);
      const auto [first, last] = team.share(weight.rows);
      for (int64_t row = 0; row < x.rows; ++row) {
        for (int64_t n = first; n < last; ++n) {
          double sum = dot(x.values + row * x.cols, values + n * weight.cols, weight.cols);
          if (product.bias) sum += product.bias[n];
          float& to = product.out.row(row)[n];
          to = static_cast<float>(product.accumulate ? to + sum : sum);
        }
      }
    }
  }

  void gated_products(Team& team, const Activations& x, Gate gate, const PackedMatrix& gate_weight,
                      const PackedMatrix& up_weight, const Activations& out) const override {
    const auto* g = reinterpret_cast<const float*>(gate_weight.data);
    const auto* u = reinterpret_cast<const float*>(up_weight.data);
    const auto [first, last] = team.share(gate_weight.rows);
    for (int64_t row = 0; row < x.rows; ++row) {
      const float* in = x.values + row * x.cols;
      for (int64_t n = first; n < last; ++n) {
        const auto gated = static_cast<float>(dot(in, g + n * x.cols, x.cols));
        const auto up = static_cast<float>(dot(in, u + n * x.cols, x.cols));
        out.values[row * out.cols + n] = activate(gate, gated) * up;
      }
    }
  }

  void store_kv(Team& team, const StoreCall& call) const override {
    const HeadShape& shape = call.shape;
    const auto [first, last] = team.share(call.q.rows);
    for (const Slice& slice : call.slices) {
      for (int64_t i = 0; i < slice.rows; ++i) {
        const int64_t row = slice.first_row + i;
        if (row < first || row >= last) continue;
        prepare_heads(call.q.row(row), shape.heads, call, call.q_norm, call.q_factors, nullptr,
                      row);
        prepare_heads(call.k.row(row), shape.kv_heads, call, call.k_norm, call.k_factors,
                      call.k_center, row);
        for (int64_t h = 0; h < shape.kv_heads; ++h) {
          const int64_t position = slice.position + i;
          const auto head = [&](size_t offset) {
            return CachedHead(call.kv, shape, slice, offset, position, h);
          };
          head(call.kv.key_offset).put(call.k.row(row) + h * shape.head_dim);
          head(call.kv.value_offset).put(call.v.row(row) + h * shape.head_dim);
        }
      }
    }
  }

  void attention(Team& team, const AttentionCall& call) const override {
    const auto [first, last] = team.share(call.q.rows);
    for (const Slice& slice : call.slices) {
      for (int64_t i = 0; i < slice.rows; ++i) {
        const int64_t row = slice.first_row + i;
        if (row < first || row >= last) continue;
        for (int64_t head = 0; head < call.shape.heads; ++head) {
          attend(call, slice, row, slice.position + i, head);
        }
      }
    }
  }

 private:
  static void attend(const AttentionCall& call, const Slice& slice, int64_t row, int64_t position,
                     int64_t head) {
    const HeadShape& shape = call.shape;
    const int64_t kv_head = head / (shape.heads / shape.kv_heads);
    const int64_t from = call.window > 0 ? std::max<int64_t>(0, position - call.window + 1) : 0;
    const float* q = call.q.row(row) + head * shape.head_dim;
    std::vector<double> weights;
    for (int64_t p = from; p <= position; ++p) {
      const auto key = CachedHead(call.kv, shape, slice, call.kv.key_offset, p, kv_head).take();
      double score = call.scale * dot(q, key.data(), shape.head_dim);
      if (call.softcap > 0) score = call.softcap * std::tanh(score / call.softcap);
      weights.push_back(score);
    }
    const double highest = *std::max_element(weights.begin(), weights.end());
    double total = 0;
    for (double& weight : weights) total += weight = std::exp(weight - highest);
    std::vector<double> sum(static_cast<size_t>(shape.head_dim));
    for (int64_t p = from; p <= position; ++p) {
      const double weight = weights[static_cast<size_t>(p - from)] / total;
      const auto value = CachedHead(call.kv, shape, slice, call.kv.value_offset, p, kv_head).take();
      for (size_t d = 0; d < sum.size(); ++d) sum[d] += weight * value[d];
    }
    float* to = call.out.values + row * call.out.cols + head * shape.head_dim;
    for (size_t d = 0; d < sum.size(); ++d) to[d] = static_cast<float>(sum[d]);
  }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace mill::tensor
