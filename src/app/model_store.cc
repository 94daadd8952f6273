#include "app/model_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <system_error>

#include "app/yaml.h"
#include "base/clock.h"
#include "model/gguf.h"
#include "net/checksum.h"

namespace mill::app {
namespace {

constexpr size_t kLargestRecord = 64 << 10;

std::string_view word(Voucher voucher) {
  switch (voucher) {
    case Voucher::kCatalogue:
      return "catalogue";
    case Voucher::kHub:
      return "hub";
    default:
      return "first-use";
  }
}

std::filesystem::path record_path(const std::filesystem::path& file) {
  return file.string() + ".origin";
}

uint64_t size_of(const std::filesystem::path& path) {
  std::error_code none;
  const auto size = std::filesystem::file_size(path, none);
  return none ? 0 : size;
}

// A file that no checksum vouches for must at least be a model file from end to end.
Status check_form(const CatalogueModel& model, net::PartialFile& file) {
  const auto opened = model::Gguf::open(file.path());
  if (opened || opened.error().code == Code::kUnsupported) return {};
  MILL_TRY_DO(file.clear());
  return fail(Code::kCorrupt, fmt::format("what came for {} is no good model file: {}", model.name,
                                          opened.error().message));
}

}  // namespace

bool ModelStore::has(const CatalogueModel& model) const {
  std::error_code none;
  return std::filesystem::is_regular_file(path_of(model), none);
}

uint64_t ModelStore::partial_bytes(const CatalogueModel& model) const {
  return size_of(path_of(model).string() + ".partial");
}

std::optional<PullRecord> ModelStore::record_of(const std::string& file) const {
  const std::string path = record_path(folder_ / file).string();
  const auto text = read_small_file(path, kLargestRecord);
  if (!text) return std::nullopt;
  const auto root = parse_yaml(*text, path);
  if (!root) return std::nullopt;
  const auto fields = yaml_fields(*root, path, "a record");
  if (!fields) return std::nullopt;
  PullRecord record;
  for (const YamlField& field : *fields) {
    if (!field.value.IsScalar()) return std::nullopt;
    const std::string& value = field.value.Scalar();
    if (field.key == "name") record.name = value;
    if (field.key == "sha256") record.sha256 = value;
    if (field.key == "source") record.source = value;
    if (field.key == "size") record.size = std::strtoll(value.c_str(), nullptr, 10);
    if (field.key == "pulled-at") record.pulled_at = std::strtoll(value.c_str(), nullptr, 10);
    if (field.key == "voucher" && value == "catalogue") record.voucher = Voucher::kCatalogue;
    if (field.key == "voucher" && value == "hub") record.voucher = Voucher::kHub;
  }
  if (!net::is_sha256(record.sha256)) return std::nullopt;
  return record;
}

Status ModelStore::write_record(const std::string& file, const PullRecord& record) const {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "name" << YAML::Value << record.name << YAML::Key
      << "sha256" << YAML::Value << record.sha256 << YAML::Key << "size" << YAML::Value
      << record.size << YAML::Key << "source" << YAML::Value << record.source << YAML::Key
      << "voucher" << YAML::Value << std::string(word(record.voucher)) << YAML::Key << "pulled-at"
      << YAML::Value << record.pulled_at << YAML::EndMap;
  const std::string text = std::string(out.c_str()) + "\n";
  MILL_TRY(net::PartialFile partial, net::PartialFile::open(record_path(folder_ / file)));
  MILL_TRY_DO(partial.clear());
  MILL_TRY_DO(partial.append(std::as_bytes(std::span(text))));
  return partial.commit();
}

std::vector<std::string> ModelStore::files() const {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder_, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code none;
    if (at->path().extension() == ".gguf" && at->is_regular_file(none))
      names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A file that is here already: kept when its bytes are those of the catalogue, or of the first
// pull.
Result<Pulled> ModelStore::adopt(const CatalogueModel& model) const {
  const auto record = record_of(model.file);
  MILL_TRY(const Verification found, verify(model.file, &model));
  if (found.verdict != Verdict::kRight) {
    return fail(Code::kCorrupt, found.verdict == Verdict::kWrong ? "its SHA-256 is wrong"
                                                                 : "nothing vouches for it");
  }
  const std::filesystem::path path = path_of(model);
  if (record && record->sha256 == found.sha256) return Pulled{path, *record, true};
  const PullRecord fresh{model.name,
                         found.sha256,
                         static_cast<int64_t>(size_of(path)),
                         "a file that was there",
                         Voucher::kCatalogue,
                         unix_seconds()};
  MILL_TRY_DO(write_record(model.file, fresh));
  return Pulled{path, fresh, true};
}

Result<Pulled> ModelStore::pull(const CatalogueModel& model, const FetchOptions& options) {
  Progress progress(model.name, Progress::Unit::kBytes);
  MILL_TRY(net::PartialFile file, net::PartialFile::open(path_of(model)));
  if (has(model)) {
    auto there = adopt(model);
    if (there) {
      file.discard();
      return there;
    }
    progress.say(fmt::format("{} is there, and {}; pulling it anew", path_of(model).string(),
                             there.error().message));
  }
  std::string reasons;
  for (const Source& source : model.sources) {
    progress.say("trying " + describe(source));
    auto fetched = fetch(source, model, options, file, progress);
    Status form;
    if (fetched && model.sha256.empty() && fetched->linked_sha256.empty())
      form = check_form(model, file);
    if (fetched && form) {
      const Voucher voucher = !model.sha256.empty()             ? Voucher::kCatalogue
                              : !fetched->linked_sha256.empty() ? Voucher::kHub
                                                                : Voucher::kFirstUse;
      const PullRecord record{model.name,       fetched->sha256, static_cast<int64_t>(file.size()),
                              describe(source), voucher,         unix_seconds()};
      MILL_TRY_DO(file.commit());
      MILL_TRY_DO(write_record(model.file, record));
      return Pulled{path_of(model), record, false};
    }
    const Error& error = fetched ? form.error() : fetched.error();
    reasons += (reasons.empty() ? "" : "; ") + error.message;
    if (&source != &model.sources.back()) progress.say(error.message);
  }
  if (file.size() == 0) file.discard();
  return fail(Code::kIo, fmt::format("{} could not be pulled: {}", model.name, reasons));
}

Result<Verification> ModelStore::verify(const std::string& file,
                                        const CatalogueModel* model) const {
  const std::filesystem::path path = folder_ / file;
  Verification result;
  const auto record = record_of(file);
  if (model != nullptr && !model->sha256.empty()) {
    result.expected = model->sha256;
    result.source_of_sum = "the catalogue";
  } else if (record) {
    result.expected = record->sha256;
    result.source_of_sum =
        record->voucher == Voucher::kHub ? "the hub, when it was pulled" : "the first pull";
  }
  Progress progress(file, Progress::Unit::kBytes);
  const uint64_t total = size_of(path);
  MILL_TRY(result.sha256,
           net::sha256_of_file(path, [&](uint64_t done) { progress.show(done, total); }));
  if (!result.expected.empty())
    result.verdict = result.sha256 == result.expected ? Verdict::kRight : Verdict::kWrong;
  return result;
}

Status ModelStore::remove(const std::string& file) {
  const std::filesystem::path path = folder_ / file;
  std::error_code none;
  const bool partial = std::filesystem::exists(path.string() + ".partial", none);
  if (!partial && !std::filesystem::exists(path, none)) {
    return fail(Code::kNotFound, fmt::format("there is no {} in {}", file, folder_.string()));
  }
  MILL_TRY(net::PartialFile held, net::PartialFile::open(path));  // so that no pull is at it
  std::error_code error;
  std::filesystem::remove(path, error);
  if (error)
    return fail(Code::kPermission,
                fmt::format("cannot remove {}: {}", path.string(), error.message()));
  std::filesystem::remove(record_path(path), none);
  std::filesystem::remove_all(unpack_folder(path), none);
  held.discard();
  return {};
}

}  // namespace mill::app
