// How models get on the shelf and off it: the half of shelf_core.h that loads and unloads.
#include <fmt/format.h>

#include <algorithm>

#include "app/progress.h"
#include "app/shelf_core.h"
#include "app/shelf_memory.h"
#include "base/check.h"
#include "base/log.h"

namespace mill::app {
namespace {

constexpr Duration kFirstRetry = std::chrono::seconds(1);
constexpr int kMostDoublings = 6;  // of the time until requests try a failed load again

// For those who wait until a model is unloaded: it is, or it won't be, as it was wanted again or
// its load has failed.
void end_waits_for_leaving(ShelfSlot& slot) {
  for (const auto& channel : std::exchange(slot.leaving, {})) channel->push(true);
}

}  // namespace

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
    end_waits_for_leaving(*slot);
    return;
  }
  if (!loaded) {
    slot->state = ShelfState::kFailed;
    slot->failure = loaded.error();
    slot->retry_at = now() + kFirstRetry * (1 << std::min(slot->failures++, kMostDoublings));
    end_preload(*slot, &slot->failure);
    fail_waiters(*slot, slot->failure, mail);
    end_waits_for_leaving(*slot);
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
  end_waits_for_leaving(*slot);
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
  end_waits_for_leaving(*slot);
  changed.notify_all();
}

}  // namespace mill::app
