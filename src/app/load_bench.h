// `tokenmill bench` as a load tool: requests at the engine of this process or over HTTP, in a
// closed or an open loop, one load or a sweep of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/settings.h"
#include "base/result.h"

namespace mill::app {

struct LoadArguments {
  std::string http, endpoint = "completions", prompt_as = "ids", body;
  std::vector<int64_t> clients;
  std::vector<double> rates;
  std::string trace, prompts, process = "poisson";
  double speed = 1;
  int64_t requests = 0, warmup = 0;
  std::string duration = "0s", deadline = "1h";
  std::string input = "128", output = "64";
  int64_t shared_prefix = 0, max_input = 0, max_output = 0, in_flight = 4096, vocabulary = 0;
  bool unique_salts = false, stop_at_end = false;
  double temperature = 0;
  uint64_t seed = 0;  // 0: another one every time
  std::string slo_ttft = "0s", slo_tpot = "0s", slo_itl = "0s";
  double watts = 0;
  std::string svg, save;

  // Whether a load was asked for at all, rather than the speed of the model's steps.
  bool any() const {
    return !http.empty() || !clients.empty() || !rates.empty() || !trace.empty() ||
           !prompts.empty();
  }
};

// The flags. `arguments` must outlive the command line's run().
void add_load_flags(Command& command, LoadArguments& arguments);

// Runs the load and prints what came of it. `model`: of the engine a catalogue name or a path, over
// HTTP the name that the server knows it by ("": the first that it lists). Fails as its parts do,
// and with kIo when no request at all was answered.
Status bench_load(const LoadArguments& arguments, const std::string& model,
                  const Settings& settings);

}  // namespace mill::app
