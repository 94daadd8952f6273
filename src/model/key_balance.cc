#include "model/key_balance.h"

#include <algorithm>
#include <cmath>

#include "tensor/reference/dequantize.h"

namespace mill::model {
namespace {

// How much of a dimension's size is taken off its keys. All of it would be best if the weights told
// the sizes exactly; of 0.5, 0.75 and 1, this is nearest to the truth for smollm2 and qwen-coder.
constexpr double kShare = 0.75;

// The square expected of each number of a key, for inputs that are of one size before the norm's
// weights and know nothing of each other.
std::vector<double> expected_squares(const KeyMakers& makers, int64_t head_dim) {
  const tensor::Weight& weight = makers.weight;
  const int64_t row_size = tensor::row_bytes(weight.dtype, weight.cols);
  std::vector<float> row(static_cast<size_t>(weight.cols));
  std::vector<double> squares(static_cast<size_t>(weight.rows));
  for (size_t n = 0; n < squares.size(); ++n) {
    tensor::dequantize_row(weight.dtype, weight.data + static_cast<int64_t>(n) * row_size, row);
    for (size_t j = 0; j < row.size(); ++j) {
      squares[n] += std::pow(static_cast<double>(row[j]) * makers.input_norm[j], 2);
    }
    if (!makers.bias.empty()) squares[n] += std::pow(makers.bias[n], 2);
  }
  if (makers.head_norm.empty()) return squares;
  const auto size = static_cast<size_t>(head_dim);
  for (size_t head = 0; head < squares.size(); head += size) {
    double total = 0;
    for (size_t i = 0; i < size; ++i) total += squares[head + i];
    for (size_t i = 0; i < size; ++i) {
      squares[head + i] *= std::pow(makers.head_norm[i], 2) * static_cast<double>(size) / total;
    }
  }
  return squares;
}

}  // namespace

std::vector<float> query_factors(const KeyMakers& makers, const tensor::HeadShape& shape,
                                 const RopeConfig& rope) {
  std::vector<double> squares = expected_squares(makers, shape.head_dim);
  const auto size = static_cast<size_t>(shape.head_dim);
  const auto half = static_cast<size_t>(rope.dims / 2);
  std::vector<float> factors(squares.size());
  for (size_t head = 0; head < squares.size(); head += size) {
    double mean = 0;
    for (size_t i = 0; i < size; ++i) mean += squares[head + i] / static_cast<double>(size);
    for (size_t i = 0; i < half; ++i) {
      double& a = squares[head + (rope.half_split ? i : 2 * i)];
      double& b = squares[head + (rope.half_split ? i + half : 2 * i + 1)];
      a = b = (a + b) / 2;
    }
    for (size_t i = 0; i < size; ++i) {
      // A dimension that is hardly there must not become the one that decides.
      const double square = std::max(squares[head + i], mean * 1e-4);
      factors[head + i] = mean > 0 ? static_cast<float>(std::pow(square / mean, kShare / 2)) : 1.0F;
    }
  }
  return factors;
}

}  // namespace mill::model
