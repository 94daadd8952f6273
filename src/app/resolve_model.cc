// Names and paths of models, for every command that takes one (model_store.h).
#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "app/model_store.h"

namespace mill::app {
namespace {

bool is_path(const std::string& text) {
  constexpr std::string_view kEnding = ".gguf";
  const bool ends = text.size() > kEnding.size() &&
                    text.compare(text.size() - kEnding.size(), kEnding.size(), kEnding) == 0;
  return ends || text.find('/') != std::string::npos;
}

Result<std::filesystem::path> existing_file(const std::string& given) {
  const std::filesystem::path path = expand_path(given, system_environment());
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::is_regular_file(status)) return path;
  if (std::filesystem::is_directory(status)) {
    return fail(Code::kNotFound,
                fmt::format("{} is a folder: name the .gguf file in it", path.string()));
  }
  if (std::filesystem::exists(status))
    return fail(Code::kNotFound, fmt::format("{} is not a regular file", path.string()));
  if (error && error.value() == EACCES) {
    return fail(Code::kPermission, fmt::format("no permission to look at {}", path.string()));
  }
  return fail(Code::kNotFound, fmt::format("there is no file {}", path.string()));
}

// How much of the shorter name both share from the start: a cheap likeness that fits names like
// qwen3-4b.
size_t likeness(std::string_view a, std::string_view b) {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(end - a.begin());
}

}  // namespace

Result<Catalogue> catalogue_of(const Settings& settings) {
  const bool asked = settings.origin("catalogue").kind != OriginKind::kDefault;
  return Catalogue::load(settings.path("catalogue"), asked);
}

Error unknown_model(const std::string& name, const Catalogue& catalogue) {
  std::string nearest;
  size_t best = 2;  // fewer common letters than this and one say nothing
  for (const CatalogueModel& model : catalogue.models()) {
    if (likeness(name, model.name) > best) {
      best = likeness(name, model.name);
      nearest = model.name;
    }
  }
  const std::string hint = nearest.empty() ? "" : fmt::format("did you mean {}? ", nearest);
  return {Code::kNotFound,
          fmt::format("'{}' is no model of the catalogue and no path: {}`tokenmill models list` "
                      "shows what there is",
                      name.substr(0, 80), hint),
          {}};
}

Result<std::filesystem::path> resolve_model(const std::string& name_or_path,
                                            const Settings& settings) {
  if (is_path(name_or_path)) return existing_file(name_or_path);
  MILL_TRY(const Catalogue catalogue, catalogue_of(settings));
  const CatalogueModel* model = catalogue.find(name_or_path);
  if (model == nullptr) return fail(unknown_model(name_or_path, catalogue));
  ModelStore store(settings.path("models-dir"));
  if (!store.has(*model)) {
    if (!settings.on("pull")) {
      const std::string size =
          model->size ? fmt::format(" ({})", bytes_text(static_cast<uint64_t>(*model->size))) : "";
      return fail(Code::kNotFound,
                  fmt::format("{} is not here yet: `tokenmill models pull {}` brings it{}",
                              model->name, model->name, size));
    }
    MILL_TRY(const Pulled pulled, store.pull(*model, fetch_options(settings)));
    return pulled.path;
  }
  std::error_code none;
  const auto size = std::filesystem::file_size(store.path_of(*model), none);
  if (model->size && static_cast<int64_t>(size) != *model->size) {
    return fail(
        Code::kCorrupt,
        fmt::format("{} has {} bytes and should have {}: `tokenmill models pull {}` mends it",
                    store.path_of(*model).string(), size, *model->size, model->name));
  }
  return store.path_of(*model);
}

}  // namespace mill::app
