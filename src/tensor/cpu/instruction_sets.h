// Which kernels this binary holds, and which of them this machine can run.
#pragma once

#include <vector>

#include "tensor/cpu/kernels.h"

namespace mill::tensor {

const Kernels& avx512_kernels();  // only in binaries for x86-64; the same of avx2
const Kernels& avx2_kernels();
const Kernels& scalar_kernels();

// Of this machine, fastest first; the last is always "scalar".
std::vector<const Kernels*> usable_kernels();

}  // namespace mill::tensor
