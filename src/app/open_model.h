// From a name or a path on the command line to a model file that is ready to be computed or talked
// to.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/settings.h"
#include "base/result.h"
#include "model/decoder.h"
#include "model/gguf.h"
#include "model/packed_cache.h"
#include "tensor/backend.h"
#include "tensor/thread_pool.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace mill::app {

struct ModelFile {
  std::string id;    // the catalogue name, or the file's name without .gguf
  std::string stem;  // the latter
  std::shared_ptr<const model::Gguf> file;
};
// A catalogue name (that was pulled, or is pulled now with --pull) or a path.
Result<ModelFile> open_model_file(const std::string& model, const Settings& settings);

// The text side of a model.
struct ModelText {
  text::Tokenizer tokenizer;
  std::optional<text::ChatTemplate>
      chat_template;                      // none: the file has none, or one that is refused
  std::string template_refusal;           // why one is refused, or ""
  bool template_knows_developer = false;  // it speaks of the role "developer"
};
Result<ModelText> open_model_text(const model::Gguf& file);

// The compute side: threads and the backend of this machine, shared by all models of the process.
struct Mill {
  std::unique_ptr<tensor::ThreadPool> pool;
  std::unique_ptr<tensor::Backend> backend;
  std::unique_ptr<model::PackedCache> packed_cache;  // null: none is asked for
  tensor::KvType kv_type = tensor::KvType::kI8;  // of the caches of all models
};
Result<Mill> make_mill(const Settings& settings);

// Loads the weights, for a cache of mill.kv_type; without `progress`, a progress bar on standard
// error when it is a terminal and loading takes long.
Result<std::unique_ptr<model::Decoder>> load_decoder(const ModelFile& model, const Mill& mill,
                                                     model::DecoderLimits limits,
                                                     const model::OnProgress& progress = {});

}  // namespace mill::app
