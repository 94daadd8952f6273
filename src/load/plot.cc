#include "load/plot.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "load/chart.h"

namespace mill::load {
namespace {

constexpr double kWidth = 1120, kHeight = 800, kHead = 56;
constexpr double kLeastMs = 0.1;      // what is shorter (parts that came together) is drawn here
constexpr size_t kCurvePoints = 400;  // of a distribution; more would not be seen

using Pick = std::function<double(const Summary&)>;

std::string page(const Report& report, const std::vector<Chart>& charts) {
  Svg svg(kWidth, kHeight);
  svg.text({20, 24}, report.model + " at " + report.target, {.size = 16, .bold = true});
  svg.text({20, 44}, report.shape, {.size = 12});
  const double width = kWidth / 2, height = (kHeight - kHead) / 2;
  for (size_t i = 0; i < charts.size(); ++i) {
    draw(svg, charts[i],
         {.left = static_cast<double>(i % 2) * width,
          .top = kHead + static_cast<double>(i / 2) * height,
          .width = width,
          .height = height});
  }
  return svg.finish();
}

Curve over(const Report& report, std::string name, const Pick& x, const Pick& y,
           bool dashed = false) {
  Curve curve{.name = std::move(name), .dashed = dashed, .marks = true};
  for (const Summary& point : report.points) {
    if (point.ok > 0) curve.points.push_back({x(point), y(point)});
  }
  return curve;
}

std::vector<Bound> bound_of(std::string name, double seconds, bool on_x) {
  if (seconds <= 0) return {};
  return {{std::move(name), seconds * 1000, on_x}};
}

// How large a share of the samples is at most as long.
Curve distribution(std::string name, std::vector<double> samples) {
  Curve curve{.name = std::move(name)};
  std::sort(samples.begin(), samples.end());
  const size_t count = samples.size();
  const size_t shown = std::min(count, kCurvePoints);
  for (size_t i = 0; i < shown; ++i) {
    const size_t rank = shown < 2 ? 0 : i * (count - 1) / (shown - 1);
    curve.points.push_back({std::max(samples[rank] * 1000, kLeastMs),
                            100.0 * static_cast<double>(rank + 1) / static_cast<double>(count)});
  }
  return curve;
}

// Tokens per second in equal stretches of the run, each at the middle of its stretch.
Curve tokens_over_time(const RunLog& run) {
  const double seconds = std::max(to_seconds(run.ended - run.begun), 1e-9);
  const auto stretches = static_cast<size_t>(std::clamp(seconds * 2, 10.0, 120.0));
  const double width = seconds / static_cast<double>(stretches);
  std::vector<double> tokens(stretches, 0);
  for (const Record& record : run.records) {
    if (!record.ok || record.reply.pieces.empty()) continue;
    const double each = static_cast<double>(record.reply.completion_tokens) /
                        static_cast<double>(record.reply.pieces.size());
    for (const Instant piece : record.reply.pieces) {
      const auto at = static_cast<int64_t>(to_seconds(piece - run.begun) / width);
      tokens[static_cast<size_t>(
          std::clamp<int64_t>(at, 0, static_cast<int64_t>(stretches) - 1))] += each;
    }
  }
  Curve curve{.name = "generated"};
  for (size_t i = 0; i < stretches; ++i) {
    curve.points.push_back({(static_cast<double>(i) + 0.5) * width, tokens[i] / width});
  }
  return curve;
}

Curve in_flight_over_time(const RunLog& run) {
  std::vector<std::pair<double, int>> steps;
  for (const Record& record : run.records) {
    steps.emplace_back(to_seconds(record.started - run.begun), 1);
    steps.emplace_back(to_seconds(record.ended - run.begun), -1);
  }
  std::sort(steps.begin(), steps.end());
  Curve curve{.name = "requests"};
  double level = 0;
  for (const auto& [when, change] : steps) {
    curve.points.push_back({when, level});
    level += change;
    curve.points.push_back({when, level});
  }
  return curve;
}

}  // namespace

std::string plot_sweep(const Report& report) {
  const bool open = !report.points.empty() && report.points.front().open_loop;
  const std::string load_name = open ? "requests per second, asked" : "clients";
  const auto [least, most] =
      std::minmax_element(report.points.begin(), report.points.end(),
                          [](const Summary& a, const Summary& b) { return a.load < b.load; });
  const bool wide = !report.points.empty() && least->load > 0 && most->load / least->load >= 16;
  const Pick load = [](const Summary& s) { return s.load; };
  const Pick rate = [](const Summary& s) { return s.per_second(s.completion_tokens); };
  const auto ms = [](double Spread::*which, Spread Summary::*of) -> Pick {
    return [=](const Summary& s) { return s.*of.*which * 1000; };
  };
  std::vector<Chart> charts{
      {.title = "Throughput", .x = {load_name, wide}, .y = {"tokens per second"}},
      {.title = "Time to first token", .x = {load_name, wide}, .y = {"ms", true}},
      {.title = "Time per further token", .x = {load_name, wide}, .y = {"ms", true}},
      {.title = "What throughput costs", .x = {"generated tokens per second"}, .y = {"ms", true}}};
  charts[0].curves = {over(report, "generated", load, rate)};
  charts[1].curves = {over(report, "p50", load, ms(&Spread::p50, &Summary::ttft)),
                      over(report, "p99", load, ms(&Spread::p99, &Summary::ttft), true)};
  charts[1].bounds = bound_of("SLO", report.slo.ttft_seconds, false);
  charts[2].curves = {over(report, "TPOT p50", load, ms(&Spread::p50, &Summary::tpot)),
                      over(report, "TPOT p99", load, ms(&Spread::p99, &Summary::tpot), true),
                      over(report, "ITL p99", load, ms(&Spread::p99, &Summary::itl), true)};
  charts[2].bounds = bound_of("SLO (TPOT)", report.slo.tpot_seconds, false);
  for (const Bound& bound : bound_of("SLO (ITL)", report.slo.itl_seconds, false)) {
    charts[2].bounds.push_back(bound);
  }
  charts[3].curves = {over(report, "TTFT p50", rate, ms(&Spread::p50, &Summary::ttft)),
                      over(report, "TPOT p50", rate, ms(&Spread::p50, &Summary::tpot)),
                      over(report, "E2E p50", rate, ms(&Spread::p50, &Summary::e2e))};
  return page(report, charts);
}

std::string plot_run(const Report& report, const RunLog& run) {
  std::vector<double> ttft, e2e, tpot, itl;
  for (const Record& record : run.records) {
    if (!record.ok) continue;
    ttft.push_back(ttft_of(record));
    e2e.push_back(to_seconds(record.ended - record.intended));
    if (record.reply.completion_tokens > 1) tpot.push_back(tpot_of(record));
    const std::vector<double> gaps = gaps_of(record);
    itl.insert(itl.end(), gaps.begin(), gaps.end());
  }
  std::vector<Chart> charts{
      {.title = "Until the first token and the end", .x = {"ms", true}, .y = {"% of requests"}},
      {.title = "Between tokens", .x = {"ms", true}, .y = {"% of gaps, of requests"}},
      {.title = "Throughput", .x = {"seconds"}, .y = {"tokens per second"}},
      {.title = "In flight", .x = {"seconds"}, .y = {"requests"}}};
  charts[0].curves = {distribution("TTFT", std::move(ttft)), distribution("E2E", std::move(e2e))};
  charts[0].bounds = bound_of("SLO", report.slo.ttft_seconds, true);
  charts[1].curves = {distribution("ITL", std::move(itl)), distribution("TPOT", std::move(tpot))};
  charts[1].bounds = bound_of("SLO (TPOT)", report.slo.tpot_seconds, true);
  for (const Bound& bound : bound_of("SLO (ITL)", report.slo.itl_seconds, true)) {
    charts[1].bounds.push_back(bound);
  }
  charts[2].curves = {tokens_over_time(run)};
  charts[3].curves = {in_flight_over_time(run)};
  return page(report, charts);
}

}  // namespace mill::load
