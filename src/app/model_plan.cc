#include "app/model_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "app/yaml.h"
#include "sim/profile.h"

namespace mill::app {
namespace {

constexpr size_t kLargestFile = 1 << 20;
constexpr size_t kLongestId = 200;
constexpr double kDay = 86400;

constexpr Setting kFields[] = {
    {"model", Kind::kText, 0, "", ""},
    {"id", Kind::kText, 0, "", ""},
    {"share", Kind::kReal, 0, "1", "", 0.001, 1000},
    {"ctx", Kind::kInteger, 0, "0", "", 0, 16777216},
    {"kv_memory", Kind::kBytes, 0, "0", "", 0, 0x1p42},
    {"preload", Kind::kSwitch, 0, "true", ""},
    {"idle_unload", Kind::kDuration, 0, "never", "", 0.1, 365 * kDay},
    {"ttl", Kind::kDuration, 0, "never", "", 0.1, 365 * kDay},
};

std::string names_of_fields() {
  std::string names;
  for (const Setting& field : kFields)
    names += (names.empty() ? "" : ", ") + std::string(field.name);
  return names;
}

Result<std::optional<Duration>> duration_or_never(const Setting& field, const std::string& text,
                                                  const std::string& subject) {
  if (text == "never") return std::optional<Duration>();
  auto value = parse_value(field, {text}, subject, {});
  if (!value) {
    Error error = std::move(value).error();
    error.message += ", nor 'never'";
    return fail(std::move(error));
  }
  return std::optional<Duration>(std::chrono::nanoseconds(std::get<int64_t>(*value)));
}

Status set_field(const Setting& field, const std::string& text, const std::string& subject,
                 ModelPlan& plan) {
  if (field.name == "idle_unload") {
    MILL_TRY(plan.idle_unload, duration_or_never(field, text, subject));
    return {};
  }
  if (field.name == "ttl") {
    MILL_TRY(plan.ttl, duration_or_never(field, text, subject));
    return {};
  }
  MILL_TRY(const Value value, parse_value(field, {text}, subject, {}));
  if (field.name == "model") plan.model = std::get<std::string>(value);
  if (field.name == "id") plan.id = std::get<std::string>(value);
  if (field.name == "share") plan.share = std::get<double>(value);
  if (field.name == "ctx") plan.context = std::get<int64_t>(value);
  if (field.name == "kv_memory") plan.kv_bytes = std::get<int64_t>(value);
  if (field.name == "preload") plan.preload = std::get<bool>(value);
  return {};
}

Status check_id(const std::string& id, const std::string& where) {
  const bool plain = std::none_of(id.begin(), id.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
  });
  if (!id.empty() && id.size() <= kLongestId && plain) return {};
  return fail(Code::kInvalid,
              fmt::format("{}id must have 1 to {} characters and no spaces", where, kLongestId),
              "id");
}

ModelPlan plan_by_settings(const Settings& settings) {
  ModelPlan plan;
  plan.context = settings.integer("ctx");
  const Duration idle = settings.duration("idle-unload");
  if (idle > Duration::zero()) plan.idle_unload = idle;
  return plan;
}

Error twice(const std::string& where, const std::string& id) {
  return {Code::kInvalid,
          fmt::format("{}two models are called '{}': give each once, or one of them another id",
                      where, id),
          "id"};
}

// An entry, with the lines of its fields.
Result<ModelPlan> plan_of_entry(const YAML::Node& entry, const std::string& path,
                                const Settings& settings) {
  MILL_TRY(const std::vector<YamlField> fields, yaml_fields(entry, path, "a model"));
  ModelPlan plan = plan_by_settings(settings);
  for (const YamlField& field : fields) {
    const std::string where = fmt::format("{}:{}: ", path, field.line);
    if (!field.value.IsScalar()) {
      return fail(Code::kInvalid,
                  fmt::format("{}{} must be a single value, not {}", where, field.key,
                              shape_of(field.value)),
                  field.key);
    }
    const auto* known = std::find_if(std::begin(kFields), std::end(kFields),
                                     [&](const Setting& one) { return one.name == field.key; });
    if (known == std::end(kFields)) {
      return fail(Code::kInvalid,
                  fmt::format("{}'{}' is not known of a model: it has {}", where, field.key,
                              names_of_fields()),
                  field.key);
    }
    MILL_TRY_DO(set_field(*known, field.value.Scalar(), where + field.key, plan));
  }
  const std::string where = fmt::format("{}:{}: ", path, line_of(entry));
  if (plan.model.empty()) {
    return fail(Code::kInvalid, where + "a model needs `model:` with a catalogue name or a path",
                "model");
  }
  if (plan.id.empty()) plan.id = id_of_model(plan.model);
  MILL_TRY_DO(check_id(plan.id, where));
  return plan;
}

}  // namespace

