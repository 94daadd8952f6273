#include "app/cmd_models.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdio>
#include <memory>

#include "app/model_store.h"
#include "app/model_summary.h"
#include "app/progress.h"

namespace mill::app {
namespace {

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

ModelStore store_of(const Settings& settings) {
  return ModelStore(settings.path("models-dir"));
}

std::string bytes_or_dash(const std::optional<int64_t>& bytes) {
  return bytes ? bytes_text(static_cast<uint64_t>(*bytes)) : "-";
}

// "here", "12 % here", "".
std::string state_of(const ModelStore& store, const CatalogueModel& model) {
  if (store.has(model)) return "here";
  const uint64_t partial = store.partial_bytes(model);
  if (partial == 0) return "-";
  return model.size ? fmt::format("{} % here", partial * 100 / static_cast<uint64_t>(*model.size))
                    : "in part";
}

std::string list_text(const Catalogue& catalogue, const ModelStore& store) {
  std::string text = fmt::format("{:<21} {:>9} {:>9} {:>8}  {:<10} {}\n", "NAME", "SIZE", "MEMORY",
                                 "CONTEXT", "STATE", "WHAT IT IS [LICENCE]");
  for (const CatalogueModel& model : catalogue.models()) {
    const std::string mark = model.name == catalogue.default_model() ? "*" : "";
    const std::string licence = model.licence.empty() ? "licence not known" : model.licence;
    text += fmt::format("{:<21} {:>9} {:>9} {:>8}  {:<10} {} [{}]\n", model.name + mark,
                        bytes_or_dash(model.size), bytes_or_dash(model.memory),
                        model.context ? std::to_string(*model.context) : "-",
                        state_of(store, model), model.description, licence);
  }
  for (const std::string& file : store.files()) {
    if (catalogue.find_file(file) == nullptr)
      text += fmt::format("{} is in the folder and not in the catalogue\n", file);
  }
  return text + fmt::format("* is the default. Pulled models are in {}\n", store.folder().string());
}

std::string list_json(const Catalogue& catalogue, const ModelStore& store) {
  boost::json::array models;
  const auto optional = [](const std::optional<int64_t>& value) {
    return value ? boost::json::value(*value) : boost::json::value();
  };
  for (const CatalogueModel& model : catalogue.models()) {
    boost::json::array sources;
    for (const Source& source : model.sources)
      sources.push_back(boost::json::string(describe(source)));
    models.push_back(boost::json::object{{"name", model.name},
                                         {"description", model.description},
                                         {"file", model.file},
                                         {"sha256", model.sha256},
                                         {"size", optional(model.size)},
                                         {"memory", optional(model.memory)},
                                         {"context", optional(model.context)},
                                         {"licence", model.licence},
                                         {"default", model.name == catalogue.default_model()},
                                         {"here", store.has(model)},
                                         {"path", store.path_of(model).string()},
                                         {"sources", std::move(sources)}});
  }
  return boost::json::serialize(boost::json::object{{"folder", store.folder().string()},
                                                    {"models", std::move(models)}}) +
         "\n";
}

Status list_models(const Settings& settings) {
  MILL_TRY(const Catalogue catalogue, catalogue_of(settings));
  const ModelStore store = store_of(settings);
  print(settings.on("json") ? list_json(catalogue, store) : list_text(catalogue, store));
  return {};
}

std::string voucher_sentence(const PullRecord& record) {
  switch (record.voucher) {
    case Voucher::kCatalogue:
      return "its SHA-256 is the catalogue's";
    case Voucher::kHub:
      return "no checksum is known for this file in the catalogue; its SHA-256 is the one that the "
             "hub names, "
             "and is remembered: " +
             record.sha256;
    default:
      return "no checksum is known for this file; the one it has is remembered: " + record.sha256;
  }
}

Status pull_models(const Settings& settings, std::vector<std::string> names) {
  MILL_TRY(const Catalogue catalogue, catalogue_of(settings));
  if (names.empty()) names.push_back(catalogue.default_model());
  for (const std::string& name : names) {
    if (catalogue.find(name) == nullptr) return fail(unknown_model(name, catalogue));
  }
  ModelStore store = store_of(settings);
  for (const std::string& name : names) {
    MILL_TRY(const Pulled pulled, store.pull(*catalogue.find(name), fetch_options(settings)));
    if (settings.on("json")) {
      print(boost::json::serialize(boost::json::object{{"name", name},
                                                       {"path", pulled.path.string()},
                                                       {"sha256", pulled.record.sha256},
                                                       {"size", pulled.record.size},
                                                       {"source", pulled.record.source},
                                                       {"was_there", pulled.was_there}}) +
            "\n");
    } else if (pulled.was_there) {
      print(fmt::format("{} is there: {}\n", name, pulled.path.string()));
    } else {
      print(fmt::format("{} is at {} ({}, from {}; {})\n", name, pulled.path.string(),
                        bytes_text(static_cast<uint64_t>(pulled.record.size)), pulled.record.source,
                        voucher_sentence(pulled.record)));
    }
  }
  return {};
}

Status show_model(const Settings& settings, const std::string& name) {
  MILL_TRY(const std::filesystem::path path, resolve_model(name, settings));
  MILL_TRY(const model::Gguf file, model::Gguf::open(path));
  const ModelSummary summary = summarize(file);
  print(settings.on("json") ? summary_json(summary)
                            : "path           " + path.string() + "\n" + summary_text(summary));
  return {};
}

std::string_view word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kRight:
      return "right";
    case Verdict::kWrong:
      return "wrong";
    default:
      return "unknown";
  }
}

