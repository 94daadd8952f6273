// /v1/organization/usage/completions, /costs, /invoices/{month} and /exports/focus/{month}: what
// the journal says was used and charged, in OpenAI's shapes and for accountants.
//
// Every answer is a scan of the journal over the time asked for: nothing is kept beside it that
// could differ from it. `amount.value` is a number, as OpenAI's clients expect; `amount.exact` is
// the decimal text that adds up.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "gateway/desk/desk.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "maas/catalog/civil_time.h"
#include "maas/metering/costs.h"
#include "maas/metering/focus.h"
#include "maas/metering/invoice.h"
#include "maas/metering/usage.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;
using maas::IdKind;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMostSeconds = 253'402'300'799;  // the end of the year 9999
constexpr size_t kMostNames = 1000;                // of one list of a query

// The names of the directory. Called with its lock not held.
class DirectoryNames final : public maas::Names {
 public:
  explicit DirectoryNames(const Desk& desk) : desk_(desk) {}
  maas::Named organization(uint64_t serial) const override {
    return named(IdKind::kOrganization, [&](const Directory& d) { return d.organization(serial); });
  }
  maas::Named project(uint64_t serial) const override {
    return named(IdKind::kProject, [&](const Directory& d) { return d.project(serial); });
  }
  maas::Named key(uint64_t serial) const override {
    return named(IdKind::kKey, [&](const Directory& d) { return d.key(serial); });
  }

 private:
  template <class Find>
  maas::Named named(IdKind kind, const Find& find) const {
    return desk_.read([&](const Directory& d) -> maas::Named {
      const auto* found = find(d);
      if (!found) return {.id = "unknown"};
      return {.id = maas::to_string(kind, found->id), .name = found->name};
    });
  }
  const Desk& desk_;
};

// A query's list, given as name=a&name=b, as name[]=a, or as name=a,b.
Result<std::vector<std::string>> list_of(const Query& query, const std::string& name) {
  std::vector<std::string> all = query.all(name);
  for (std::string& more : query.all(name + "[]")) all.push_back(std::move(more));
  std::vector<std::string> items;
  for (const std::string& text : all) {
    size_t at = 0;
    while (at <= text.size()) {
      const size_t end = std::min(text.find(',', at), text.size());
      if (end > at) items.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  if (items.size() > kMostNames)
    return fail(Code::kTooLarge, fmt::format("'{}' names more than {}", name, kMostNames), name);
  return items;
}

// Serial numbers of projects or keys; kNotFound for one that is not the organization's.
Result<std::vector<uint64_t>> serials_of(const Desk& desk, uint64_t org, IdKind kind,
                                         const std::string& name) {
  MILL_TRY(const std::vector<std::string> ids, list_of(desk.query, name));
  return desk.read([&](const Directory& d) -> Result<std::vector<uint64_t>> {
    std::vector<uint64_t> serials;
    for (const std::string& id : ids) {
      const auto found = d.find(kind, id);
      const bool own = found && (kind == IdKind::kProject ? d.project(*found)->org == org
                                                          : d.key(*found)->org == org);
      if (!own) {
        return fail(Code::kNotFound,
                    fmt::format("there is no {} '{}'", maas::noun(kind), id.substr(0, 64)), name);
      }
      serials.push_back(*found);
    }
    return serials;
  });
}

Result<std::optional<int64_t>> page_cursor(const Query& query) {
  MILL_TRY(const auto page, query.text("page"));
  if (!page || page->empty()) return std::optional<int64_t>();
  constexpr std::string_view kPrefix = "page_";
  int64_t seconds = 0;
  const char* end = page->data() + page->size();
  const bool good = page->starts_with(kPrefix) &&
                    std::from_chars(page->data() + kPrefix.size(), end, seconds).ptr == end &&
                    seconds >= 0 && seconds <= kMostSeconds;
  if (!good) return fail(Code::kInvalid, "'page' must be a next_page of this list", "page");
  return std::optional(seconds * kSecond);
}

// start_time, end_time and bucket_width.
Result<maas::UsageQuery> time_of(const Query& query, maas::Width usual) {
  maas::UsageQuery made;
  MILL_TRY(const auto start, query.integer("start_time", 0, kMostSeconds));
  if (!start) return fail(Code::kInvalid, "'start_time' is missing", "start_time");
  MILL_TRY(const auto end, query.integer("end_time", 0, kMostSeconds));
  MILL_TRY(const auto width, query.text("bucket_width"));
  made.width = usual;
  if (width) {
    MILL_TRY(made.width, maas::parse_width(*width, "bucket_width"));
  }
  made.from_ns = *start * kSecond;
  made.to_ns = end ? *end * kSecond : unix_nanoseconds() + 1;
  return made;
}

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

json::object amount_of(maas::Femto amount, const std::string& currency) {
  std::string lower = currency;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return static_cast<char>(c + ('a' - 'A')); });
  return {{"value", static_cast<double>(amount) * 1e-15},
          {"currency", lower},
          {"exact", maas::print_femto(amount)}};
}

