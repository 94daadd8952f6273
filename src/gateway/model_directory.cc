#include "gateway/model_directory.h"

namespace mill::gateway {

FixedModels::FixedModels(std::vector<ServedModel> models) {
  for (ServedModel& model : models) {
    models_.push_back(std::make_shared<const ServedModel>(std::move(model)));
  }
}

ModelDirectory::Found FixedModels::find(std::string_view id) {
  for (const ModelLease& model : models_) {
    if (model->id == id) return {model, true};
  }
  return {};
}

Task<Result<ModelLease>> FixedModels::wait_for(std::string id) {
  Found found = find(id);
  if (found.lease) co_return std::move(found.lease);
  co_return fail(Code::kNotFound, "there is no such model here", "model");
}

std::vector<KnownModel> FixedModels::list() const {
  std::vector<KnownModel> known;
  for (const ModelLease& model : models_) {
    known.push_back({model->id, model->created, model->context_tokens, model});
  }
  return known;
}

}  // namespace mill::gateway
