// The backend of this machine's cores: the kernels of one instruction set, and the sharing of work
// between the members of a team.
#pragma once

#include <memory>

#include "tensor/backend.h"
#include "tensor/cpu/kernels.h"

namespace mill::tensor {
// `kernels` must outlive the backend.
std::unique_ptr<Backend> make_cpu_backend(const Kernels& kernels);
}  // namespace mill::tensor
