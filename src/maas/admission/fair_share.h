// Whose request goes first when more is asked than the mill can do: each tenant in proportion to
// its weight, whatever the others ask (start-time fair queueing, Goyal, Vin and Cheng, 1996, on the
// wall clock).
//
// A request gets a rank, an Instant: the order in which the planner serves
// (scheduler/step_planner.h). Every request moves its tenant's next rank by the time it would take
// the whole mill, divided by the tenant's part of the weights of those who are asking. So the ranks
// of a tenant that asks beyond its share run ahead of the clock: its backlog waits, and the flood
// pushes back only itself. Those of a tenant that asks for less stay behind the clock, by
// `head_start` at most: it goes ahead of what is due of a flood, which would otherwise stand before
// it when the flood begins. A tenant alone has the whole mill. Ranks are finite, and nobody is
// overtaken by one who comes more than a head start behind its rank, so everybody is served.
//
// A pure state machine: time is an argument; the owner guards it. O(1) per call.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/clock.h"

namespace mill::maas {

class FairShare {
 public:
  struct Options {
    double tokens_per_second = 1000;              // of the mill, until completed() has shown better
    Duration horizon = std::chrono::minutes(10);    // a rank is at most so far ahead of its arrival
    Duration head_start = std::chrono::seconds(1);  // and so far behind; ≤ work::kLongestHeadStart
  };
  FairShare() : FairShare(Options{}) {}
  explicit FairShare(Options options);  // Requires: 0 ≤ head_start ≤ work::kLongestHeadStart

  // A request of `tenant` that will take about `tokens` of the mill's work; weight > 0. Returns its
  // rank, `now` less the head start at least.
  Instant begin(uint64_t tenant, double weight, int64_t tokens, Instant now);
  // It is over and took `actual` of the `tokens` announced. With its last request a tenant's debt
  // is forgotten: it is no longer in anybody's way.
  void end(uint64_t tenant, int64_t tokens, int64_t actual, Instant now);

  // Whether `tenant` has, with one more, more requests here than its part of `places` by weight: who
  // is to be turned away when the places run short. A tenant may always have one.
  bool crowds(uint64_t tenant, double weight, int64_t places) const;

  double tokens_per_second() const { return rate_; }
  size_t active() const { return tenants_.size(); }  // tenants with a request

 private:
  struct Tenant {
    double weight = 1;
    int64_t open = 0;
    Instant next{};
  };
  double stretch(const Tenant& tenant) const;  // 1 / its part of the weights
  void learn(int64_t actual, Instant now);

  Options options_;
  std::unordered_map<uint64_t, Tenant> tenants_;
  double weights_ = 0;  // of those with a request
  double rate_;
  // The mill's rate is learned over spells in which somebody waits for it.
  Instant spell_begin_{};
  double spell_tokens_ = 0;
  int64_t open_ = 0;
};

}  // namespace mill::maas
