#include "app/shelf_core.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace mill::app {
namespace {

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

}  // namespace mill::app
