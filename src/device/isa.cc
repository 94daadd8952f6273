#include "device/isa.h"

#include <algorithm>
#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace mill::device {
namespace {

#if defined(__x86_64__)

struct Registers {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d) == 0) return {};
  return r;
}

// The register states that the system saves for programs (XCR0).  Requires: OSXSAVE.
uint64_t saved_states() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Bits as in Intel's Software Developer's Manual, volume 2A, CPUID.
std::vector<IsaFlag> read_flags() {
  const auto bit = [](uint32_t word, int index) { return (word >> index & 1) != 0; };
  const Registers one = cpuid(1, 0);
  const Registers seven = cpuid(7, 0);
  const Registers seven_one = cpuid(7, 1);
  const uint64_t states = bit(one.c, 27) ? saved_states() : 0;
  const bool ymm = (states & 0x6) == 0x6;
  const bool zmm = (states & 0xe6) == 0xe6;
  const bool tiles = (states & 0x60000) == 0x60000;
  return {{"sse4_2", bit(one.c, 20)},
          {"avx", ymm && bit(one.c, 28)},
          {"f16c", ymm && bit(one.c, 29)},
          {"fma", ymm && bit(one.c, 12)},
          {"avx2", ymm && bit(seven.b, 5)},
          {"avx_vnni", ymm && bit(seven_one.a, 4)},
          {"avx512f", zmm && bit(seven.b, 16)},
          {"avx512bw", zmm && bit(seven.b, 30)},
          {"avx512vl", zmm && bit(seven.b, 31)},
          {"avx512_vnni", zmm && bit(seven.c, 11)},
          {"avx512_bf16", zmm && bit(seven_one.a, 5)},
          {"amx_tile", tiles && bit(seven.d, 24)},
          {"amx_int8", tiles && bit(seven.d, 25)},
          {"amx_bf16", tiles && bit(seven.d, 22)}};
}

#elif defined(__aarch64__)

// Bits as in the Linux kernel's arch/arm64/include/uapi/asm/hwcap.h.
std::vector<IsaFlag> read_flags() {
  const unsigned long one = ::getauxval(AT_HWCAP);
  const unsigned long two = ::getauxval(AT_HWCAP2);
  const auto bit = [](unsigned long word, int index) { return (word >> index & 1) != 0; };
  return {{"neon", bit(one, 1)}, {"fp16", bit(one, 10)}, {"dotprod", bit(one, 20)},
          {"sve", bit(one, 22)}, {"sve2", bit(two, 1)},  {"i8mm", bit(two, 13)},
          {"bf16", bit(two, 14)}};
}

#else

std::vector<IsaFlag> read_flags() {
  return {};
}

#endif

}  // namespace

const std::vector<IsaFlag>& isa_flags() {
  static const std::vector<IsaFlag> flags = read_flags();
  return flags;
}

bool has_isa(std::string_view name) {
  const std::vector<IsaFlag>& flags = isa_flags();
  return std::any_of(flags.begin(), flags.end(),
                     [&](const IsaFlag& flag) { return flag.name == name && flag.usable; });
}

}  // namespace mill::device
