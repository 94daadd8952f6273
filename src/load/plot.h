// The pictures of a load: of a sweep, how throughput and latencies grow with the load; of one run,
// how its latencies are spread and how it went over time.
#pragma once

#include <string>

#include "load/drive.h"
#include "load/report.h"

namespace mill::load {

// Each a whole SVG file of four charts.
std::string plot_sweep(const Report& report);
// Requires: the report has the one point that `run` is summed up in.
std::string plot_run(const Report& report, const RunLog& run);

}  // namespace mill::load
