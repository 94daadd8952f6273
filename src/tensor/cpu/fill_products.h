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
  each_code_type([&]<DType kType>() {
    using Group = FileGroup<S, kType>;
    constexpr int kIndex = static_cast<int>(kType);
    set(kType, code_product<S, kType>);
    if constexpr (kAsWords<S, kType>) {
      kernels.widen_codes[kIndex] = widen_codes<S>;
      kernels.widens_codes = true;
    }
    if constexpr (kSumTerms<S, Group> || kStartTerms<S, Group>) {
      kernels.make_terms[kIndex] = make_terms<S, Group::kZero>;
    }
  });
}

}  // namespace mill::tensor
