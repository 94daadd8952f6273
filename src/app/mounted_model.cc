#include "app/mounted_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "device/limits.h"
#include "engine/ngram_drafter.h"

namespace mill::app {
namespace {

model::DecoderLimits limits_of(const Settings& settings) {
  const int64_t batch = settings.integer("max-batch");
  return {.batch_tokens = std::max(settings.integer("token-budget"), batch),
          .logit_rows = std::max<int64_t>(64, batch)};
}

engine::DrafterFactory drafters_of(const Settings& settings) {
  if (!settings.on("speculation")) return {};
  return [] { return std::make_unique<engine::NgramDrafter>(); };
}

engine::EngineOptions options_of(const Settings& settings, int64_t models) {
  return {.kv_bytes = static_cast<size_t>(settings.bytes("kv-memory") / models),
          .free_bytes = static_cast<size_t>(device::available_memory_bytes() / models),
          .context = settings.integer("ctx"),
          .max_batch = static_cast<int32_t>(settings.integer("max-batch")),
          .queue = static_cast<int32_t>(settings.integer("queue-limit")),
          .step_tokens = static_cast<int32_t>(limits_of(settings).batch_tokens),
          .itl_target = settings.duration("itl-target"),
          .ttft_target = settings.duration("ttft-target"),
          .prefix_cache = settings.on("prefix-cache"),
          .drafters = drafters_of(settings)};
}

}  // namespace

Result<std::unique_ptr<MountedModel>> MountedModel::mount(const std::string& model,
                                                          const Mill& mill,
                                                          const Settings& settings,
                                                          int64_t models) {
  MILL_TRY(ModelFile file, open_model_file(model, settings));
  MILL_TRY(ModelText text, open_model_text(*file.file));
  std::unique_ptr<MountedModel> mounted(new MountedModel(std::move(file), std::move(text)));
  MILL_TRY(std::unique_ptr<model::Decoder> decoder,
           load_decoder(mounted->file_, mill, limits_of(settings)));
  const int64_t made_for = decoder->config().context_tokens;
  const int64_t vocabulary = decoder->config().vocabulary;
  if (static_cast<int64_t>(mounted->text_.tokenizer.size()) > vocabulary) {
    return fail(Code::kCorrupt,
                fmt::format("{} has {} tokens and embeddings for {} only", mounted->file_.id,
                            mounted->text_.tokenizer.size(), vocabulary));
  }
  MILL_TRY(mounted->engine_, engine::Engine::start(engine::make_forward(std::move(decoder)),
                                                   *mill.pool, options_of(settings, models)));

  const std::optional<text::ChatTemplate>& chat_template = mounted->text_.chat_template;
  mounted->served_ = {.id = mounted->file_.id,
                      .tokenizer = &mounted->text_.tokenizer,
                      .chat_template = chat_template ? &*chat_template : nullptr,
                      .worker = mounted->engine_.get(),
                      .context_tokens = static_cast<int32_t>(mounted->engine_->context_tokens()),
                      .created = unix_seconds(),
                      .template_knows_developer = mounted->text_.template_knows_developer};
  if (!mounted->text_.template_refusal.empty()) {
    mounted->warning_ = fmt::format("{}: its chat template is refused, completions only: {}",
                                    mounted->file_.id, mounted->text_.template_refusal);
  } else if (settings.integer("ctx") == 0 && mounted->served_.context_tokens < made_for) {
    mounted->warning_ = fmt::format(
        "{}: a context of {} tokens, not {}: the memory for keys and values holds no more "
        "(--kv-memory)",
        mounted->file_.id, mounted->served_.context_tokens, made_for);
  }
  return mounted;
}

}  // namespace mill::app
