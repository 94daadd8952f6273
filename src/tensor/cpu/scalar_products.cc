#include "tensor/cpu/fill_products.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_portable.h"

namespace mill::tensor {
void fill_scalar_products(Kernels& kernels) {
  fill_products<portable::Simd>(kernels);
}
}  // namespace mill::tensor
