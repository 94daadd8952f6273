#include "app/mounted_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "app/heap.h"
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

engine::EngineOptions options_of(const Settings& settings, const MountedModel::Part& part) {
  return {.kv_bytes = static_cast<size_t>(part.kv_bytes),
          .free_bytes = static_cast<size_t>(device::available_memory_bytes()),
          .context = part.context,
          .max_batch = static_cast<int32_t>(settings.integer("max-batch")),
          .queue = static_cast<int32_t>(settings.integer("queue-limit")),
          .step_tokens = static_cast<int32_t>(limits_of(settings).batch_tokens),
          .itl_target = settings.duration("itl-target"),
          .ttft_target = settings.duration("ttft-target"),
          .prefix_cache = settings.on("prefix-cache"),
          .drafters = drafters_of(settings),
          .turns = part.turns,
          .busy = part.busy};
}

}  // namespace

MountedModel::Part part_of_one(const Settings& settings) {
  return {.context = settings.integer("ctx"), .kv_bytes = settings.bytes("kv-memory")};
}

Result<work::TokenStream> EngineDoor::submit(work::Order order) {
  std::shared_lock lock(mutex_);
  if (engine_) return engine_->submit(std::move(order));
  return fail(Code::kOverloaded, "the model is being unloaded: try again", "model");
}

work::Load EngineDoor::load() const {
  std::shared_lock lock(mutex_);
  return engine_ ? engine_->load() : work::Load();
}

void EngineDoor::end() {
  std::unique_ptr<engine::Engine> engine;
  std::unique_lock lock(mutex_);
  engine.swap(engine_);
  lock.unlock();
  engine.reset();
}

Result<std::unique_ptr<MountedModel>> MountedModel::mount(const std::string& model,
                                                          const Mill& mill,
                                                          const Settings& settings,
                                                          const Part& part,
                                                          const model::OnProgress& progress) {
  MILL_TRY(ModelFile file, open_model_file(model, settings));
  if (!part.id.empty()) file.id = part.id;
  MILL_TRY(ModelText text, open_model_text(*file.file));
  // What only the making of the vocabulary needed goes back before the weights come.
  file.file->drop_pages();
  release_free_memory();
  std::unique_ptr<MountedModel> mounted(new MountedModel(file.id, std::move(text)));
  // So does what a piece of them needed while it was packed.
  const model::OnProgress piecewise = [&](double share) {
    release_free_memory();
    return !progress || progress(share);
  };
  MILL_TRY(std::unique_ptr<model::Decoder> decoder,
           load_decoder(file, mill, limits_of(settings), piecewise));
  const int64_t made_for = decoder->config().context_tokens;
  const int64_t vocabulary = decoder->config().vocabulary;
  if (static_cast<int64_t>(mounted->text_->tokenizer.size()) > vocabulary) {
    return fail(Code::kCorrupt, fmt::format("{} has {} tokens and embeddings for {} only", file.id,
                                            mounted->text_->tokenizer.size(), vocabulary));
  }
  mounted->weight_bytes_ = static_cast<int64_t>(decoder->weight_bytes());
  MILL_TRY(std::unique_ptr<engine::Engine> engine,
           engine::Engine::start(engine::make_forward(std::move(decoder)), *mill.pool,
                                 options_of(settings, part)));
  const auto context = static_cast<int32_t>(engine->context_tokens());
  mounted->worker_ = std::make_unique<EngineDoor>(std::move(engine));

  const std::optional<text::ChatTemplate>& chat_template = mounted->text_->chat_template;
  mounted->served_ = {.id = file.id,
                      .tokenizer = &mounted->text_->tokenizer,
                      .chat_template = chat_template ? &*chat_template : nullptr,
                      .worker = mounted->worker_.get(),
                      .context_tokens = context,
                      .created = unix_seconds(),
                      .template_knows_developer = mounted->text_->template_knows_developer};
  mounted->note_warning(made_for, part.context);
  return mounted;
}

void MountedModel::note_warning(int64_t made_for, int64_t asked_for) {
  if (!text_->template_refusal.empty()) {
    warning_ = fmt::format("{}: its chat template is refused, completions only: {}", served_.id,
                           text_->template_refusal);
  } else if (asked_for == 0 && served_.context_tokens < made_for) {
    warning_ = fmt::format(
        "{}: a context of {} tokens, not {}: the memory for keys and values holds no more "
        "(--kv-memory)",
        served_.id, served_.context_tokens, made_for);
  }
}

int64_t MountedModel::memory_bytes() const {
  const int64_t kv_bytes = worker_->load().kv_bytes_total;
  return kv_bytes > 0 ? weight_bytes_ + kv_bytes : 0;
}

void MountedModel::end() {
  worker_->end();
}

MountedModel::~MountedModel() {
  worker_.reset();
  text_.reset();
  release_free_memory();  // a vocabulary is a million small pieces of the heap
}

}  // namespace mill::app
