#include "app/sim_model.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "app/sim_text.h"
#include "base/clock.h"

namespace mill::app {
namespace {

Result<ModelText> text_side(const sim::Profile& profile, const Settings& settings) {
  if (profile.vocabulary.empty()) return plain_text_side();
  MILL_TRY(const ModelFile file, open_model_file(profile.vocabulary, settings));
  return open_model_text(*file.file);
}

// The tokens that are printable ASCII as they stand: whatever is drawn from them is text.
std::vector<TokenId> printable(const text::Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  for (size_t i = 0; i < tokenizer.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string_view bytes = tokenizer.bytes(id);
    const bool plain =
        std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= ' ' && c < 0x7F; });
    if (!bytes.empty() && plain && !tokenizer.is_control(id)) ids.push_back(id);
  }
  return ids;
}

sim::SimOptions options_of(sim::Profile profile, const text::Tokenizer& tokenizer,
                           const Settings& settings) {
  const int64_t batch = settings.integer("max-batch");
  sim::SimOptions options{.profile = std::move(profile)};
  options.limits.max_running = batch;
  options.limits.step_tokens = std::max(settings.integer("token-budget"), batch);
  options.limits.prefix_cache = settings.on("prefix-cache");
  options.queue = settings.integer("queue-limit");
  options.vocabulary = static_cast<int64_t>(tokenizer.size());
  options.alphabet = printable(tokenizer);
  return options;
}

}  // namespace

Result<std::unique_ptr<SimModel>> SimModel::mount(const std::string& model, const std::string& id,
                                                  int64_t context, const Settings& settings,
                                                  std::shared_ptr<work::BusyProbe> busy) {
  const std::string_view text = std::string_view(model).substr(sim::kPrefix.size());
  MILL_TRY(sim::Profile profile, sim::parse_profile(text));
  if (context > 0) profile.context = std::min(profile.context, context);
  MILL_TRY(ModelText side, text_side(profile, settings));
  std::unique_ptr<SimModel> mounted(new SimModel(std::move(side)));
  const ModelText& opened = *mounted->text_;
  sim::SimOptions options = options_of(std::move(profile), opened.tokenizer, settings);
  options.busy = std::move(busy);
  MILL_TRY(std::unique_ptr<sim::SimWorker> worker, sim::SimWorker::start(std::move(options)));
  const auto tokens = static_cast<int32_t>(worker->context_tokens());
  mounted->door_.begin(std::move(worker));
  mounted->served_ = {.id = id,
                      .tokenizer = &opened.tokenizer,
                      .chat_template = opened.chat_template ? &*opened.chat_template : nullptr,
                      .worker = &mounted->door_,
                      .context_tokens = tokens,
                      .created = unix_seconds(),
                      .template_knows_developer = opened.template_knows_developer};
  return mounted;
}

std::string SimModel::warning() const {
  return served_.id + " is a simulated model: its answers mean nothing";
}

Result<work::TokenStream> SimModel::Door::submit(work::Order order) {
  std::shared_lock lock(mutex_);
  if (worker_) return worker_->submit(std::move(order));
  return fail(Code::kOverloaded, "the model is being unloaded: try again", "model");
}

work::Load SimModel::Door::load() const {
  std::shared_lock lock(mutex_);
  return worker_ ? worker_->load() : work::Load();
}

void SimModel::Door::end() {
  std::unique_ptr<sim::SimWorker> worker;
  std::unique_lock lock(mutex_);
  worker.swap(worker_);
  lock.unlock();
  worker.reset();
}

}  // namespace mill::app
