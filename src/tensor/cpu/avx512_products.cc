#include "tensor/cpu/fill_products.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_avx512.h"

namespace mill::tensor {
void fill_avx512_products(Kernels& kernels) {
  fill_products<avx512::Simd>(kernels);
}
}  // namespace mill::tensor