std::string id_of_model(const std::string& model) {
  if (sim::is_sim(model)) return model.substr(0, model.find(','));
  const bool is_path = model.find('/') != std::string::npos || model.ends_with(".gguf");
  return is_path ? std::filesystem::path(model).stem().string() : model;
}

Result<ModelPlan> model_plan_of(const gateway::ModelWish& fields, const Settings& settings,
                                const std::string& where) {
  ModelPlan plan = plan_by_settings(settings);
  std::set<std::string> seen;
  for (const auto& [name, text] : fields) {
    const auto* known =
        std::find_if(std::begin(kFields), std::end(kFields),
                     [&name = name](const Setting& one) { return one.name == name; });
    if (known == std::end(kFields)) {
      return fail(Code::kInvalid,
                  fmt::format("{}'{}' is not known of a model: it has {}", where,
                              name.substr(0, 64), names_of_fields()),
                  name.substr(0, 64));
    }
    if (!seen.insert(name).second)
      return fail(Code::kInvalid, fmt::format("{}'{}' is given twice", where, name), name);
    MILL_TRY_DO(set_field(*known, text, where + name, plan));
  }
  if (plan.model.empty()) {
    return fail(Code::kInvalid, where + "'model' must name a model: a catalogue name or a path",
                "model");
  }
  if (plan.id.empty()) plan.id = id_of_model(plan.model);
  MILL_TRY_DO(check_id(plan.id, where));
  return plan;
}

Result<std::vector<ModelPlan>> read_models_file(const std::string& path, const Settings& settings) {
  MILL_TRY(const std::string text, read_small_file(path, kLargestFile));
  MILL_TRY(const YAML::Node root, parse_yaml(text, path));
  std::vector<ModelPlan> plans;
  if (root.IsNull()) return plans;
  if (!root.IsSequence()) {
    return fail(Code::kInvalid,
                fmt::format("{}:{}: a file of models must be a list (- model: …), not {}", path,
                            line_of(root), shape_of(root)));
  }
  std::set<std::string> ids;
  for (const YAML::Node& entry : root) {
    MILL_TRY(ModelPlan plan, plan_of_entry(entry, path, settings));
    if (!ids.insert(plan.id).second)
      return fail(twice(fmt::format("{}:{}: ", path, line_of(entry)), plan.id));
    plans.push_back(std::move(plan));
  }
  return plans;
}

Result<std::vector<ModelPlan>> model_plans(const Settings& settings) {
  const std::filesystem::path file = settings.path("models");
  std::vector<ModelPlan> plans;
  std::set<std::string> ids;
  for (const std::string& name : settings.texts("model")) {
    MILL_TRY(ModelPlan plan, model_plan_of({{"model", name}}, settings, "--model: "));
    if (!ids.insert(plan.id).second) return fail(twice("", plan.id));
    plans.push_back(std::move(plan));
  }
  if (!file.empty()) {
    MILL_TRY(std::vector<ModelPlan> listed, read_models_file(file.string(), settings));
    for (ModelPlan& plan : listed) {
      if (!ids.insert(plan.id).second)
        return fail(twice(fmt::format("--model and {}: ", file.string()), plan.id));
      plans.push_back(std::move(plan));
    }
  } else if (plans.empty()) {
    return fail(
        Code::kInvalid,
        "no model to serve: give --model with a catalogue name (tokenmill models list) or a path, "
        "or --models with a file that lists some",
        "model");
  }
  if (plans.size() > kMostModels) {
    return fail(Code::kInvalid,
                fmt::format("there are {} models, and a server holds {} at most", plans.size(),
                            kMostModels),
                "models");
  }
  return plans;
}

}  // namespace mill::app
