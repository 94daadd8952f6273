#include "tensor/backend.h"

#include <string>

#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/instruction_sets.h"
#include "tensor/reference/reference_backend.h"

namespace mill::tensor {

std::vector<std::string_view> backend_names() {
  std::vector<std::string_view> names;
  for (const Kernels* kernels : usable_kernels()) names.emplace_back(kernels->name);
  names.emplace_back("reference");
  return names;
}

Result<std::unique_ptr<Backend>> make_backend(std::string_view name) {
  const std::vector<std::string_view> names = backend_names();
  if (name == "auto") name = names.front();
  if (name == "reference") return make_reference_backend();
  for (const Kernels* kernels : usable_kernels()) {
    if (name == kernels->name) return make_cpu_backend(*kernels);
  }
  std::string known;
  for (const std::string_view other : names) known.append(known.empty() ? "" : ", ").append(other);
  return fail(Code::kUnsupported,
              "no backend '" + std::string(name) + "' on this machine; there are: auto, " + known, "backend");
}

}  // namespace mill::tensor
