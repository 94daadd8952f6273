#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/prompt_products.h"
#include "tensor/cpu/simd_amx.h"

namespace mill::tensor {
namespace {
void enter() {
  amx::Simd::shape_product_tiles();
}
void leave() {
  amx::Simd::release_tiles();
}
}  // namespace

void fill_amx_products(Kernels& kernels) {
  kernels.enter_tiles = enter;
  kernels.leave_tiles = leave;
  fill_prompt_products<amx::Simd>(kernels);
}
}  // namespace mill::tensor
