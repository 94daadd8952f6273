#include "tensor/cpu/instruction_sets.h"

#if defined(MILL_X86_KERNELS)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace mill::tensor {
namespace {

#if defined(MILL_X86_KERNELS)
bool has_half_conversions() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

// AMX-TILE, AMX-INT8 and AMX-BF16 (CPUID leaf 7, edx 24, 25 and 22), and the system lets this
// process keep tiles: Linux gives their 8 KiB of state to who asks
// (arch_prctl(ARCH_REQ_XCOMP_PERM), "Using XSTATE features in user space applications").
bool may_use_tiles() {
#if defined(__linux__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kTiles = 1U << 22 | 1U << 24 | 1U << 25;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (edx & kTiles) != kTiles)
    return false;
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

using Fill = void (*)(Kernels&);
Kernels table_of(const char* name, Fill fill_kernels, Fill fill_products) {
  Kernels made;
  made.name = name;
  fill_kernels(made);
  fill_products(made);
  return made;
}

#if defined(MILL_X86_KERNELS)
Kernels with_tiles(const Kernels& avx512) {
  Kernels made = avx512;
  made.name = "amx";
  fill_amx_kernels(made);
  fill_amx_products(made);
  return made;
}
#endif

}  // namespace

std::vector<const Kernels*> usable_kernels() {
  std::vector<const Kernels*> usable;
#if defined(MILL_X86_KERNELS)
  __builtin_cpu_init();
  // Each name is true only where the system also saves the registers. Every machine that has
  // AVX-512 VNNI has the parts of AVX-512 asked for here, but hypervisors may hide any of them.
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_half_conversions();
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vnni")) {
    static const Kernels kAvx512 = table_of("avx512", fill_avx512_kernels, fill_avx512_products);
    static const bool kTiles = __builtin_cpu_supports("avx512vbmi") &&
                               __builtin_cpu_supports("avx512bf16") && may_use_tiles();
    if (kTiles) {
      static const Kernels kAmx = with_tiles(kAvx512);
      usable.push_back(&kAmx);
    }
    usable.push_back(&kAvx512);
  }
  if (avx2) {
    static const Kernels kAvx2 = table_of("avx2", fill_avx2_kernels, fill_avx2_products);
    usable.push_back(&kAvx2);
  }
#endif
  static const Kernels kScalar = table_of("scalar", fill_scalar_kernels, fill_scalar_products);
  usable.push_back(&kScalar);
  return usable;
}

}  // namespace mill::tensor
