#include <algorithm>
#include <boost/json.hpp>
#include <chrono>

#include "load/report.h"

namespace mill::load {
namespace {

namespace json = boost::json;

json::object object_of(const Spread& spread) {
  return {{"count", spread.count}, {"mean", spread.mean}, {"p50", spread.p50}, {"p90", spread.p90},
          {"p95", spread.p95},     {"p99", spread.p99},   {"max", spread.max}};
}

json::value or_null(const std::optional<double>& number) {
  return number ? json::value(*number) : json::value(nullptr);
}

json::object object_of(const Summary& point) {
  json::array failures;
  for (const Failure& failure : point.failures) {
    failures.push_back({{"example", failure.example}, {"count", failure.count}});
  }
  json::object object{{point.open_loop ? "rate" : "clients", point.load},
                      {"ok", point.ok},
                      {"failed", point.failed},
                      {"failures", std::move(failures)},
                      {"seconds", point.seconds},
                      {"most_in_flight", point.most_in_flight},
                      {"prompt_tokens", point.prompt_tokens},
                      {"cached_tokens", point.cached_tokens},
                      {"completion_tokens", point.completion_tokens},
                      {"accepted_drafts", point.accepted_drafts},
                      {"tokens_counted_by_target", point.counted},
                      {"shortened", point.shortened},
                      {"requests_per_second", point.per_second(point.ok)},
                      {"prompt_tokens_per_second", point.per_second(point.prompt_tokens)},
                      {"completion_tokens_per_second", point.per_second(point.completion_tokens)},
                      {"ttft_seconds", object_of(point.ttft)},
                      {"tpot_seconds", object_of(point.tpot)},
                      {"itl_seconds", object_of(point.itl)},
                      {"e2e_seconds", object_of(point.e2e)}};
  if (point.open_loop) object["late_seconds"] = object_of(point.late);
  object["good_requests_per_second"] = or_null(point.good_per_second);
  object["joules"] = or_null(point.joules);
  object["joules_per_completion_token"] =
      point.joules && point.completion_tokens > 0
          ? json::value(*point.joules / static_cast<double>(point.completion_tokens))
          : json::value(nullptr);
  return object;
}

double clock_seconds(Instant when) {
  return std::chrono::duration<double>(when.time_since_epoch()).count();
}

json::object object_of(const Record& record) {
  json::object object{{"index", record.index},
                      {"asked_prompt", record.asked_prompt},
                      {"asked_output", record.asked_output},
                      {"intended", clock_seconds(record.intended)},
                      {"started", clock_seconds(record.started)},
                      {"ended", clock_seconds(record.ended)},
                      {"ok", record.ok}};
  if (!record.ok) {
    object["failure"] = record.failure;
    return object;
  }
  const Reply& reply = record.reply;
  json::array pieces;
  for (const Instant piece : reply.pieces) pieces.push_back(clock_seconds(piece));
  object["pieces"] = std::move(pieces);
  object["prompt_tokens"] = reply.prompt_tokens;
  object["cached_tokens"] = reply.cached_tokens;
  object["completion_tokens"] = reply.completion_tokens;
  object["accepted_drafts"] = reply.accepted_drafts;
  object["finish_reason"] = reply.finish_reason;
  if (!reply.ids.empty()) object["ids"] = json::array(reply.ids.begin(), reply.ids.end());
  if (!reply.text.empty()) object["text"] = reply.text;
  return object;
}

}  // namespace

std::string report_json(const Report& report) {
  json::array points;
  for (const Summary& point : report.points) points.push_back(object_of(point));
  json::object object{{"target", report.target},
                      {"model", report.model},
                      {"shape", report.shape},
                      {"seed", report.seed},
                      {"slo",
                       {{"ttft_seconds", report.slo.ttft_seconds},
                        {"tpot_seconds", report.slo.tpot_seconds},
                        {"itl_seconds", report.slo.itl_seconds}}},
                      {"energy", report.energy},
                      {"points", std::move(points)}};
  if (const auto most = fastest(report)) object["fastest_point"] = *most;
  if (const auto most = best_good(report)) object["best_point_within_slo"] = *most;
  return json::serialize(object);
}

std::string records_jsonl(const RunLog& run) {
  std::vector<const Record*> order;
  for (const Record& record : run.records) order.push_back(&record);
  std::stable_sort(order.begin(), order.end(),
                   [](const Record* a, const Record* b) { return a->index < b->index; });
  std::string lines;
  for (const Record* record : order) lines += json::serialize(object_of(*record)) + "\n";
  return lines;
}

}  // namespace mill::load
