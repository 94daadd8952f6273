#include "maas/admission/fair_share.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "work/order.h"

namespace mill::maas {
namespace {

constexpr double kSpell = 1.0;      // seconds of work that make a measurement
constexpr double kNewWeight = 0.3;  // of a measurement in the rate

Duration from_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

FairShare::FairShare(Options options) : options_(options), rate_(options.tokens_per_second) {
  MILL_CHECK(options.head_start >= Duration::zero());
  MILL_CHECK(options.head_start <= work::kLongestHeadStart);
}

double FairShare::stretch(const Tenant& tenant) const {
  return weights_ / tenant.weight;
}

Instant FairShare::begin(uint64_t tenant, double weight, int64_t tokens, Instant now) {
  MILL_CHECK(weight > 0);
  if (open_++ == 0) {
    spell_begin_ = now;
    spell_tokens_ = 0;
  }
  const auto [found, is_new] = tenants_.try_emplace(tenant);
  Tenant& mine = found->second;
  const Instant earliest = now - options_.head_start;
  if (is_new) {
    mine.next = earliest;
  } else {
    weights_ -= mine.weight;
  }
  weights_ += weight;
  mine.weight = weight;
  ++mine.open;
  const Instant rank = std::clamp(mine.next, earliest, now + options_.horizon);
  mine.next = rank + from_seconds(static_cast<double>(tokens) / rate_ * stretch(mine));
  return rank;
}

void FairShare::end(uint64_t tenant, int64_t tokens, int64_t actual, Instant now) {
  const auto found = tenants_.find(tenant);
  MILL_CHECK(found != tenants_.end());
  Tenant& mine = found->second;
  learn(actual, now);
  --open_;
  if (--mine.open == 0) {
    weights_ -= mine.weight;
    tenants_.erase(found);
    if (tenants_.empty()) weights_ = 0;  // no rest of roundings
    return;
  }
  mine.next += from_seconds(static_cast<double>(actual - tokens) / rate_ * stretch(mine));
}

bool FairShare::crowds(uint64_t tenant, double weight, int64_t places) const {
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) return false;
  const double others = weights_ - found->second.weight;
  const double part = static_cast<double>(places) * weight / (others + weight);
  return static_cast<double>(found->second.open + 1) > std::max(part, 1.0);
}

void FairShare::learn(int64_t actual, Instant now) {
  spell_tokens_ += static_cast<double>(std::max<int64_t>(actual, 0));
  const double seconds = to_seconds(now - spell_begin_);
  if (seconds < kSpell) return;
  const double seen = spell_tokens_ / seconds;
  // A mill that is not kept busy shows less than it can: only a queue of requests tells its rate.
  if (open_ > 1 || seen > rate_) rate_ += kNewWeight * (std::max(seen, 1.0) - rate_);
  spell_begin_ = now;
  spell_tokens_ = 0;
}

}  // namespace mill::maas
