// What a model file says of itself, for people: `tokenmill models show`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/gguf.h"

namespace mill::app {

struct TensorKind {
  std::string dtype;
  int64_t tensors = 0;
  int64_t parameters = 0;
  int64_t bytes = 0;
};

// A field that the file does not have, or has in another form than expected, is empty.
struct ModelSummary {
  std::string name;
  std::string architecture;
  std::string licence;
  std::string made_by;  // general.organization or general.author, general.quantized_by
  std::string tokenizer;
  std::string pre_tokenizer;
  std::optional<int64_t> vocabulary;
  std::optional<int64_t> context;
  std::optional<int64_t> layers;
  std::optional<int64_t> width;
  std::optional<int64_t> heads;
  std::optional<int64_t> kv_heads;
  bool chat_template = false;
  uint32_t format_version = 0;
  int64_t file_bytes = 0;
  int64_t parameters = 0;
  std::vector<TensorKind> kinds;  // the one with the most bytes first
};

ModelSummary summarize(const model::Gguf& file);

std::string summary_text(const ModelSummary& summary);
std::string summary_json(const ModelSummary& summary);

}  // namespace mill::app
