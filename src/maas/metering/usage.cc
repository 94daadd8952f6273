#include "maas/metering/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "maas/catalog/civil_time.h"
#include "maas/metering/energy.h"
#include "maas/metering/explain.h"

namespace mill::maas {
namespace {

void add_to(int64_t& sum, int64_t more) {  // neither is negative
  if (__builtin_add_overflow(sum, more, &sum)) sum = std::numeric_limits<int64_t>::max();
}

template <class T>
bool has(const std::vector<T>& list, const T& value) {
  return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
}

UsageKey grouped(const UsageKey& key, const UsageGroups& by) {
  UsageKey group{.currency = key.currency};
  if (by.org) group.org = key.org;
  if (by.project) group.project = key.project;
  if (by.key) group.key = key.key;
  if (by.model) group.model = key.model;
  if (by.tier) group.tier = key.tier;
  if (by.batch) group.batch = key.batch;
  return group;
}

}  // namespace

Result<Width> parse_width(std::string_view text, std::string_view field) {
  for (const Width width : {Width::kMinute, Width::kHour, Width::kDay})
    if (text == name(width)) return width;
  return fail(Code::kInvalid, fmt::format("{}: '{}' is not one of 1m, 1h, 1d", field, text),
              std::string(field));
}

std::string_view name(Width width) {
  return width == Width::kMinute ? "1m" : width == Width::kHour ? "1h" : "1d";
}

int64_t nanos(Width width) {
  return width == Width::kMinute ? kNanosPerMinute
         : width == Width::kHour ? kNanosPerHour
                                 : kNanosPerDay;
}

void UsageSums::add(const UsageSums& other) {
  add_to(tokens.input_uncached, other.tokens.input_uncached);
  add_to(tokens.input_cache_read, other.tokens.input_cache_read);
  add_to(tokens.input_cache_write, other.tokens.input_cache_write);
  add_to(tokens.input_image, other.tokens.input_image);
  add_to(tokens.output_text, other.tokens.output_text);
  add_to(tokens.output_reasoning, other.tokens.output_reasoning);
  add_to(tokens.output_image, other.tokens.output_image);
  add_to(requests, other.requests);
  charge += other.charge;
  add_to(microjoules, other.microjoules);
  energy_cost += other.energy_cost;
  add_to(co2_micrograms, other.co2_micrograms);
  add_to(metered, other.metered);
  add_to(measured, other.measured);
  add_to(priced, other.priced);
  add_to(metered_tokens, other.metered_tokens);
}

int64_t UsageSums::input_tokens() const {
  int64_t sum = tokens.input_uncached;
  add_to(sum, tokens.input_cache_read);
  add_to(sum, tokens.input_cache_write);
  add_to(sum, tokens.input_image);
  return sum;
}

int64_t UsageSums::output_tokens() const {
  int64_t sum = tokens.output_text;
  add_to(sum, tokens.output_reasoning);
  add_to(sum, tokens.output_image);
  return sum;
}

std::optional<UsageOf> usage_of(const ledger::Entry& entry) {
  const bool settle = entry.kind == ledger::Kind::kSettle;
  if (!settle && entry.kind != ledger::Kind::kReversal) return std::nullopt;
  UsageOf usage{.key = {.org = entry.payer.org,
                        .project = entry.payer.project,
                        .key = entry.payer.key,
                        .model = entry.model,
                        .tier = entry.tier,
                        .batch = is_batch(entry),
                        .currency = entry.currency}};
  if (!settle) {
    usage.sums.charge = -ledger::Wide(entry.amount);
    return usage;
  }
  usage.sums = energy_of(entry);
  usage.sums.tokens = entry.tokens;
  usage.sums.requests = 1;
  usage.sums.charge = entry.amount;
  if (usage.sums.metered > 0) {
    usage.sums.metered_tokens = usage.sums.input_tokens();
    add_to(usage.sums.metered_tokens, usage.sums.output_tokens());
  }
  return usage;
}

UsageSums energy_of(const ledger::Entry& entry) {
  const auto source = source_of(entry);
  const bool priced = source && (entry.flags & ledger::kEnergyPriced) != 0;
  return {.microjoules = entry.microjoules,
          .energy_cost = entry.energy_cost,
          .co2_micrograms = entry.co2_micrograms,
          .metered = source ? 1 : 0,
          .measured = source == EnergySource::kRapl ? 1 : 0,
          .priced = priced ? 1 : 0};
}

bool UsageFilter::passes(const UsageKey& key) const {
  return (org == 0 || org == key.org) && has(projects, key.project) && has(keys, key.key) &&
         has(models, key.model) && has(tiers, key.tier) && (!batch || *batch == key.batch);
}

Result<UsageQuery> whole_buckets(UsageQuery query) {
  const int64_t width = nanos(query.width);
  if (query.to_ns <= query.from_ns)
    return fail(Code::kInvalid, "the end of the time asked for must be after its beginning",
                "end_time");
  if (query.from_ns < std::numeric_limits<int64_t>::min() + kNanosPerDay ||
      query.to_ns > std::numeric_limits<int64_t>::max() - kNanosPerDay)
    return fail(Code::kInvalid, "the time asked for is outside of 1678 to 2262", "start_time");
  query.from_ns = floor_to(query.from_ns, width);
  query.to_ns = floor_to(query.to_ns + width - 1, width);
  if ((ledger::Wide(query.to_ns) - query.from_ns) / width > kMaxUsageBuckets)
    return fail(Code::kTooLarge,
                fmt::format("the time asked for has more than {} buckets of {}: ask for less, or "
                            "for wider ones",
                            kMaxUsageBuckets, name(query.width)),
                "bucket_width");
  return query;
}

Result<UsagePage> page_of(const UsageQuery& query, std::optional<int64_t> cursor, int64_t limit) {
  UsagePage page;
  MILL_TRY(page.query, whole_buckets(query));
  const int64_t width = nanos(query.width);
  if (cursor) {
    if (*cursor < page.query.from_ns || *cursor >= page.query.to_ns ||
        floor_to(*cursor, width) != *cursor)
      return fail(Code::kInvalid, "the page is not one of this query", "page");
    page.query.from_ns = *cursor;
  }
  if ((page.query.to_ns - page.query.from_ns) / width > limit) {
    page.query.to_ns = page.query.from_ns + limit * width;
    page.next = page.query.to_ns;
  }
  return page;
}

Result<UsageTable> UsageTable::open(const UsageQuery& query, size_t max_rows) {
  MILL_TRY(UsageQuery whole, whole_buckets(query));
  return UsageTable(std::move(whole), max_rows);
}

Status UsageTable::add(const ledger::Entry& entry) {
  if (entry.kind == ledger::Kind::kOverhead && entry.at_ns >= query_.from_ns &&
      entry.at_ns < query_.to_ns) {
    overhead_[floor_to(entry.at_ns, nanos(query_.width))].add(energy_of(entry));
    if (!entry.currency.empty()) tariff_ = entry.currency;
  }
  if (const auto usage = usage_of(entry)) return add(entry.at_ns, usage->key, usage->sums);
  return {};
}

Status UsageTable::add(int64_t at_ns, const UsageKey& key, const UsageSums& sums) {
  if (at_ns < query_.from_ns || at_ns >= query_.to_ns || !query_.filter.passes(key)) return {};
  auto& bucket = sums_[floor_to(at_ns, nanos(query_.width))];
  const UsageKey group = grouped(key, query_.groups);
  auto found = bucket.find(group);
  if (found == bucket.end()) {
    if (rows_ >= max_rows_)
      return fail(Code::kTooLarge,
                  fmt::format("the answer would have more than {} rows: ask for less time, or "
                              "group by less",
                              max_rows_),
                  "group_by");
    ++rows_;
    found = bucket.emplace(group, UsageSums{}).first;
  }
  found->second.add(sums);
  return {};
}

std::vector<UsageBucket> UsageTable::buckets() const {
  std::vector<UsageBucket> all;
  const int64_t width = nanos(query_.width);
  auto at = sums_.begin();
  for (int64_t from = query_.from_ns; from < query_.to_ns; from += width) {
    UsageBucket bucket{.from_ns = from, .to_ns = from + width, .rows = {}, .overhead = {}};
    if (const auto found = overhead_.find(from); found != overhead_.end())
      bucket.overhead = found->second;
    if (at != sums_.end() && at->first == from) {
      for (const auto& [key, sums] : at->second) bucket.rows.push_back({key, sums});
      ++at;
    }
    all.push_back(std::move(bucket));
  }
  return all;
}

}  // namespace mill::maas
