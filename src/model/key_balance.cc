#include "model/key_balance.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include "tensor/reference/dequantize.h"

namespace mill::model {
namespace {

// The center is the mean of the rotated bias over so many positions: of pairs that turn little
// within them it takes off nearly all, of those that turn often nothing. Farther on a pair is at
// most twice as far from it as from zero.
constexpr int64_t kPositions = 4096;
// Sizes are known roughly: a dimension that is hardly there must not become the one that decides.
constexpr double kLeast = 0.01;  // of the head's root mean square

// The square expected of each number of the heads without its bias, for inputs that are of one size
// before the norm's weights and know nothing of each other.
std::vector<double> squares_of_weights(const tensor::Weight& weight,
                                       std::span<const float> input_norm) {
  const size_t row_size = tensor::row_bytes(weight.dtype, weight.cols);
  std::vector<float> row(static_cast<size_t>(weight.cols));
  std::vector<double> squares(static_cast<size_t>(weight.rows));
  for (size_t n = 0; n < squares.size(); ++n) {
    tensor::dequantize_row(weight.dtype, weight.data + n * row_size, row);
    float sum = 0;
    for (size_t j = 0; j < row.size(); ++j) sum += row[j] * input_norm[j] * row[j] * input_norm[j];
    squares[n] = sum;
  }
  return squares;
}

// The squares of heads that are normed to one mean square and then multiplied by `norm`.
void apply_norm(std::span<const float> norm, std::vector<double>& squares) {
  for (size_t head = 0; head < squares.size(); head += norm.size()) {
    double total = 0;
    for (size_t i = 0; i < norm.size(); ++i) total += squares[head + i];
    if (total == 0) continue;
    for (size_t i = 0; i < norm.size(); ++i) {
      squares[head + i] *= std::pow(norm[i], 2) * static_cast<double>(norm.size()) / total;
    }
  }
}

// Where the two of a rotated pair lie in a head.
std::pair<size_t, size_t> pair_at(const Rope& rope, int32_t pair) {
  const auto i = static_cast<size_t>(pair), half = static_cast<size_t>(rope.dims() / 2);
  return rope.half_split() ? std::pair{i, i + half} : std::pair{2 * i, 2 * i + 1};
}

// Both squares of each pair become their mean.
void join_pairs(const Rope& rope, size_t head_dim, std::vector<double>& squares) {
  for (size_t head = 0; head < squares.size(); head += head_dim) {
    for (int32_t i = 0; i < rope.dims() / 2; ++i) {
      const auto [a, b] = pair_at(rope, i);
      squares[head + a] = squares[head + b] = (squares[head + a] + squares[head + b]) / 2;
    }
  }
}

std::vector<double> squares_of_queries(const HeadMakers& queries, std::span<const float> input_norm,
                                       const tensor::HeadShape& shape, const Rope& rope) {
  std::vector<double> squares = squares_of_weights(queries.weight, input_norm);
  for (size_t i = 0; i < queries.bias.size(); ++i) squares[i] += std::pow(queries.bias[i], 2);
  if (!queries.head_norm.empty()) apply_norm(queries.head_norm, squares);
  const auto size = static_cast<size_t>(shape.head_dim);
  const auto ratio = static_cast<size_t>(shape.heads / shape.kv_heads);
  std::vector<double> sums(squares.size() / ratio);  // over the heads of each KV head
  for (size_t i = 0; i < squares.size(); ++i) {
    sums[i / size / ratio * size + i % size] += squares[i];
  }
  join_pairs(rope, size, sums);
  return sums;
}

// What the rotated bias is in the mean; takes from the squares what it leaves of the bias.
std::vector<float> take_center(std::span<const float> bias, size_t head_dim, const Rope& rope,
                               std::vector<double>& squares) {
  std::vector<float> center(bias.begin(), bias.end());
  for (size_t head = 0; head < bias.size(); head += head_dim) {
    for (int32_t i = 0; i < rope.dims() / 2; ++i) {
      const auto [a, b] = pair_at(rope, i);
      const std::complex<double> from(bias[head + a], bias[head + b]);
      const Rope::Mean turn = rope.mean_angle(i, kPositions);
      const std::complex<double> mean = from * std::complex(turn.cos, turn.sin);
      center[head + a] = static_cast<float>(mean.real());
      center[head + b] = static_cast<float>(mean.imag());
      const double left = std::norm(from) * std::pow(rope.magnitude(), 2) - std::norm(mean);
      squares[head + a] += left / 2;
      squares[head + b] += left / 2;
    }
  }
  return center;
}

// The roots of one head's squares, none of which is far below the others; 1 of a head of zeros.
std::vector<double> sizes_of(std::span<const double> squares) {
  double mean = 0;
  for (const double square : squares) mean += square / static_cast<double>(squares.size());
  std::vector<double> sizes;
  for (const double square : squares) {
    sizes.push_back(mean > 0 ? std::max(std::sqrt(square / mean), kLeast) : 1);
  }
  return sizes;
}

}  // namespace

KeyBalance key_balance(const HeadMakers& queries, const HeadMakers& keys,
                       std::span<const float> input_norm, const tensor::HeadShape& shape,
                       const Rope& rope, bool may_center) {
  const auto size = static_cast<size_t>(shape.head_dim);
  const std::vector<double> of_queries = squares_of_queries(queries, input_norm, shape, rope);
  std::vector<double> of_keys = squares_of_weights(keys.weight, input_norm);
  KeyBalance made;
  if (may_center && !keys.bias.empty() && keys.head_norm.empty()) {
    made.key_center = take_center(keys.bias, size, rope, of_keys);
  } else {
    for (size_t i = 0; i < keys.bias.size(); ++i) of_keys[i] += std::pow(keys.bias[i], 2);
  }
  if (!keys.head_norm.empty()) apply_norm(keys.head_norm, of_keys);
  join_pairs(rope, size, of_keys);
  for (size_t head = 0; head < of_keys.size(); head += size) {
    const std::vector<double> k = sizes_of(std::span(of_keys).subspan(head, size));
    const std::vector<double> q = sizes_of(std::span(of_queries).subspan(head, size));
    for (size_t i = 0; i < size; ++i) {
      const auto factor = static_cast<float>(std::sqrt(k[i] / q[i]));
      made.query_factors.push_back(factor);
      made.key_factors.push_back(1.0F / factor);
      if (!made.key_center.empty()) made.key_center[head + i] /= factor;
    }
  }
  return made;
}

}  // namespace mill::model
