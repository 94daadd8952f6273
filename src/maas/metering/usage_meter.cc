#include "maas/metering/usage_meter.h"

#include <algorithm>
#include <limits>

#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

int64_t ceil_to(int64_t at_ns, int64_t width_ns) {
  const int64_t floor = floor_to(at_ns, width_ns);
  return floor == at_ns ? at_ns : floor + width_ns;
}

}  // namespace

size_t UsageMeter::PlaceHash::operator()(const Place& place) const {
  uint64_t hash = 0;
  const auto mix = [&hash](uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 32;
  };
  mix(place.org);
  mix(place.project);
  mix(place.key);
  mix(place.currency);
  mix(uint64_t{place.model} << 16 | uint64_t{place.tier} << 8 | (place.batch ? 1 : 0));
  return size_t(hash);
}

UsageMeter::UsageMeter(int64_t from_ns, Options options) : options_(options), from_ns_(from_ns) {
  hours_.complete_from = ceil_to(from_ns, kNanosPerHour);
  days_.complete_from = ceil_to(from_ns, kNanosPerDay);
}

void UsageMeter::drop_before(Series& series, int64_t instant) {
  while (!series.buckets.empty() && series.buckets.begin()->first < instant) {
    series.rows -= series.buckets.begin()->second.size();
    series.buckets.erase(series.buckets.begin());
  }
  series.complete_from = std::max(series.complete_from, instant);
}

void UsageMeter::drop_oldest(Series& series, int64_t width_ns) {
  drop_before(series, series.buckets.begin()->first + width_ns);
}

// The bucket that runs may go too: then it is asked of the journal, like all before it.
void UsageMeter::make_room() {
  while (rows() > options_.max_rows) {
    if (!hours_.buckets.empty() && (hours_.buckets.size() > 1 || days_.buckets.size() <= 1))
      drop_oldest(hours_, kNanosPerHour);
    else
      drop_oldest(days_, kNanosPerDay);
  }
}

void UsageMeter::add_to(Series& series, int64_t width_ns, int64_t at_ns, const Place& place,
                        const UsageSums& sums) {
  const int64_t bucket = floor_to(at_ns, width_ns);
  if (bucket < series.complete_from) return;
  const auto [found, fresh] = series.buckets[bucket].try_emplace(place);
  if (fresh) ++series.rows;
  found->second.add(sums);
}

void UsageMeter::add(const ledger::Entry& entry) {
  if (entry.at_ns < from_ns_) return;
  const auto usage = usage_of(entry);
  if (!usage) return;
  const auto [model, fresh] = model_ids_.try_emplace(usage->key.model, uint32_t(models_.size()));
  if (fresh) models_.push_back(usage->key.model);
  const Place place{.org = usage->key.org,
                    .project = usage->key.project,
                    .key = usage->key.key,
                    .currency = usage->key.currency.packed,
                    .model = model->second,
                    .tier = usage->key.tier,
                    .batch = usage->key.batch};
  add_to(hours_, kNanosPerHour, entry.at_ns, place, usage->sums);
  add_to(days_, kNanosPerDay, entry.at_ns, place, usage->sums);
  drop_before(hours_, floor_to(entry.at_ns, kNanosPerHour) - (options_.hours - 1) * kNanosPerHour);
  drop_before(days_, floor_to(entry.at_ns, kNanosPerDay) - (options_.days - 1) * kNanosPerDay);
  make_room();
}

int64_t UsageMeter::complete_from(Width width) const {
  if (width == Width::kMinute) return std::numeric_limits<int64_t>::max();
  return width == Width::kHour ? hours_.complete_from : days_.complete_from;
}

Result<std::vector<UsageBucket>> UsageMeter::query(const UsageQuery& query) const {
  MILL_TRY(UsageTable table, UsageTable::open(query));
  if (table.query().from_ns < complete_from(query.width))
    return fail(Code::kNotFound, "this time is no longer in memory: scan the journal",
                "start_time");
  const Series& series = query.width == Width::kHour ? hours_ : days_;
  const auto end = series.buckets.lower_bound(table.query().to_ns);
  for (auto at = series.buckets.lower_bound(table.query().from_ns); at != end; ++at) {
    for (const auto& [place, sums] : at->second) {
      const UsageKey key{.org = place.org,
                         .project = place.project,
                         .key = place.key,
                         .model = models_[place.model],
                         .tier = place.tier,
                         .batch = place.batch,
                         .currency = {place.currency}};
      MILL_TRY_DO(table.add(at->first, key, sums));
    }
  }
  return table.buckets();
}

}  // namespace mill::maas
