#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/prompt_attention.h"
#include "tensor/cpu/simd_amx.h"
#include "tensor/cpu/tile_attention.h"

namespace mill::tensor {
void fill_amx_kernels(Kernels& kernels) {
  kernels.attend_by_tiles = tile_attend<amx::Simd>;
  kernels.attend_prompt = attend_prompt<amx::Simd>;
}
}  // namespace mill::tensor
