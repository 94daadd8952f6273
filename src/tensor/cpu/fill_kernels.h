// The table of one instruction set, without its products. Included by its translation unit alone;
// see kernels.h.
#pragma once

#include "tensor/cpu/code_attention.h"
#include "tensor/cpu/few_attention.h"
#include "tensor/cpu/mixing.h"
#include "tensor/cpu/rows.h"
#include "tensor/cpu/value_attention.h"

namespace mill::tensor {

template <class S>
void attend(const AttendCall& call) {
  switch (call.kv->type) {
    case KvType::kF32:
      return ValueAttention<S, float>(call).run();
    case KvType::kF16:
      return ValueAttention<S, HalfNumber>(call).run();
    case KvType::kBF16:
      return ValueAttention<S, BfloatNumber>(call).run();
    case KvType::kI8:
      return CodeAttention<S>(call).run();
  }
}

template <class S>
void attend_heads(const AttendCall& call) {
  FewAttention<S>(call).run();
}

template <class S>
void fill_kernels(Kernels& kernels) {
  kernels.inverse_rms = inverse_rms<S>;
  kernels.norm = norm<S>;
  kernels.gated = gated<S>;
  kernels.encode = encode<S>;
  kernels.prepare_heads = prepare_heads<S>;
  kernels.to_half = to_half<S>;
  kernels.code_heads = code_heads<S>;
  kernels.spread = spread<S>;
  kernels.attend = attend<S>;
  if constexpr (S::kQueriesInLanes) kernels.attend_heads = attend_heads<S>;
}

}  // namespace mill::tensor
