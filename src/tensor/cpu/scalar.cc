#include "tensor/cpu/fill_kernels.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_portable.h"

namespace mill::tensor {
void fill_scalar_kernels(Kernels& kernels) {
  fill_kernels<portable::Simd>(kernels);
}
}  // namespace mill::tensor
