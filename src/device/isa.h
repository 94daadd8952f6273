// The instruction sets of this processor that matter to the kernels: what the processor has (cpuid)
// and the system lets programs use (xgetbv). On other processors than x86-64 what the kernel
// reports (hwcap).
#pragma once

#include <string_view>
#include <vector>

namespace mill::device {

struct IsaFlag {
  std::string_view name;  // "avx512_vnni"
  bool usable = false;
};

// In a fixed order, the older ones first.
const std::vector<IsaFlag>& isa_flags();

bool has_isa(std::string_view name);

}  // namespace mill::device
