#include "engine/turnstile.h"

#include <condition_variable>
#include <map>
#include <mutex>

#include "base/clock.h"

namespace mill::engine {

struct TurnLane::Core {
  std::mutex mutex;
  scheduler::FairTurns turns{std::chrono::milliseconds(2)};
  Instant since{};  // of the turn that is held
  std::map<scheduler::LaneId, std::condition_variable> called;

  void give_back(scheduler::LaneId id) {
    if (turns.holder() == id) turns.give_back(id, now() - since);
  }
  void grant() {
    if (turns.holder()) return;
    const std::optional<scheduler::LaneId> next = turns.grant();
    if (!next) return;
    since = now();
    called[*next].notify_one();
  }
};

TurnLane::TurnLane(std::shared_ptr<Core> core, scheduler::LaneId id)
    : core_(std::move(core)), id_(id) {}

TurnLane::~TurnLane() {
  rest();
  std::lock_guard lock(core_->mutex);
  core_->turns.remove(id_);
  core_->called.erase(id_);
}

void TurnLane::take_turn() {
  std::unique_lock lock(core_->mutex);
  core_->give_back(id_);
  core_->turns.ask(id_);
  core_->grant();
  core_->called[id_].wait(lock, [&] { return core_->turns.holder() == id_; });
}

void TurnLane::rest() {
  std::lock_guard lock(core_->mutex);
  core_->give_back(id_);
  core_->grant();
}

Turnstile::Turnstile() : core_(std::make_shared<TurnLane::Core>()) {}
Turnstile::~Turnstile() = default;

std::unique_ptr<TurnLane> Turnstile::open(double share) {
  std::lock_guard lock(core_->mutex);
  return std::unique_ptr<TurnLane>(new TurnLane(core_, core_->turns.add(share)));
}

}  // namespace mill::engine