// One line for one verified file.
std::string report(const std::string& file, const Verification& result, bool json) {
  if (json) {
    return boost::json::serialize(boost::json::object{{"file", file},
                                                      {"verdict", word(result.verdict)},
                                                      {"sha256", result.sha256},
                                                      {"expected", result.expected}}) +
           "\n";
  }
  switch (result.verdict) {
    case Verdict::kRight:
      return fmt::format("{}: right, its SHA-256 is that of {}\n", file, result.source_of_sum);
    case Verdict::kWrong:
      return fmt::format("{}: WRONG, its SHA-256 is {} and that of {} is {}: pull it again\n", file,
                         result.sha256, result.source_of_sum, result.expected);
    default:
      return fmt::format("{}: no checksum is known for this file; its SHA-256 is {}\n", file,
                         result.sha256);
  }
}

Status verify_models(const Settings& settings, const std::vector<std::string>& names) {
  MILL_TRY(const Catalogue catalogue, catalogue_of(settings));
  const ModelStore store = store_of(settings);
  std::vector<std::string> files;
  for (const std::string& name : names) {
    const CatalogueModel* model = catalogue.find(name);
    if (model == nullptr) return fail(unknown_model(name, catalogue));
    if (!store.has(*model))
      return fail(Code::kNotFound, fmt::format("{} is not here: there is nothing to verify", name));
    files.push_back(model->file);
  }
  if (names.empty()) files = store.files();
  if (files.empty() && !settings.on("json"))
    print(fmt::format("There is no model in {}\n", store.folder().string()));
  int wrong = 0;
  for (const std::string& file : files) {
    MILL_TRY(const Verification result, store.verify(file, catalogue.find_file(file)));
    print(report(file, result, settings.on("json")));
    // A file that nobody knows is no fault of the folder, but it is no answer to whoever named it
    // either.
    if (result.verdict == Verdict::kWrong ||
        (result.verdict == Verdict::kUnknown && !names.empty()))
      ++wrong;
  }
  if (wrong > 0)
    return fail(Code::kCorrupt,
                fmt::format("{} of {} files could not be verified", wrong, files.size()));
  return {};
}

Status remove_models(const Settings& settings, const std::vector<std::string>& names) {
  MILL_TRY(const Catalogue catalogue, catalogue_of(settings));
  ModelStore store = store_of(settings);
  for (const std::string& name : names) {
    const CatalogueModel* model = catalogue.find(name);
    const std::vector<std::string> files = store.files();
    const bool stray = std::find(files.begin(), files.end(), name) != files.end();
    if (model == nullptr && !stray) return fail(unknown_model(name, catalogue));
    MILL_TRY_DO(store.remove(model != nullptr ? model->file : name));
    print(settings.on("json")
              ? boost::json::serialize(boost::json::object{{"removed", name}}) + "\n"
              : fmt::format("{} is removed\n", name));
  }
  return {};
}

}  // namespace

void add_models_command(CommandLine& line) {
  Command& models =
      line.add(nullptr, "models", "List, pull, show, verify and remove model files", 0, {});
  line.add(&models, "list", "List the catalogue and what is here of it", kModels,
           [](const Settings& settings) { return list_models(settings); });

  const auto pulled = std::make_shared<std::vector<std::string>>();
  line.add(&models, "pull", "Bring models here, whole and checked", kModels,
           [pulled](const Settings& settings) { return pull_models(settings, *pulled); })
      .add_option("NAME", *pulled, "names in the catalogue; none means its default");

  const auto shown = std::make_shared<std::string>();
  line.add(&models, "show", "Tell what a model file holds", kModels,
           [shown](const Settings& settings) { return show_model(settings, *shown); })
      .add_option("MODEL", *shown, "a path to a .gguf file, or the name of a pulled model")
      .required();

  const auto verified = std::make_shared<std::vector<std::string>>();
  line.add(&models, "verify", "Compare pulled files with their checksums", kModels,
           [verified](const Settings& settings) { return verify_models(settings, *verified); })
      .add_option("NAME", *verified, "names in the catalogue; none means every file that is here");

  const auto removed = std::make_shared<std::vector<std::string>>();
  line.add(&models, "rm", "Remove pulled models", kModels,
           [removed](const Settings& settings) { return remove_models(settings, *removed); })
      .add_option("NAME", *removed, "names in the catalogue, or of files in the models folder")
      .required();
}

}  // namespace mill::app
