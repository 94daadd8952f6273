// The figures of one run.
//
// - TTFT: from a request's intended start to the first part of its answer.
// - ITL: the gaps between the parts of an answer, all of them, of all requests. A part is what came
//   at once: one token, or some (speculation, several tokens in one network packet).
// - TPOT: of a request, (end of the last part − first part) / (tokens − 1).
// - E2E: from the intended start to the end of the answer.
// A closed loop's intended start is the moment at which its client was free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "load/drive.h"
#include "load/spread.h"

namespace mill::load {

// What a good answer is. 0: no bound.
struct Slo {
  double ttft_seconds = 0;
  double tpot_seconds = 0;
  double itl_seconds = 0;  // no gap of the answer is longer
  bool any() const { return ttft_seconds > 0 || tpot_seconds > 0 || itl_seconds > 0; }
};

struct Failure {
  std::string example;  // failures that differ by figures alone count as one
  int64_t count = 0;
};

struct Summary {
  double load = 0;  // clients, or requests per second that were to be asked; the caller's
  bool open_loop = false;
  int64_t ok = 0, failed = 0;
  std::vector<Failure> failures;  // most frequent first
  double seconds = 0;             // from the run's begin to the last end
  int64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;  // of answers that are whole
  int64_t accepted_drafts = 0;
  bool counted = true;    // false: some target did not count its tokens; parts were counted
  int64_t shortened = 0;  // answers with fewer tokens than asked
  Spread ttft, itl, tpot, e2e;
  Spread late;  // open loop: by how much requests began later than intended
  int64_t most_in_flight = 0;
  std::optional<double> good_per_second;  // requests that met the Slo, when there is one
  int64_t good = 0;
  std::optional<double> joules;  // over the run, when known

  double per_second(int64_t count) const {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  }
};

Summary summarise(const RunLog& run, const Slo& slo);

// Of one record that is ok, in seconds. TPOT of fewer than two tokens: 0.
double ttft_of(const Record& record);
double tpot_of(const Record& record);
std::vector<double> gaps_of(const Record& record);
bool is_good(const Record& record, const Slo& slo);

}  // namespace mill::load
