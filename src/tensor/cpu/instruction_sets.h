// Which kernels this binary holds, and which of them this machine can run.
#pragma once

#include <vector>

#include "tensor/cpu/kernels.h"

namespace mill::tensor {

// An instruction set's part of a table, in two translation units; amx, avx512 and avx2 are only
// in binaries for x86-64.
void fill_amx_kernels(Kernels& kernels);  // what goes by tiles
void fill_amx_products(Kernels& kernels);
void fill_avx512_kernels(Kernels& kernels);
void fill_avx512_products(Kernels& kernels);
void fill_avx2_kernels(Kernels& kernels);
void fill_avx2_products(Kernels& kernels);
void fill_scalar_kernels(Kernels& kernels);
void fill_scalar_products(Kernels& kernels);

// Of this machine, fastest first; the last is always "scalar".
std::vector<const Kernels*> usable_kernels();

}  // namespace mill::tensor
