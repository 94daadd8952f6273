// The flags of a load, checked and made into what load/ takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "app/load_bench.h"
#include "load/ask.h"
#include "load/drive.h"
#include "load/summary.h"
#include "load/workload.h"

namespace mill::app {

struct LoadPlan {
  // Fails with kInvalid and the flag, or as the reader of a trace does.
  static Result<LoadPlan> make(const LoadArguments& arguments);

  std::vector<double> loads;  // numbers of clients, or of requests per second; each makes a point
  bool open_loop = false;
  int64_t warmup = 0;
  load::Drive how;  // but for the load
  load::Slo slo;
  std::string words;  // what is asked, for people

  // Of the point with this index of `loads`.
  load::AskSource asks(size_t point) const;
  load::Drive how_at(size_t point) const;
  // Requests with the point's prefix and prompts of their own, in a closed loop of at most 32.
  load::AskSource warm_asks(size_t point) const;
  load::Drive warm_up() const;

 private:
  Status take_loads(const LoadArguments& arguments);
  Status take_asks(const LoadArguments& arguments);
  Status take_bounds(const LoadArguments& arguments);
  int64_t requests_at(double load) const;

  enum class Kind { kSynthetic, kTrace, kPrompts };
  Kind kind_ = Kind::kSynthetic;
  load::Synthetic shape_;
  load::Process process_ = load::Process::kPoisson;
  std::vector<load::Ask> list_;  // of a trace, or of prompts
  bool timed_ = false;           // the trace's own times hold, whatever the load
};

}  // namespace mill::app
