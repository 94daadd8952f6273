// The folder of pulled models: each file beside a small record of where it came from and what its
// SHA-256 was. A file is in the folder under its own name only when it was whole and right.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/catalogue.h"
#include "app/model_sources.h"
#include "base/result.h"

namespace mill::app {

// What vouched for a pulled file.
enum class Voucher { kCatalogue, kHub, kFirstUse };

// Kept beside a file as FILE.origin, in YAML.
struct PullRecord {
  std::string name;    // of the model in the catalogue
  std::string sha256;  // of the file when it was pulled
  int64_t size = 0;    // bytes
  std::string source;  // describe(Source)
  Voucher voucher = Voucher::kFirstUse;
  int64_t pulled_at = 0;  // unix seconds
};

struct Pulled {
  std::filesystem::path path;
  PullRecord record;
  bool was_there = false;  // nothing had to be fetched
};

enum class Verdict { kRight, kWrong, kUnknown };  // kUnknown: there is nothing to compare with
struct Verification {
  Verdict verdict = Verdict::kUnknown;
  std::string sha256;         // of the file now
  std::string expected;       // empty with kUnknown
  std::string source_of_sum;  // "the catalogue", "the first pull"
};

class ModelStore {
 public:
  explicit ModelStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path path_of(const CatalogueModel& model) const { return folder_ / model.file; }
  bool has(const CatalogueModel& model) const;
  // Bytes of an unfinished pull; 0 without one.
  uint64_t partial_bytes(const CatalogueModel& model) const;
  // Nothing when the file has no record or the record cannot be read.
  std::optional<PullRecord> record_of(const std::string& file) const;
  // The names of all .gguf files in the folder, sorted. Empty where there is no folder.
  std::vector<std::string> files() const;

  // Brings the model here, from the first source that gives the right file. Says on `progress` what
  // it tries. kCorrupt, kIo, … with one sentence that tells what went wrong at each source;
  // kOverloaded when another process is at it.
  Result<Pulled> pull(const CatalogueModel& model, const FetchOptions& options);

  // Hashes the file against the catalogue's sum, or the one of the first pull. `model` may be null
  // for a file that no catalogue knows. kNotFound when it is not here.
  Result<Verification> verify(const std::string& file, const CatalogueModel* model) const;

  // Removes the file, its record and what unfinished pulls left. kNotFound when there is nothing of
  // it.
  Status remove(const std::string& file);

 private:
  Status write_record(const std::string& file, const PullRecord& record) const;
  Result<Pulled> adopt(const CatalogueModel& model) const;

  std::filesystem::path folder_;
};

// The path of a model given by a name of the catalogue or by a path. A text with a slash or that
// ends in .gguf is a path. With the setting `pull`, a catalogue model that is not here is pulled.
// kNotFound with the command that would bring it.
Result<std::filesystem::path> resolve_model(const std::string& name_or_path,
                                            const Settings& settings);

// The catalogue that the settings name.
Result<Catalogue> catalogue_of(const Settings& settings);

// kNotFound for a name that the catalogue does not have, with the nearest that it has.
Error unknown_model(const std::string& name, const Catalogue& catalogue);

}  // namespace mill::app
