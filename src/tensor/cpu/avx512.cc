#include "tensor/cpu/fill_kernels.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_avx512.h"

namespace mill::tensor {
const Kernels& avx512_kernels() {
  static constexpr Kernels kKernels = fill_kernels<avx512::Simd>("avx512");
  return kKernels;
}
}  // namespace mill::tensor
