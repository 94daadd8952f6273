// What a load's runs come to, for people (a table) and for programs (JSON).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "load/drive.h"
#include "load/summary.h"

namespace mill::load {

struct Report {
  std::string target;  // "http://127.0.0.1:8080", or "engine"
  std::string model;
  std::string shape;  // of prompts, answers and arrivals, in words
  uint64_t seed = 0;  // that makes the same requests again
  Slo slo;
  std::string energy;           // where joules come from, or why there are none and what to do
  std::vector<Summary> points;  // one, or a sweep in the order of the load
};

// The point with the most generated tokens per second; nothing when none generated any.
std::optional<size_t> fastest(const Report& report);
// The point with the most requests within the SLO per second; nothing without an SLO, or when none
// was.
std::optional<size_t> best_good(const Report& report);

std::string report_text(const Report& report);
std::string report_json(const Report& report);  // one line

// One JSON line for each request, in the order of their index. Times are seconds of the machine's
// monotonic clock (Linux: CLOCK_MONOTONIC), so that several programs' files can be laid side by
// side.
std::string records_jsonl(const RunLog& run);

}  // namespace mill::load
