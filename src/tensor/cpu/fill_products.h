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
  set(DType::kQ4_0, code_product<S, DType::kQ4_0>);
  set(DType::kQ4_1, code_product<S, DType::kQ4_1>);
  set(DType::kQ5_0, code_product<S, DType::kQ5_0>);
  set(DType::kQ5_1, code_product<S, DType::kQ5_1>);
  set(DType::kQ8_0, code_product<S, DType::kQ8_0>);
  set(DType::kQ2_K, code_product<S, DType::kQ2_K>);
  set(DType::kQ3_K, code_product<S, DType::kQ3_K>);
  set(DType::kQ4_K, code_product<S, DType::kQ4_K>);
  set(DType::kQ5_K, code_product<S, DType::kQ5_K>);
  set(DType::kQ6_K, code_product<S, DType::kQ6_K>);
  set(DType::kIQ4_NL, code_product<S, DType::kIQ4_NL>);
  set(DType::kIQ4_XS, code_product<S, DType::kIQ4_XS>);
}

}  // namespace mill::tensor
