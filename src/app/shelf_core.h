// The books of a ModelShelf and the threads that carry out what they say. Internal to model_shelf.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "app/model_shelf.h"
#include "base/channel.h"

namespace mill::app {

enum class ShelfState { kUnloaded, kLoading, kReady, kDraining, kFailed };
std::string_view name(ShelfState state);

// Somebody who waits for a model.
struct ShelfWaiter {
  explicit ShelfWaiter(bool operator_waits) : is_operator(operator_waits) {}
  Channel<Result<gateway::ModelLease>> answer{1};
  const bool is_operator;  // is told why a load failed; clients are not
};

// What is to be said to waiters once the lock is let go: a lease that nobody takes any more must be
// dropped outside of it. Declare it before the lock.
struct ShelfMail {
  std::vector<std::pair<std::shared_ptr<ShelfWaiter>, Result<gateway::ModelLease>>> letters;
  ~ShelfMail() {
    for (auto& [waiter, answer] : letters) waiter->answer.push(std::move(answer));
  }
};

struct ShelfSlot {
  ModelPlan plan;
  int64_t created = 0;  // unix seconds
  Instant added{};
  ShelfState state = ShelfState::kUnloaded;
  double progress = 0;                 // of a load
  Error failure;                       // of the last load, while kFailed
  int failures = 0;                    // in a row
  Instant retry_at{};                  // before it, requests don't try again
  std::shared_ptr<LoadedModel> model;  // while kReady and kDraining
  int64_t kv_held = 0;
  int64_t file_bytes = 0;
  int32_t context_tokens = 0;
  int64_t active = 0;  // leases
  Instant last_used{};
  bool forget = false;      // to be taken off the shelf when unloaded
  bool unwanted = false;    // what is being loaded is not to be kept
  bool preloading = false;  // the server waits for it
  std::vector<std::shared_ptr<ShelfWaiter>> waiters;
  std::vector<std::shared_ptr<Channel<bool>>> leaving;  // who waits until it is unloaded
};
using ShelfSlotPtr = std::shared_ptr<ShelfSlot>;

struct ModelShelf::Core : std::enable_shared_from_this<ModelShelf::Core> {
  Core(ModelLoader& the_loader, ShelfOptions the_options)
      : loader(the_loader), options(std::move(the_options)) {}

  // With the lock held.
  ShelfSlotPtr slot_of(std::string_view id) const;  // null: not known
  ShelfSlotPtr take_in(ModelPlan plan, Instant now);
  gateway::ModelLease lease(const ShelfSlotPtr& slot);
  void begin_load(const ShelfSlotPtr& slot);
  void begin_drain(const ShelfSlotPtr& slot, bool forget);
  void remove(const ShelfSlotPtr& slot, bool forget, ShelfMail& mail);
  void fail_waiters(ShelfSlot& slot, const Error& error, ShelfMail& mail);
  gateway::ModelStatus status_of(const ShelfSlot& slot) const;
  Instant tend(Instant now, ShelfMail& mail);

  // Without it.
  void close();
  void join();
  void keep_tending();

  ModelLoader& loader;
  const ShelfOptions options;

  mutable std::mutex mutex;         // guards what follows
  std::condition_variable changed;  // a drain ended, a lease was dropped, something is given up
  std::condition_variable stirred;  // for the thread that tends
  std::vector<ShelfSlotPtr> slots;  // in the order they came
  std::deque<ShelfSlotPtr> queue;   // to be loaded
  ShelfSlotPtr loading;             // the one that is
  int64_t drains = 0;               // going on
  int64_t drained = 0;              // ever
  int64_t preloads_left = 0;
  bool preload_begun = false;
  std::optional<Error> preload_error;
  bool stir = false;
  bool closing = false;
  std::list<std::thread> jobs;
  std::thread keeper;

 private:
  void spawn(std::function<void()> job);
  void start_next();
  void run_load(const ShelfSlotPtr& slot);
  Result<std::unique_ptr<LoadedModel>> load_now(const ShelfSlotPtr& slot);
  Result<int64_t> make_room(const ShelfSlotPtr& slot, int64_t file_bytes);
  Result<int64_t> kv_for(const ShelfSlot& slot, int64_t free) const;
  bool evict_one();
  void settle_load(const ShelfSlotPtr& slot, Result<std::unique_ptr<LoadedModel>> loaded,
                   ShelfMail& mail);
  void run_drain(const ShelfSlotPtr& slot);
  void take_off(const ShelfSlotPtr& slot);
  void end_preload(ShelfSlot& slot, const Error* error);

  std::vector<std::thread::id> finished_;  // of jobs, to be joined
};

}  // namespace mill::app