json::value id_or_null(bool wanted, const maas::Named& named) {
  return wanted ? json::value(named.id) : json::value(nullptr);
}

json::object usage_result(const maas::UsageRow& row, const maas::UsageGroups& groups,
                          const DirectoryNames& names) {
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
  out["charged"] =
      amount_of(row.sums.charge * maas::kFemtoPerNano, ledger::to_string(row.key.currency));
  if (row.sums.microjoules > 0) {
    out["energy_joules"] = static_cast<double>(row.sums.microjoules) * 1e-6;
    out["co2_grams"] = static_cast<double>(row.sums.co2_micrograms) * 1e-6;
  }
  return out;
}

json::object page_object(json::array data, std::optional<int64_t> next) {
  json::object out{{"object", "page"}, {"data", std::move(data)}, {"has_more", next.has_value()}};
  out["next_page"] =
      next ? json::value(fmt::format("page_{}", *next / kSecond)) : json::value(nullptr);
  return out;
}

json::object bucket_object(int64_t from_ns, int64_t to_ns, json::array results) {
  return {{"object", "bucket"},
          {"start_time", from_ns / kSecond},
          {"end_time", to_ns / kSecond},
          {"results", std::move(results)}};
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

ledger::Range money_entries(int64_t from_ns, int64_t to_ns) {
  return {.from_ns = from_ns,
          .to_ns = to_ns,
          .kinds = {ledger::Kind::kSettle, ledger::Kind::kReversal}};
}

maas::Prices prices_of(const Desk& desk) {
  return [&desk](int64_t number) { return desk.office.till().prices(number); };
}

struct Account {
  uint64_t org = 0;
  ledger::Currency currency;
  std::string id;
};
Result<Account> account_of(const Desk& desk) {
  return desk.read([&](const Directory& d) -> Result<Account> {
    MILL_TRY(const uint64_t org, find_organization(desk, d));
    const maas::Organization* found = d.organization(org);
    return Account{org, found->currency, maas::to_string(IdKind::kOrganization, found->id)};
  });
}

struct Billed {
  Account account;
  maas::Month month;
  int64_t from_ns = 0, to_ns = 0;
};
Result<Billed> billed_of(const Desk& desk) {
  Billed billed;
  MILL_TRY(billed.account, account_of(desk));
  MILL_TRY(billed.month, maas::parse_month(desk.ids[0], "month"));
  billed.from_ns = billed.month.begin_ns;
  billed.to_ns = billed.month.end_ns;
  return billed;
}

constexpr const char* kSeller = "tokenmill";

Result<maas::Invoice> make_invoice(Desk& desk) {
  MILL_TRY(const Billed billed, billed_of(desk));
  maas::InvoiceRequest request{
      .org = billed.account.org, .month = billed.month, .currency = billed.account.currency};
  MILL_TRY(const auto projects,
           serials_of(desk, billed.account.org, IdKind::kProject, "project_id"));
  if (projects.size() > 1) return fail(Code::kInvalid, "'project_id' is one project", "project_id");
  if (!projects.empty()) request.project = projects[0];
  maas::InvoiceBuilder builder(request, prices_of(desk));
  const ledger::Range range{.from_ns = billed.from_ns, .to_ns = billed.to_ns};
  MILL_TRY_DO(desk.office.book().scan(
      range, [&](const ledger::Entry& entry) { return builder.add(entry); }));
  // An entry of a later month says that this one is over in the journal.
  bool later = false;
  const Status looked =
      desk.office.book().scan({.from_ns = billed.to_ns}, [&](const ledger::Entry&) -> Status {
        later = true;
        return fail(Code::kCancelled, "one is enough");
      });
  if (!looked && !later) return fail(looked.error());
  return builder.finish(DirectoryNames(desk), {.name = kSeller},
                        later ? billed.to_ns : billed.to_ns - 1);
}

}  // namespace

Result<json::value> usage_completions(Desk& desk) {
  MILL_TRY(const Account account, account_of(desk));
  MILL_TRY(maas::UsageQuery query, time_of(desk.query, maas::Width::kDay));
  query.filter.org = account.org;
  MILL_TRY(query.filter.projects, serials_of(desk, account.org, IdKind::kProject, "project_ids"));
  MILL_TRY(query.filter.keys, serials_of(desk, account.org, IdKind::kKey, "api_key_ids"));
  MILL_TRY(query.filter.models, list_of(desk.query, "models"));
  MILL_TRY(const auto batch, desk.query.text("batch"));
  if (batch) {
    MILL_TRY(query.filter.batch, desk.query.flag("batch"));
  }
  MILL_TRY(query.groups, groups_of(desk.query));
  const Limit limits = limit_of(query.width);
  MILL_TRY(const auto limit, desk.query.integer("limit", 1, limits.most));
  MILL_TRY(const auto cursor, page_cursor(desk.query));
  MILL_TRY(const maas::UsagePage page, maas::page_of(query, cursor, limit.value_or(limits.usual)));
  MILL_TRY(maas::UsageTable table, maas::UsageTable::open(page.query));
  MILL_TRY_DO(
      desk.office.book().scan(money_entries(table.query().from_ns, table.query().to_ns),
                              [&](const ledger::Entry& entry) { return table.add(entry); }));
  const DirectoryNames names(desk);
  json::array data;
  for (const maas::UsageBucket& bucket : table.buckets()) {
    json::array results;
    for (const maas::UsageRow& row : bucket.rows)
      results.push_back(usage_result(row, query.groups, names));
    data.push_back(bucket_object(bucket.from_ns, bucket.to_ns, std::move(results)));
  }
  return page_object(std::move(data), page.next);
}

