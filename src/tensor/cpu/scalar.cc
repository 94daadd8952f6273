#include "tensor/cpu/fill_kernels.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_portable.h"

namespace mill::tensor {
const Kernels& scalar_kernels() {
  static constexpr Kernels kKernels = fill_kernels<portable::Simd>("scalar");
  return kKernels;
}
}  // namespace mill::tensor
