#include "tensor/reference/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/check.h"
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

// Norm (where there is one) and rotation of all heads of one row.
void prepare_heads(float* row_data, int64_t heads, const StoreCall& call, const float* norm, int64_t row) {
  const int64_t head_dim = call.shape.head_dim;
  for (int64_t h = 0; h < heads; ++h) {
    float* head = row_data + h * head_dim;
    if (norm) {
      const double inverse = inverse_rms(head, head_dim, call.eps);
      for (int64_t i = 0; i < head_dim; ++i) head[i] = static_cast<float>(head[i] * inverse * norm[i]);
    }
    if (call.rotation) rotate(head, *call.rotation, row);
  }
}

// The key (or value, by `offset`) of token `position` for one head.
float* cached(const KvLayer& kv, const HeadShape& shape, const Slice& slice, size_t offset, int64_t position,
              int64_t kv_head) {
  const auto block = static_cast<size_t>(slice.blocks[static_cast<size_t>(position / kBlockTokens)]);
  auto* heads = reinterpret_cast<float*>(kv.base + block * kv.block_bytes + offset);
  return heads + (kv_head * kBlockTokens + position % kBlockTokens) * shape.head_dim;
}

class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  KvType kv_type() const override { return KvType::kF32; }

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
    return {weight.rows, weight.cols, 0, room.data(), packed_bytes(weight)};
  }

  uint32_t form_read_by(const PackedMatrix&) const override { return kValues; }

  void rms_norm(Team& team, ConstMatrix x, const float* weight, float eps,
                const Activations& out) const override {
    const auto [first, last] = team.share(x.rows);
    for (int64_t row = first; row < last; ++row) {
      const double inverse = inverse_rms(x.row(row), x.cols, eps);
      float* to = out.values + row * out.cols;
      for (int64_t i = 0; i < x.cols; ++i) to[i] = static_cast<float>(x.row(row)[i] * inverse * weight[i]);
    }
  }

  void add_rms_norm(Team& team, ConstMatrix x, const float* weight, float eps, Matrix sum) const override {
    const auto [first, last] = team.share(x.rows);
    for (int64_t row = first; row < last; ++row) {
      const double inverse = inverse_rms(x.row(row), x.cols, eps);
      for (int64_t i = 0; i < x.cols; ++i) {
        sum.row(row)[i] += static_cast<float>(x.row(row)[i] * inverse * weight[i]);
      }
    }
  }

  void gated(Team& team, Gate gate, ConstMatrix g, ConstMatrix u, const Activations& out) const override {
    const auto [first, last] = team.share(g.rows);
    for (int64_t row = first; row < last; ++row) {
      float* to = out.values + row * out.cols;
      for (int64_t i = 0; i < g.cols; ++i) to[i] = activate(gate, g.row(row)[i]) * u.row(row)[i];
    }
  }

  void products(Team& team, const Activations& x, std::span<const Product> products) const override {
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

  void store_kv(Team& team, const StoreCall& call) const override {
    const HeadShape& shape = call.shape;
    const auto [first, last] = team.share(call.q.rows);
    for (const Slice& slice : call.slices) {
      for (int64_t i = 0; i < slice.rows; ++i) {
        const int64_t row = slice.first_row + i;
        if (row < first || row >= last) continue;
        prepare_heads(call.q.row(row), shape.heads, call, call.q_norm, row);
        prepare_heads(call.k.row(row), shape.kv_heads, call, call.k_norm, row);
        for (int64_t h = 0; h < shape.kv_heads; ++h) {
          const int64_t position = slice.position + i;
          std::copy_n(call.k.row(row) + h * shape.head_dim, shape.head_dim,
                      cached(call.kv, shape, slice, call.kv.key_offset, position, h));
          std::copy_n(call.v.row(row) + h * shape.head_dim, shape.head_dim,
                      cached(call.kv, shape, slice, call.kv.value_offset, position, h));
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
      const float* key = cached(call.kv, shape, slice, call.kv.key_offset, p, kv_head);
      double score = call.scale * dot(q, key, shape.head_dim);
      if (call.softcap > 0) score = call.softcap * std::tanh(score / call.softcap);
      weights.push_back(score);
    }
    const double highest = *std::max_element(weights.begin(), weights.end());
    double total = 0;
    for (double& weight : weights) total += weight = std::exp(weight - highest);
    std::vector<double> sum(static_cast<size_t>(shape.head_dim));
    for (int64_t p = from; p <= position; ++p) {
      const double weight = weights[static_cast<size_t>(p - from)] / total;
      const float* value = cached(call.kv, shape, slice, call.kv.value_offset, p, kv_head);
      for (size_t d = 0; d < sum.size(); ++d) sum[d] += weight * value[d];
    }
    float* to = call.out.values + row * call.out.cols + head * shape.head_dim;
    for (size_t d = 0; d < sum.size(); ++d) to[d] = static_cast<float>(sum[d]);
  }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace mill::tensor