Result<json::value> list_costs(Desk& desk) {
  MILL_TRY(const Account account, account_of(desk));
  MILL_TRY(maas::UsageQuery query, time_of(desk.query, maas::Width::kDay));
  if (query.width != maas::Width::kDay)
    return fail(Code::kInvalid, "'bucket_width' of costs is 1d", "bucket_width");
  maas::CostFilter filter;
  MILL_TRY(filter.projects, serials_of(desk, account.org, IdKind::kProject, "project_ids"));
  MILL_TRY(filter.keys, serials_of(desk, account.org, IdKind::kKey, "api_key_ids"));
  maas::CostGroups groups{.org = true};
  MILL_TRY(const std::vector<std::string> wanted, list_of(desk.query, "group_by"));
  for (const std::string& name : wanted) {
    if (name == "project_id") {
      groups.project = true;
    } else if (name == "api_key_id") {
      groups.key = true;
    } else if (name == "line_item") {
      groups.line_item = true;
    } else {
      return fail(Code::kInvalid, "'group_by' may be project_id, api_key_id and line_item",
                  "group_by");
    }
  }
  MILL_TRY(const auto limit, desk.query.integer("limit", 1, 180));
  MILL_TRY(const auto cursor, page_cursor(desk.query));
  MILL_TRY(const maas::UsagePage page, maas::page_of(query, cursor, limit.value_or(7)));
  MILL_TRY(const maas::UsageQuery whole, maas::whole_buckets(page.query));
  const maas::StatementScope scope{
      .from_ns = whole.from_ns, .to_ns = whole.to_ns, .org = account.org};
  maas::Statement statement(scope, prices_of(desk));
  MILL_TRY_DO(
      desk.office.book().scan(money_entries(scope.from_ns, scope.to_ns),
                              [&](const ledger::Entry& entry) { return statement.add(entry); }));
  MILL_TRY(const auto days, maas::costs(scope, statement.lines(), filter, groups));
  const DirectoryNames names(desk);
  json::array data;
  for (const maas::CostDay& day : days) {
    json::array results;
    for (const maas::CostRow& row : day.rows) {
      json::object result{{"object", "organization.costs.result"},
                          {"amount", amount_of(row.amount, ledger::to_string(row.currency))}};
      result["line_item"] =
          groups.line_item ? json::value(text(row.line_item)) : json::value(nullptr);
      result["project_id"] = id_or_null(groups.project, names.project(row.project));
      result["api_key_id"] = id_or_null(groups.key, names.key(row.key));
      result["organization_id"] = account.id;
      if (groups.line_item && !row.unit.empty())
        result["quantity"] = static_cast<double>(row.quantity);
      results.push_back(std::move(result));
    }
    data.push_back(bucket_object(day.from_ns, day.to_ns, std::move(results)));
  }
  return page_object(std::move(data), page.next);
}

Result<json::value> invoice_page(Desk& desk) {
  MILL_TRY(const maas::Invoice invoice, make_invoice(desk));
  return json::value(maas::invoice_html(invoice));
}

Result<json::value> invoice_table(Desk& desk) {
  MILL_TRY(const maas::Invoice invoice, make_invoice(desk));
  return json::value(maas::invoice_csv(invoice));
}

Result<json::value> focus_export(Desk& desk) {
  MILL_TRY(const Billed billed, billed_of(desk));
  maas::Statement statement(
      {.from_ns = billed.from_ns, .to_ns = billed.to_ns, .org = billed.account.org},
      prices_of(desk));
  MILL_TRY_DO(
      desk.office.book().scan(money_entries(billed.from_ns, billed.to_ns),
                              [&](const ledger::Entry& entry) { return statement.add(entry); }));
  MILL_TRY(std::string csv, maas::focus_csv({.org = billed.account.org,
                                             .month = billed.month,
                                             .currency = billed.account.currency},
                                            statement.lines(), DirectoryNames(desk),
                                            {.provider = kSeller,
                                             .publisher = kSeller,
                                             .invoice_issuer = kSeller,
                                             .service = "tokenmill inference"}));
  return json::value(std::move(csv));
}

}  // namespace mill::gateway::desk
