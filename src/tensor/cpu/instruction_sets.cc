#include "tensor/cpu/instruction_sets.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mill::tensor {
namespace {

#if defined(__x86_64__)
bool has_half_conversions() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

}  // namespace

std::vector<const Kernels*> usable_kernels() {
  std::vector<const Kernels*> usable;
#if defined(__x86_64__)
  __builtin_cpu_init();
  // Each name is true only where the system also saves the registers. Every machine that has
  // AVX-512 VNNI has the parts of AVX-512 asked for here, but hypervisors may hide any of them.
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_half_conversions();
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vnni")) {
    usable.push_back(&avx512_kernels());
  }
  if (avx2) usable.push_back(&avx2_kernels());
#endif
  usable.push_back(&scalar_kernels());
  return usable;
}

}  // namespace mill::tensor
