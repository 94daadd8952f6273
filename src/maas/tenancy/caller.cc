#include "maas/tenancy/caller.h"

#include <fmt/format.h>

#include <algorithm>

namespace mill::maas {

bool Caller::allows(std::string_view model) const {
  return !only || only->models.empty() ||
         std::find(only->models.begin(), only->models.end(), model) != only->models.end();
}

Status Caller::may_infer(std::string_view model) const {
  if (admin)
    return fail(Code::kPermission, "an admin key cannot ask a model; use a key of a project",
                "scope");
  if (!allows(model))
    return fail(Code::kPermission,
                fmt::format("this key may not use the model '{}'", model.substr(0, 128)), "model");
  return {};
}

Status Caller::may_administrate() const {
  if (!admin)
    return fail(Code::kPermission, "a key of a project cannot administrate; use an admin key",
                "scope");
  return {};
}

}  // namespace mill::maas
