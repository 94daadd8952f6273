#include "app/model_shelf.h"

#include <fmt/format.h>

#include "app/shelf_core.h"
#include "base/check.h"
#include "base/log.h"

namespace mill::app {
namespace {

constexpr Duration kAfterDrain = std::chrono::seconds(10);  // for what a drain cut off to end

Error unknown(const std::string& id) {
  return {Code::kNotFound, fmt::format("there is no model '{}' here", id.substr(0, 200)), "model"};
}

Error closed() {
  return {Code::kOverloaded, "the server is shutting down: try again", "model"};
}

}  // namespace

ModelShelf::ModelShelf(std::vector<ModelPlan> plans, ModelLoader& loader, ShelfOptions options)
    : core_(std::make_shared<Core>(loader, std::move(options))) {
  std::lock_guard lock(core_->mutex);
  for (ModelPlan& plan : plans) {
    MILL_CHECK(!core_->slot_of(plan.id));
    core_->take_in(std::move(plan), now());
  }
  if (core_->options.tends_itself)
    core_->keeper = std::thread([core = core_.get()] { core->keep_tending(); });
}

ModelShelf::~ModelShelf() {
  core_->close();
  core_->join();
}

void ModelShelf::close() {
  core_->close();
}

void ModelShelf::preload() {
  std::lock_guard lock(core_->mutex);
  MILL_CHECK(!core_->preload_begun);
  core_->preload_begun = true;
  for (const ShelfSlotPtr& slot : core_->slots) {
    if (!slot->plan.preload || slot->state != ShelfState::kUnloaded) continue;
    slot->preloading = true;
    ++core_->preloads_left;
    core_->begin_load(slot);
  }
}

std::optional<Status> ModelShelf::preloaded() const {
  std::lock_guard lock(core_->mutex);
  if (core_->preload_error) return Status(fail(*core_->preload_error));
  if (!core_->preload_begun || core_->preloads_left > 0) return std::nullopt;
  return Status();
}

bool ModelShelf::ready() const {
  const std::optional<Status> ended = preloaded();
  return ended && ended->has_value();
}

Instant ModelShelf::tend(Instant now) {
  ShelfMail mail;
  std::lock_guard lock(core_->mutex);
  return core_->tend(now, mail);
}

gateway::ModelDirectory::Found ModelShelf::find(std::string_view id) {
  std::lock_guard lock(core_->mutex);
  const ShelfSlotPtr slot = core_->slot_of(id);
  if (!slot || slot->forget) return {};
  if (slot->state != ShelfState::kReady) return {nullptr, true};
  return {core_->lease(slot), true};
}

Task<Result<gateway::ModelLease>> ModelShelf::wait_for(std::string id) {
  const auto waiter = std::make_shared<ShelfWaiter>(false);
  ShelfSlotPtr slot;
  {
    ShelfMail mail;
    std::lock_guard lock(core_->mutex);
    slot = core_->slot_of(id);
    if (!slot || slot->forget) co_return fail(unknown(id));
    if (slot->state == ShelfState::kReady) co_return core_->lease(slot);
    if (core_->closing) co_return fail(closed());
    slot->waiters.push_back(waiter);
    const bool failed = slot->state == ShelfState::kFailed;
    if (failed && now() < slot->retry_at) {
      core_->fail_waiters(*slot, slot->failure, mail);
    } else if (failed || slot->state == ShelfState::kUnloaded) {
      core_->begin_load(slot);
    }
  }
  std::optional<Result<gateway::ModelLease>> answer =
      co_await waiter->answer.next(now() + core_->options.load_deadline);
  if (answer) co_return std::move(*answer);
  std::lock_guard lock(core_->mutex);
  std::erase(slot->waiters, waiter);
  co_return fail(Code::kOverloaded,
                 fmt::format("the model '{}' is still being loaded ({:.0f} %): try again", id,
                             slot->progress * 100),
                 "model");
}

std::vector<gateway::KnownModel> ModelShelf::list() const {
  std::lock_guard lock(core_->mutex);
  std::vector<gateway::KnownModel> known;
  for (const ShelfSlotPtr& slot : core_->slots) {
    if (slot->forget) continue;
    gateway::ModelLease loaded;
    if (slot->model) loaded = gateway::ModelLease(slot->model, &slot->model->served());
    known.push_back({slot->plan.id, slot->created, slot->context_tokens, std::move(loaded)});
  }
  return known;
}

std::vector<gateway::ModelStatus> ModelShelf::status() const {
  std::lock_guard lock(core_->mutex);
  std::vector<gateway::ModelStatus> all;
  for (const ShelfSlotPtr& slot : core_->slots) all.push_back(core_->status_of(*slot));
  return all;
}

Task<Result<gateway::ModelStatus>> ModelShelf::load(gateway::ModelWish wish, bool wait) {
  MILL_CO_TRY(ModelPlan plan, core_->options.plan_of(wish));
  const auto waiter = std::make_shared<ShelfWaiter>(true);
  ShelfSlotPtr slot;
  {
    std::lock_guard lock(core_->mutex);
    if (core_->closing) co_return fail(closed());
    slot = core_->slot_of(plan.id);
    if (!slot && core_->slots.size() >= kMostModels) {
      co_return fail(Code::kOverloaded,
                     fmt::format("there are {} models already: DELETE one", kMostModels), "id");
    }
    if (!slot) slot = core_->take_in(plan, now());
    const bool at_rest = slot->state == ShelfState::kUnloaded || slot->state == ShelfState::kFailed;
    if (at_rest) {
      slot->plan = plan;
      slot->added = now();
      if (plan.preload) core_->begin_load(slot);
    } else if (!(slot->plan == plan)) {
      co_return fail(Code::kInvalid,
                     fmt::format("there is a model '{}' with other fields: DELETE it first, or "
                                 "give this one another id",
                                 plan.id),
                     "id");
    }
    slot->forget = slot->unwanted = false;
    const bool pending =
        slot->state == ShelfState::kLoading || slot->state == ShelfState::kDraining;
    // One that is being unloaded comes back because somebody waits for it.
    if (pending && (wait || slot->state == ShelfState::kDraining)) slot->waiters.push_back(waiter);
    if (!pending || !wait) co_return core_->status_of(*slot);
  }
  std::optional<Result<gateway::ModelLease>> answer =
      co_await waiter->answer.next(now() + core_->options.load_deadline);
  if (answer && !*answer) co_return fail((*answer).error());
  answer.reset();
  std::lock_guard lock(core_->mutex);
  std::erase(slot->waiters, waiter);
  co_return core_->status_of(*slot);
}

Task<Result<gateway::ModelStatus>> ModelShelf::unload(std::string id, bool keep, bool wait) {
  const auto gone = std::make_shared<Channel<bool>>(1);
  ShelfSlotPtr slot;
  {
    ShelfMail mail;
    std::lock_guard lock(core_->mutex);
    slot = core_->slot_of(id);
    if (!slot || (slot->forget && keep)) co_return fail(unknown(id));
    core_->remove(slot, !keep, mail);
    if (!wait || slot->state == ShelfState::kUnloaded) co_return core_->status_of(*slot);
    slot->leaving.push_back(gone);
  }
  const std::optional<bool> ended =
      co_await gone->next(now() + core_->options.drain_deadline + kAfterDrain);
  std::lock_guard lock(core_->mutex);
  if (!ended) std::erase(slot->leaving, gone);
  co_return core_->status_of(*slot);
}

}  // namespace mill::app
