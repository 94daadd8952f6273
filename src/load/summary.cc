#include "load/summary.h"

#include <algorithm>
#include <map>

namespace mill::load {
namespace {

constexpr size_t kFailuresShown = 20;

// One word for each run of digits, so that "for 12 tokens" and "for 7 tokens" are one failure.
std::string without_figures(const std::string& text) {
  std::string masked;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) {
      masked += c;
    } else if (!masked.ends_with('#')) {
      masked += '#';
    }
  }
  return masked;
}

std::vector<Failure> failures_of(const RunLog& run) {
  std::map<std::string, Failure> kinds;
  for (const Record& record : run.records) {
    if (record.ok) continue;
    Failure& kind = kinds[without_figures(record.failure)];
    if (kind.count++ == 0) kind.example = record.failure;
  }
  std::vector<Failure> failures;
  for (auto& [_, kind] : kinds) failures.push_back(std::move(kind));
  std::stable_sort(failures.begin(), failures.end(),
                   [](const Failure& a, const Failure& b) { return a.count > b.count; });
  if (failures.size() > kFailuresShown) {
    Failure rest{.example = "others"};
    for (size_t i = kFailuresShown; i < failures.size(); ++i) rest.count += failures[i].count;
    failures.resize(kFailuresShown);
    failures.push_back(std::move(rest));
  }
  return failures;
}

}  // namespace

double ttft_of(const Record& record) {
  const std::vector<Instant>& pieces = record.reply.pieces;
  return to_seconds((pieces.empty() ? record.ended : pieces.front()) - record.intended);
}

double tpot_of(const Record& record) {
  const std::vector<Instant>& pieces = record.reply.pieces;
  if (record.reply.completion_tokens < 2 || pieces.empty()) return 0;
  return to_seconds(pieces.back() - pieces.front()) /
         static_cast<double>(record.reply.completion_tokens - 1);
}

std::vector<double> gaps_of(const Record& record) {
  std::vector<double> gaps;
  const std::vector<Instant>& pieces = record.reply.pieces;
  for (size_t i = 1; i < pieces.size(); ++i) gaps.push_back(to_seconds(pieces[i] - pieces[i - 1]));
  return gaps;
}

bool is_good(const Record& record, const Slo& slo) {
  if (!record.ok) return false;
  if (slo.ttft_seconds > 0 && ttft_of(record) > slo.ttft_seconds) return false;
  if (slo.tpot_seconds > 0 && tpot_of(record) > slo.tpot_seconds) return false;
  if (slo.itl_seconds > 0) {
    const std::vector<double> gaps = gaps_of(record);
    return std::all_of(gaps.begin(), gaps.end(),
                       [&](double gap) { return gap <= slo.itl_seconds; });
  }
  return true;
}

Summary summarise(const RunLog& run, const Slo& slo) {
  Summary sum{.open_loop = run.open_loop,
              .failures = failures_of(run),
              .seconds = to_seconds(run.ended - run.begun),
              .most_in_flight = run.most_in_flight};
  std::vector<double> ttft, itl, tpot, e2e, late;
  for (const Record& record : run.records) {
    late.push_back(to_seconds(record.started - record.intended));
    if (!record.ok) {
      ++sum.failed;
      continue;
    }
    ++sum.ok;
    const Reply& reply = record.reply;
    sum.prompt_tokens += reply.prompt_tokens;
    sum.cached_tokens += reply.cached_tokens;
    sum.completion_tokens += reply.completion_tokens;
    sum.accepted_drafts += reply.accepted_drafts;
    sum.counted = sum.counted && reply.counted;
    if (reply.completion_tokens < record.asked_output) ++sum.shortened;
    ttft.push_back(ttft_of(record));
    if (reply.completion_tokens > 1) tpot.push_back(tpot_of(record));
    const std::vector<double> gaps = gaps_of(record);
    itl.insert(itl.end(), gaps.begin(), gaps.end());
    e2e.push_back(to_seconds(record.ended - record.intended));
    if (is_good(record, slo)) ++sum.good;
  }
  sum.ttft = spread_of(ttft);
  sum.itl = spread_of(itl);
  sum.tpot = spread_of(tpot);
  sum.e2e = spread_of(e2e);
  if (run.open_loop) sum.late = spread_of(late);
  if (slo.any()) sum.good_per_second = sum.per_second(sum.good);
  return sum;
}

}  // namespace mill::load
