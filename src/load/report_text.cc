#include <fmt/format.h>

#include <iterator>

#include "load/report.h"

namespace mill::load {
namespace {

std::string milliseconds(double seconds) {
  const double ms = seconds * 1000;
  return ms < 100 ? fmt::format("{:.2f}", ms) : fmt::format("{:.0f}", ms);
}

std::string load_of(const Summary& point) {
  return point.open_loop ? fmt::format("{:g} requests/s", point.load)
                         : fmt::format("{:g} clients", point.load);
}

void add_spread(std::string& out, std::string_view name, const Spread& spread) {
  if (spread.count == 0) return;
  fmt::format_to(
      std::back_inserter(out), "{:<10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n", name,
      milliseconds(spread.mean), milliseconds(spread.p50), milliseconds(spread.p90),
      milliseconds(spread.p95), milliseconds(spread.p99), milliseconds(spread.max), spread.count);
}

void add_notes(std::string& out, const Report& report, const Summary& point) {
  const auto add = std::back_inserter(out);
  for (const Failure& failure : point.failures) {
    fmt::format_to(add, "  {} × {}\n", failure.count, failure.example);
  }
  if (point.shortened > 0) {
    fmt::format_to(add, "  {} answers ended before they were as long as asked\n", point.shortened);
  }
  if (!point.counted) {
    out += "  the server counted no tokens: parts of answers were counted instead\n";
  }
  if (point.late.p99 > 0.01) {
    fmt::format_to(add,
                   "  requests began late, p99 {} ms: this client, or its limit of requests in "
                   "flight, held them back (latencies count from when they should have begun)\n",
                   milliseconds(point.late.p99));
  }
  if (point.joules && point.completion_tokens > 0 && point.seconds > 0) {
    fmt::format_to(add, "energy     {:.1f} J, {:.1f} W, {:.3f} J per generated token ({})\n",
                   *point.joules, *point.joules / point.seconds,
                   *point.joules / static_cast<double>(point.completion_tokens), report.energy);
  } else {
    fmt::format_to(add, "energy     not known: {}\n", report.energy);
  }
}

void add_point(std::string& out, const Report& report, const Summary& point) {
  const auto add = std::back_inserter(out);
  fmt::format_to(add, "{} ok, {} failed, {:.2f} s, at most {} in flight\n", point.ok, point.failed,
                 point.seconds, point.most_in_flight);
  fmt::format_to(add, "{:.2f} requests/s   prompts {:.1f} tokens/s", point.per_second(point.ok),
                 point.per_second(point.prompt_tokens));
  if (point.cached_tokens > 0) {
    fmt::format_to(add, " ({:.0f} % cached)",
                   100.0 * static_cast<double>(point.cached_tokens) /
                       static_cast<double>(point.prompt_tokens));
  }
  fmt::format_to(add, "   generated {:.1f} tokens/s\n", point.per_second(point.completion_tokens));
  if (point.good_per_second) {
    fmt::format_to(add, "goodput    {:.2f} requests/s within the SLO ({} of {})\n",
                   *point.good_per_second, point.good, point.ok + point.failed);
  }
  fmt::format_to(add, "{:<10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "ms", "mean",
                 "p50", "p90", "p95", "p99", "max", "samples");
  add_spread(out, "TTFT", point.ttft);
  add_spread(out, "TPOT", point.tpot);
  add_spread(out, "ITL", point.itl);
  add_spread(out, "E2E", point.e2e);
  add_notes(out, report, point);
}

void add_sweep(std::string& out, const Report& report) {
  const auto add = std::back_inserter(out);
  fmt::format_to(add, "\n{:<20} {:>8} {:>12} {:>19} {:>19} {:>10} {:>8} {:>9}\n", "load", "req/s",
                 "generated/s", "TTFT p50, p99 ms", "TPOT p50, p99 ms", "ITL p99 ms", "failed",
                 "goodput");
  for (const Summary& point : report.points) {
    fmt::format_to(add, "{:<20} {:>8.2f} {:>12.1f} {:>9} {:>9} {:>9} {:>9} {:>10} {:>8} {:>9}\n",
                   load_of(point), point.per_second(point.ok),
                   point.per_second(point.completion_tokens), milliseconds(point.ttft.p50),
                   milliseconds(point.ttft.p99), milliseconds(point.tpot.p50),
                   milliseconds(point.tpot.p99), milliseconds(point.itl.p99), point.failed,
                   point.good_per_second ? fmt::format("{:.2f}", *point.good_per_second) : "-");
  }
  if (const auto most = fastest(report)) {
    const Summary& point = report.points[*most];
    fmt::format_to(add, "most tokens: {:.1f} generated/s at {}\n",
                   point.per_second(point.completion_tokens), load_of(point));
  }
  if (const auto most = best_good(report)) {
    const Summary& point = report.points[*most];
    fmt::format_to(add, "most within the SLO: {:.2f} requests/s at {}\n", *point.good_per_second,
                   load_of(point));
  } else if (report.slo.any()) {
    out += "no point had a request within the SLO\n";
  }
}

}  // namespace

std::string report_text(const Report& report) {
  std::string out = fmt::format("{} at {}\n{}, seed {}\n", report.model, report.target,
                                report.shape, report.seed);
  for (const Summary& point : report.points) {
    fmt::format_to(std::back_inserter(out), "\n{}\n", load_of(point));
    add_point(out, report, point);
  }
  if (report.points.size() > 1) add_sweep(out, report);
  return out;
}

}  // namespace mill::load
