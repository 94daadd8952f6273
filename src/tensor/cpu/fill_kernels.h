// The table of one instruction set. Included by its translation unit alone; see kernels.h.
#pragma once

#include "tensor/cpu/attention.h"
#include "tensor/cpu/code_products.h"
#include "tensor/cpu/rows.h"
#include "tensor/cpu/value_products.h"

namespace mill::tensor {

template <class S>
constexpr Kernels fill_kernels(const char* name) {
  Kernels kernels;
  kernels.name = name;
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
  kernels.norm = norm<S>;
  kernels.gated = gated<S>;
  kernels.encode = encode<S>;
  kernels.prepare_head = prepare_head<S>;
  kernels.to_half = to_half<S>;
  kernels.attend = attend<S>;
  return kernels;
}

}  // namespace mill::tensor
