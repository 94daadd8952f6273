#include "tensor/cpu/fill_kernels.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_avx512.h"

namespace mill::tensor {
void fill_avx512_kernels(Kernels& kernels) {
  fill_kernels<avx512::Simd>(kernels);
}
}  // namespace mill::tensor
