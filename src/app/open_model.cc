#include "app/open_model.h"

#include <algorithm>

#include "app/model_store.h"
#include "app/model_text.h"
#include "app/progress.h"
#include "base/check.h"
#include "base/clock.h"
#include "device/limits.h"

namespace mill::app {

Result<ModelFile> open_model_file(const std::string& model, const Settings& settings) {
  MILL_TRY(const std::filesystem::path path, resolve_model(model, settings));
  MILL_TRY(model::Gguf file, model::Gguf::open(path));
  const bool is_path = model.find('/') != std::string::npos || model.ends_with(".gguf");
  const std::string stem = path.stem().string();
  return ModelFile{is_path ? stem : model, stem, std::make_shared<model::Gguf>(std::move(file))};
}

Result<ModelText> open_model_text(const model::Gguf& file) {
  MILL_TRY(text::Vocabulary vocabulary, vocabulary_of(file));
  MILL_TRY(text::Tokenizer tokenizer, text::Tokenizer::build(std::move(vocabulary)));
  ModelText opened{.tokenizer = std::move(tokenizer)};
  MILL_TRY(const std::optional<std::string> source, chat_template_source_of(file));
  if (!source) return opened;
  opened.template_knows_developer = source->find("developer") != std::string::npos;
  Result<text::ChatTemplate> compiled = text::ChatTemplate::compile(*source);
  if (compiled) {
    opened.chat_template = std::move(*compiled);
  } else {
    opened.template_refusal = compiled.error().message;
  }
  return opened;
}

Result<Mill> make_mill(const Settings& settings) {
  Mill mill;
  int64_t threads = settings.integer("threads");
  if (threads == 0) threads = std::max(1, device::usable_cores());
  mill.pool = std::make_unique<tensor::ThreadPool>(static_cast<int>(threads));
  MILL_TRY(mill.backend, tensor::make_backend(settings.text("backend")));
  const std::optional<tensor::KvType> kv_type = tensor::kv_type_named(settings.text("kv-type"));
  MILL_CHECK(kv_type.has_value());  // the table of settings knows the same names
  mill.kv_type = *kv_type;
  if (const std::filesystem::path folder = settings.path("packed-cache"); !folder.empty()) {
    mill.packed_cache = std::make_unique<model::PackedCache>(
        folder, static_cast<uint64_t>(settings.bytes("packed-cache-limit")));
  }
  return mill;
}

Result<std::unique_ptr<model::Decoder>> load_decoder(const ModelFile& model, const Mill& mill,
                                                     model::DecoderLimits limits,
                                                     const model::OnProgress& progress) {
  limits.kv_type = mill.kv_type;
  model::LoadOptions options{
      .progress = progress, .cache = mill.packed_cache.get(), .name = model.stem};
  if (progress) return model::Decoder::load(model.file, *mill.backend, *mill.pool, limits, options);
  const uint64_t bytes = model.file->bytes().size();
  const Instant start = now();
  Progress bar("loading " + model.id, Progress::Unit::kBytes);
  options.progress = [&](double share) {
    const bool worth_it = on_terminal() && to_seconds(now() - start) > 0.5;
    if (worth_it) bar.show(static_cast<uint64_t>(share * static_cast<double>(bytes)), bytes);
    return true;
  };
  return model::Decoder::load(model.file, *mill.backend, *mill.pool, limits, options);
}

}  // namespace mill::app
