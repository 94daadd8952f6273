#include "tensor/cpu/fill_products.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_avx2.h"

namespace mill::tensor {
void fill_avx2_products(Kernels& kernels) {
  fill_products<avx2::Simd>(kernels);
}
}  // namespace mill::tensor
