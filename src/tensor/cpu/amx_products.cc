#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/simd_amx.h"
#include "tensor/cpu/tile_products.h"

namespace mill::tensor {
namespace {
void leave() {
  amx::Simd::release_tiles();
}
}  // namespace

void fill_amx_products(Kernels& kernels) {
  kernels.leave_tiles = leave;
  fill_tiled_products<amx::Simd>(kernels);
}
}  // namespace mill::tensor
