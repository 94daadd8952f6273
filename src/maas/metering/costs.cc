#include "maas/metering/costs.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

constexpr int64_t kMaxDays = 3660;

using Group = std::tuple<uint64_t, uint64_t, uint64_t, std::string, ledger::Currency>;

bool has(const std::vector<uint64_t>& list, uint64_t value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

std::string line_item(const Line& line) {
  // Whether a reversal is late matters to invoices alone.
  const std::string_view what = line.kind == LineKind::kItem           ? name(line.item)
                                : line.kind == LineKind::kLateReversal ? name(LineKind::kReversal)
                                                                       : name(line.kind);
  return line.model.empty() ? std::string(what) : line.model + ", " + std::string(what);
}

Result<std::vector<CostDay>> costs(const StatementScope& scope, std::span<const Line> lines,
                                   const CostFilter& filter, const CostGroups& groups) {
  const int64_t first = floor_to(scope.from_ns, kNanosPerDay);
  if (scope.to_ns <= scope.from_ns)
    return fail(Code::kInvalid, "the end of the time asked for must be after its beginning",
                "end_time");
  if ((ledger::Wide(scope.to_ns) - first) / kNanosPerDay >= kMaxDays)
    return fail(Code::kTooLarge, "at most ten years of costs can be asked for at once",
                "start_time");
  std::map<int64_t, std::map<Group, CostRow>> days;
  for (const Line& line : lines) {
    if (!has(filter.projects, line.project) || !has(filter.keys, line.key)) continue;
    CostRow row{.org = groups.org ? line.org : 0,
                .project = groups.project ? line.project : 0,
                .key = groups.key ? line.key : 0,
                .line_item = groups.line_item ? line_item(line) : std::string(),
                .currency = line.currency};
    if (groups.line_item && line.kind == LineKind::kItem) row.unit = unit(line.item);
    CostRow& into =
        days[line.day_ns]
            .try_emplace({row.org, row.project, row.key, row.line_item, row.currency}, row)
            .first->second;
    into.amount += line.amount;
    if (groups.line_item) into.quantity += line.quantity;
  }
  std::vector<CostDay> all;
  for (int64_t day = first; day < scope.to_ns; day += kNanosPerDay) {
    CostDay costs{.from_ns = day, .to_ns = day + kNanosPerDay, .rows = {}};
    if (const auto found = days.find(day); found != days.end())
      for (auto& [group, row] : found->second) costs.rows.push_back(std::move(row));
    all.push_back(std::move(costs));
  }
  return all;
}

}  // namespace mill::maas
