#include "tensor/cpu/fill_kernels.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_avx2.h"

namespace mill::tensor {
void fill_avx2_kernels(Kernels& kernels) {
  fill_kernels<avx2::Simd>(kernels);
}
}  // namespace mill::tensor
