#include "app/shelf_core.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/progress.h"
#include "app/shelf_memory.h"
#include "base/check.h"
#include "base/log.h"

namespace mill::app {
namespace {

constexpr Duration kFirstRetry = std::chrono::seconds(1);
constexpr int kMostDoublings = 6;  // of the time until requests try a failed load again

// What a client may know of a load that failed: not the paths of this machine.
Error for_clients(const Error& error, const std::string& id) {
  if (error.param == "model") return error;  // said with clients in mind
  const bool passing = error.code == Code::kOverloaded;
  return {passing ? Code::kOverloaded : Code::kInternal,
          fmt::format("the model '{}' can't be loaded{}; whoever runs this server sees why at "
                      "/admin/models",
                      id, passing ? " at present, try again later" : ""),
          "model"};
}

}  // namespace

std::string_view name(ShelfState state) {
  switch (state) {
    case ShelfState::kUnloaded:
      return "unloaded";
    case ShelfState::kLoading:
      return "loading";
    case ShelfState::kReady:
      return "ready";
    case ShelfState::kDraining:
      return "draining";
    case ShelfState::kFailed:
      break;
  }
  return "failed";
}

ShelfSlotPtr ModelShelf::Core::slot_of(std::string_view id) const {
  const auto found = std::find_if(slots.begin(), slots.end(),
                                  [&](const ShelfSlotPtr& slot) { return slot->plan.id == id; });
  return found == slots.end() ? nullptr : *found;
}

ShelfSlotPtr ModelShelf::Core::take_in(ModelPlan plan, Instant now) {
  auto slot = std::make_shared<ShelfSlot>();
  slot->plan = std::move(plan);
  slot->created = unix_seconds();
  slot->added = now;
  slots.push_back(slot);
  stir = true;
  stirred.notify_one();
  return slot;
}

void ModelShelf::Core::take_off(const ShelfSlotPtr& slot) {
  std::erase(slots, slot);
}

gateway::ModelLease ModelShelf::Core::lease(const ShelfSlotPtr& slot) {
  ++slot->active;
  slot->last_used = now();
  auto give_back = [core = shared_from_this(), slot,
                    model = slot->model](const gateway::ServedModel*) mutable {
    {
      std::lock_guard lock(core->mutex);
      --slot->active;
      slot->last_used = now();
      if (slot->state == ShelfState::kDraining && slot->active == 0) core->changed.notify_all();
    }
    model.reset();
  };
  const gateway::ServedModel* served = &slot->model->served();
  return {served, std::move(give_back)};
}

void ModelShelf::Core::fail_waiters(ShelfSlot& slot, const Error& error, ShelfMail& mail) {
  for (std::shared_ptr<ShelfWaiter>& waiter : slot.waiters) {
    Error told = waiter->is_operator ? error : for_clients(error, slot.plan.id);
    mail.letters.emplace_back(std::move(waiter), fail(std::move(told)));
  }
  slot.waiters.clear();
}

void ModelShelf::Core::end_preload(ShelfSlot& slot, const Error* error) {
  if (!std::exchange(slot.preloading, false)) return;
  --preloads_left;
  if (error && !preload_error) preload_error = *error;
}

gateway::ModelStatus ModelShelf::Core::status_of(const ShelfSlot& slot) const {
  gateway::ModelStatus status;
  status.id = slot.plan.id;
  status.model = slot.plan.model;
  status.state = name(slot.state);
  status.progress = slot.progress;
  if (slot.state == ShelfState::kFailed) status.reason = slot.failure.message;
  status.share = slot.plan.share;
  status.context_tokens = slot.context_tokens;
  status.file_bytes = slot.file_bytes;
  status.requests = slot.active;
  status.waiting = static_cast<int64_t>(slot.waiters.size());
  if (slot.plan.idle_unload) status.idle_unload_seconds = to_seconds(*slot.plan.idle_unload);
  if (slot.model) {
    status.memory_bytes = slot.model->memory_bytes();
    status.warning = slot.model->warning();
    status.load = slot.model->served().worker->load();
    if (slot.active == 0) status.idle_seconds = to_seconds(now() - slot.last_used);
  }
  return status;
}

// Threads.

void ModelShelf::Core::spawn(std::function<void()> job) {
  for (const std::thread::id id : std::exchange(finished_, {})) {
    const auto done = std::find_if(jobs.begin(), jobs.end(),
                                   [&](const std::thread& one) { return one.get_id() == id; });
    done->join();  // it is past its last lock
    jobs.erase(done);
  }
  jobs.emplace_back([this, job = std::move(job)] {
    job();
    std::lock_guard lock(mutex);
    finished_.push_back(std::this_thread::get_id());
  });
}

void ModelShelf::Core::close() {
  ShelfMail mail;
  std::lock_guard lock(mutex);
  closing = true;
  const Error error{Code::kOverloaded, "the server is shutting down: try again", "model"};
  for (const ShelfSlotPtr& slot : slots) fail_waiters(*slot, error, mail);
  for (const ShelfSlotPtr& slot : queue) {
    slot->state = ShelfState::kUnloaded;
    end_preload(*slot, &error);
  }
  queue.clear();
  changed.notify_all();
  stirred.notify_all();
}

void ModelShelf::Core::join() {
  if (keeper.joinable()) keeper.join();
  std::list<std::thread> left;
  {
    std::lock_guard lock(mutex);
    left.swap(jobs);  // closed: nobody adds to them
    finished_.clear();
  }
  for (std::thread& job : left) job.join();
  std::lock_guard lock(mutex);
  finished_.clear();
}

void ModelShelf::Core::keep_tending() {
  for (;;) {
    Instant next;
    {
      ShelfMail mail;
      std::lock_guard lock(mutex);
      if (closing) return;
      stir = false;
      next = tend(now(), mail);
    }
    std::unique_lock lock(mutex);
    const auto up = [&] { return closing || stir; };
    if (next == kNever) {
      stirred.wait(lock, up);
    } else {
      stirred.wait_until(lock, next, up);
    }
  }
}

Instant ModelShelf::Core::tend(Instant now, ShelfMail& mail) {
  Instant next = kNever;
  for (const ShelfSlotPtr& slot : std::vector<ShelfSlotPtr>(slots)) {
    if (slot->plan.ttl && !slot->forget) {
      const Instant end = slot->added + *slot->plan.ttl;
      if (now >= end) {
        log_info("ttl_over").add("id", slot->plan.id);
        remove(slot, true, mail);
        continue;
      }
      next = std::min(next, end);
    }
    if (slot->state != ShelfState::kReady || !slot->plan.idle_unload) continue;
    const Instant due = (slot->active > 0 ? now : slot->last_used) + *slot->plan.idle_unload;
    if (now >= due) {
      log_info("idle").add("id", slot->plan.id).add("idle_s", to_seconds(now - slot->last_used));
      begin_drain(slot, false);
    } else {
      next = std::min(next, due);
    }
  }
  return next;
}

// Loading.

void ModelShelf::Core::begin_load(const ShelfSlotPtr& slot) {
  slot->state = ShelfState::kLoading;
  slot->progress = 0;
  slot->unwanted = false;
  queue.push_back(slot);
  start_next();
}

void ModelShelf::Core::start_next() {
  if (closing || loading || queue.empty()) return;
  loading = queue.front();
  queue.pop_front();
  spawn([this, slot = loading] { run_load(slot); });
}

void ModelShelf::Core::run_load(const ShelfSlotPtr& slot) {
  const Instant start = now();
  log_info("loading").add("id", slot->plan.id).add("model", slot->plan.model);
  Result<std::unique_ptr<LoadedModel>> loaded = load_now(slot);
  LogLine line = loaded ? log_info("loaded") : log_warn("load_failed");
  line.add("id", slot->plan.id).add("seconds", to_seconds(now() - start));
  if (!loaded) line.add("error", loaded.error().message);
  if (loaded) {
    const work::Load load = (*loaded)->served().worker->load();
    line.add("memory_bytes", (*loaded)->memory_bytes()).add("kv_bytes", load.kv_bytes_total);
    line.add("context_tokens", (*loaded)->served().context_tokens);
    if (const std::string warning = (*loaded)->warning(); !warning.empty())
      line.add("warning", warning);
  }
  ShelfMail mail;
  std::lock_guard lock(mutex);
  loading.reset();
  settle_load(slot, std::move(loaded), mail);
  changed.notify_all();
  start_next();
}

void ModelShelf::Core::settle_load(const ShelfSlotPtr& slot,
                                   Result<std::unique_ptr<LoadedModel>> loaded, ShelfMail& mail) {
  if (!loaded && loaded.error().code == Code::kCancelled && !closing && !slot->unwanted) {
    begin_load(slot);  // somebody wants it after all
    return;
  }
  if (!loaded && loaded.error().code == Code::kCancelled) {
    slot->state = ShelfState::kUnloaded;
    end_preload(*slot, nullptr);
    if (slot->forget) {
      take_off(slot);
    } else if (!slot->waiters.empty() && !closing) {
      begin_load(slot);
    }
    for (const auto& channel : std::exchange(slot->leaving, {})) channel->push(true);
    return;
  }
  if (!loaded) {
    slot->state = ShelfState::kFailed;
    slot->failure = loaded.error();
    slot->retry_at = now() + kFirstRetry * (1 << std::min(slot->failures++, kMostDoublings));
    end_preload(*slot, &slot->failure);
    fail_waiters(*slot, slot->failure, mail);
    return;
  }
  slot->model = std::move(*loaded);
  slot->state = ShelfState::kReady;
  slot->failures = 0;
  slot->progress = 1;
  slot->last_used = now();
  slot->context_tokens = slot->model->served().context_tokens;
  slot->kv_held = slot->model->served().worker->load().kv_bytes_total;
  end_preload(*slot, nullptr);
  if (slot->unwanted) {  // since the load could last be given up
    begin_drain(slot, slot->forget);
    return;
  }
  for (std::shared_ptr<ShelfWaiter>& waiter : slot->waiters)
    mail.letters.emplace_back(std::move(waiter), lease(slot));
  slot->waiters.clear();
  stir = true;
  stirred.notify_one();
}

Result<std::unique_ptr<LoadedModel>> ModelShelf::Core::load_now(const ShelfSlotPtr& slot) {
  MILL_TRY(const int64_t file_bytes, loader.file_bytes(slot->plan));
  MILL_TRY(const int64_t kv_bytes, make_room(slot, file_bytes));
  return loader.load(slot->plan, kv_bytes, [this, &slot](double share) {
    std::lock_guard lock(mutex);
    slot->progress = share;
    return !closing && !slot->unwanted;
  });
}

// Waits until there is memory for the model, sending idle ones away; its bytes for keys and values.
Result<int64_t> ModelShelf::Core::make_room(const ShelfSlotPtr& slot, int64_t file_bytes) {
  const int64_t need = bytes_to_load(file_bytes, slot->plan.kv_bytes);
  std::unique_lock lock(mutex);
  slot->file_bytes = file_bytes;
  for (;;) {
    if (closing || slot->unwanted) return fail(Code::kCancelled, "the load was given up");
    int64_t promised = 0;
    for (const ShelfSlotPtr& other : slots) {
      if (other->model) promised += other->model->memory_bytes();
    }
    const int64_t seen = drained;
    lock.unlock();
    const int64_t free = options.free_bytes(promised);
    lock.lock();
    Result<int64_t> kv_bytes = kv_for(*slot, free - need + slot->plan.kv_bytes);
    if (need <= free && kv_bytes) return kv_bytes;
    if (!evict_one() && drains == 0 && drained == seen) {
      if (need <= free) return kv_bytes;
      return fail(
          Code::kOverloaded,
          fmt::format("{} needs {} of memory to be loaded ({} of file) and there are {}: unload "
                      "another model, give it a smaller kv_memory, or free memory",
                      slot->plan.id, bytes_text(static_cast<uint64_t>(need)),
                      bytes_text(static_cast<uint64_t>(file_bytes)),
                      bytes_text(static_cast<uint64_t>(std::max<int64_t>(free, 0)))));
    }
    changed.wait(lock, [&] { return closing || slot->unwanted || drained != seen; });
  }
}

Result<int64_t> ModelShelf::Core::kv_for(const ShelfSlot& slot, int64_t free) const {
  std::vector<MemoryClaim> claims;
  size_t which = 0;
  for (const ShelfSlotPtr& other : slots) {
    if (other.get() == &slot) which = claims.size();
    claims.push_back({.share = other->plan.share,
                      .kv_wish = other->plan.kv_bytes,
                      .kv_held = other->model ? other->kv_held : 0});
  }
  return kv_bytes_of(claims, which, options.kv_total, free);
}

bool ModelShelf::Core::evict_one() {
  std::vector<Evictable> models;
  for (const ShelfSlotPtr& slot : slots) {
    const bool idle = slot->state == ShelfState::kReady && slot->active == 0;
    models.push_back({idle && slot->plan.idle_unload.has_value(), slot->last_used});
  }
  const std::optional<size_t> victim = first_to_go(models);
  if (!victim) return false;
  log_info("evicted").add("id", slots[*victim]->plan.id).add("for", loading->plan.id);
  begin_drain(slots[*victim], false);
  return true;
}

// Unloading.

void ModelShelf::Core::remove(const ShelfSlotPtr& slot, bool forget, ShelfMail& mail) {
  const Error gone{Code::kOverloaded, fmt::format("the model '{}' is unloaded", slot->plan.id),
                   "model"};
  fail_waiters(*slot, gone, mail);
  slot->forget = slot->forget || forget;
  switch (slot->state) {
    case ShelfState::kUnloaded:
    case ShelfState::kFailed:
      slot->state = ShelfState::kUnloaded;
      if (forget) take_off(slot);
      return;
    case ShelfState::kLoading:
      if (slot == loading) {
        slot->unwanted = true;
        changed.notify_all();
        return;
      }
      std::erase(queue, slot);
      slot->state = ShelfState::kUnloaded;
      end_preload(*slot, nullptr);
      if (forget) take_off(slot);
      return;
    case ShelfState::kReady:
      begin_drain(slot, forget);
      return;
    case ShelfState::kDraining:
      return;
  }
}

void ModelShelf::Core::begin_drain(const ShelfSlotPtr& slot, bool forget) {
  MILL_CHECK(slot->state == ShelfState::kReady);
  slot->state = ShelfState::kDraining;
  slot->forget = forget;
  ++drains;
  spawn([this, slot] { run_drain(slot); });
}

void ModelShelf::Core::run_drain(const ShelfSlotPtr& slot) {
  const Instant start = now();
  std::shared_ptr<LoadedModel> model;
  std::unique_lock lock(mutex);
  model = slot->model;
  const bool quiet =
      changed.wait_until(lock, start + options.drain_deadline, [&] { return slot->active == 0; });
  lock.unlock();
  model->end();
  lock.lock();
  slot->model.reset();
  slot->kv_held = 0;
  lock.unlock();
  model.reset();  // who is told that the model is gone finds its memory free
  log_info("unloaded")
      .add("id", slot->plan.id)
      .add("all_answers_ended", quiet)
      .add("seconds", to_seconds(now() - start));
  lock.lock();
  slot->state = ShelfState::kUnloaded;
  --drains;
  ++drained;
  if (slot->forget) {
    take_off(slot);
  } else if (!slot->waiters.empty() && !closing) {
    begin_load(slot);
  }
  for (const auto& channel : std::exchange(slot->leaving, {})) channel->push(true);
  changed.notify_all();
}

}  // namespace mill::app
