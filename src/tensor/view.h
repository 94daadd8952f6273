// Matrices of f32 that somebody else owns.
#pragma once

#include <cstdint>
#include <type_traits>

namespace mill::tensor {

// [rows, cols] f32, row r at data + r * stride.  Requires: stride >= cols.
template <class T>
struct MatrixOf {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  T* row(int64_t r) const { return data + r * stride; }
  operator MatrixOf<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, rows, cols, stride};
  }
};
using Matrix = MatrixOf<float>;
using ConstMatrix = MatrixOf<const float>;

}  // namespace mill::tensor
