// /v1/organization/usage/completions: what the journal says was used, in OpenAI's shape, and the
// electricity that it took.
#include <fmt/format.h>

#include "gateway/desk/report_parts.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "maas/metering/factory.h"

namespace mill::gateway::desk {
namespace {

using maas::IdKind;

Result<maas::UsageGroups> groups_of(const Query& query) {
  MILL_TRY(const std::vector<std::string> names, list_of(query, "group_by"));
  maas::UsageGroups groups;
  for (const std::string& name : names) {
    if (name == "project_id") {
      groups.project = true;
    } else if (name == "api_key_id") {
      groups.key = true;
    } else if (name == "model") {
      groups.model = true;
    } else if (name == "batch") {
      groups.batch = true;
    } else if (name == "service_tier") {
      groups.tier = true;
    } else {
      return fail(Code::kInvalid,
                  fmt::format("'group_by' may be project_id, api_key_id, model, batch and "
                              "service_tier, not '{}'",
                              name.substr(0, 64)),
                  "group_by");
    }
  }
  return groups;
}

std::string tier_name(uint8_t tier) {
  return tier < maas::kTierCount ? std::string(maas::name(static_cast<maas::Tier>(tier)))
                                 : std::to_string(tier);
}

// Null where nobody knows. What electricity costs the mill is the operator's to see: `tariff` is
// its currency for the operator (none, if there is no tariff), and nothing for others.
json::value energy_value(const maas::UsageSums& sums,
                         const std::optional<ledger::Currency>& tariff) {
  if (sums.metered == 0) return nullptr;
  const auto number_or_null = [](const std::optional<int64_t>& number) {
    return number ? json::value(*number) : json::value(nullptr);
  };
  json::object out{{"source", text(std::string(maas::energy_source(sums)))},
                   {"joules", static_cast<double>(sums.microjoules) / 1e6},
                   {"microjoules", sums.microjoules},
                   {"requests", sums.metered},
                   {"tokens", sums.metered_tokens}};
  out["tokens_per_kwh"] =
      number_or_null(maas::tokens_per_kwh(sums.metered_tokens, sums.microjoules));
  const bool priced = sums.priced > 0;
  out["measured_requests"] = sums.measured;
  out["priced_requests"] = sums.priced;
  out["co2_grams"] =
      priced ? json::value(static_cast<double>(sums.co2_micrograms) / 1e6) : json::value(nullptr);
  out["co2_micrograms"] = priced ? json::value(sums.co2_micrograms) : json::value(nullptr);
  if (tariff) {
    out["cost"] = priced && !tariff->empty()
                      ? json::value(amount_of(sums.energy_cost * maas::kFemtoPerNano, *tariff))
                      : json::value(nullptr);
  }
  return out;
}

json::object usage_result(const maas::UsageRow& row, const maas::UsageGroups& groups,
                          const DirectoryNames& names,
                          const std::optional<ledger::Currency>& tariff) {
  const ledger::Buckets& tokens = row.sums.tokens;
  json::object out{{"object", "organization.usage.completions.result"},
                   {"input_tokens", row.sums.input_tokens()},
                   {"output_tokens", row.sums.output_tokens()},
                   {"input_cached_tokens", tokens.input_cache_read},
                   {"input_cache_write_tokens", tokens.input_cache_write},
                   {"output_reasoning_tokens", tokens.output_reasoning},
                   {"input_audio_tokens", 0},
                   {"output_audio_tokens", 0},
                   {"num_model_requests", row.sums.requests}};
  out["project_id"] = id_or_null(groups.project, names.project(row.key.project));
  out["user_id"] = nullptr;
  out["api_key_id"] = id_or_null(groups.key, names.key(row.key.key));
  out["model"] = groups.model ? json::value(text(row.key.model)) : json::value(nullptr);
  out["batch"] = groups.batch ? json::value(row.key.batch) : json::value(nullptr);
  out["service_tier"] = groups.tier ? json::value(tier_name(row.key.tier)) : json::value(nullptr);
  out["charged"] = amount_of(row.sums.charge * maas::kFemtoPerNano, row.key.currency);
  out["energy"] = energy_value(row.sums, tariff);
  if (tariff) {
    const auto left = maas::margin(row.sums, row.key.currency, *tariff);
    out["margin"] =
        left ? json::value(amount_of(*left * maas::kFemtoPerNano, *tariff)) : json::value(nullptr);
  }
  return out;
}

struct Limit {
  int64_t usual, most;
};
Limit limit_of(maas::Width width) {  // as OpenAI's
  switch (width) {
    case maas::Width::kMinute:
      return {60, 1440};
    case maas::Width::kHour:
      return {24, 168};
    case maas::Width::kDay:
      break;
  }
  return {7, 31};
}

// The organization asked about; for the operator also all of them together.
Result<uint64_t> usage_scope(const Desk& desk) {
  MILL_TRY(const bool every, desk.query.flag("every_organization"));
  if (!every) {
    MILL_TRY(const Account account, account_of(desk));
    return account.org;
  }
  MILL_TRY_DO(desk.for_operator());
  if (desk.organization)
    return fail(Code::kInvalid, "'every_organization' and an organization are two questions",
                "every_organization");
  return uint64_t{0};
}

Result<maas::UsageQuery> usage_query(const Desk& desk) {
  MILL_TRY(const uint64_t org, usage_scope(desk));
  MILL_TRY(maas::UsageQuery query, time_of(desk.query, maas::Width::kDay));
  query.filter.org = org;
  MILL_TRY(query.filter.projects, serials_of(desk, org, IdKind::kProject, "project_ids"));
  MILL_TRY(query.filter.keys, serials_of(desk, org, IdKind::kKey, "api_key_ids"));
  MILL_TRY(query.filter.models, list_of(desk.query, "models"));
  MILL_TRY(const auto batch, desk.query.text("batch"));
  if (batch) {
    MILL_TRY(query.filter.batch, desk.query.flag("batch"));
  }
  MILL_TRY(query.groups, groups_of(desk.query));
  return query;
}

// What the costs are in: by the tariff in force, or, where nothing is measured any more, by what
// the journal has. None where neither says.
ledger::Currency tariff_of(const Desk& desk, const maas::UsageTable& table) {
  const maas::EnergyMeter* const meter = desk.office.till().meter();
  return meter && !meter->currency().empty() ? meter->currency() : table.tariff();
}

}  // namespace

Result<json::value> usage_completions(Desk& desk) {
  MILL_TRY(const maas::UsageQuery query, usage_query(desk));
  const Limit limits = limit_of(query.width);
  MILL_TRY(const auto limit, desk.query.integer("limit", 1, limits.most));
  MILL_TRY(const auto cursor, page_cursor(desk.query));
  MILL_TRY(const maas::UsagePage page, maas::page_of(query, cursor, limit.value_or(limits.usual)));
  MILL_TRY(maas::UsageTable table, maas::UsageTable::open(page.query));
  ledger::Range range = money_entries(table.query().from_ns, table.query().to_ns);
  if (desk.is_operator()) range.kinds.push_back(ledger::Kind::kOverhead);
  MILL_TRY_DO(
      desk.office.book().scan(range, [&](const ledger::Entry& entry) { return table.add(entry); }));
  std::optional<ledger::Currency> tariff;
  if (desk.is_operator()) tariff = tariff_of(desk, table);
  const DirectoryNames names(desk);
  json::array data;
  for (const maas::UsageBucket& bucket : table.buckets()) {
    json::array results;
    for (const maas::UsageRow& row : bucket.rows)
      results.push_back(usage_result(row, query.groups, names, tariff));
    json::object object = bucket_object(bucket.from_ns, bucket.to_ns, std::move(results));
    if (tariff) object["overhead"] = energy_value(bucket.overhead, tariff);
    data.push_back(std::move(object));
  }
  return page_object(std::move(data), page.next);
}

}  // namespace mill::gateway::desk
