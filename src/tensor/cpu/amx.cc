#include "tensor/cpu/instruction_sets.h"
#include "tensor/cpu/prompt_attention.h"
#include "tensor/cpu/rows.h"
#include "tensor/cpu/simd_amx.h"
#include "tensor/cpu/tile_attention.h"

namespace mill::tensor {
void fill_amx_kernels(Kernels& kernels) {
  kernels.norm = norm<amx::Simd>;
  kernels.gated = gated<amx::Simd>;
  kernels.encode = encode<amx::Simd>;
  kernels.attend_by_tiles = tile_attend<amx::Simd>;
  kernels.attend_prompt = attend_prompt<amx::Simd>;
}
}  // namespace mill::tensor
