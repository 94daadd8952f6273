// The products of one instruction set. Included by a translation unit of their own, as they take
// most of the time to compile; see kernels.h.
#pragma once

#include "tensor/cpu/code_products.h"
#include "tensor/cpu/value_products.h"

namespace mill::tensor {

template <class S>
void fill_products(Kernels& kernels) {
  const auto set = [&](DType dtype, void (*product)(const PanelCall&)) {
    kernels.product[static_cast<int>(dtype)] = product;
  };
  set(DType::kF32, value_product<S, DType::kF32>);
  set(DType::kF16, value_product<S, DType::kF16>);
  set(DType::kBF16, value_product<S, DType::kBF16>);
  each_code_type([&]<DType kType>() { set(kType, code_product<S, kType>); });
  if constexpr (S::kSumsAsFloats) kernels.widen_sums = widen_sums<S>;
}

}  // namespace mill::tensor
