#include "tensor/cpu/fill_kernels.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_avx2.h"

namespace mill::tensor {
const Kernels& avx2_kernels() {
  static constexpr Kernels kKernels = fill_kernels<avx2::Simd>("avx2");
  return kKernels;
}
}  // namespace mill::tensor
