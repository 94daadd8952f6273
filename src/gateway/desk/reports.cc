// /v1/organization/costs, /invoices/{month} and /exports/focus/{month}: what the journal says was
// charged, in OpenAI's shapes and for accountants.
//
// Every answer is a scan of the journal over the time asked for: nothing is kept beside it that
// could differ from it. `amount.value` is a number, as OpenAI's clients expect; `amount.exact` is
// the decimal text that adds up.
#include "gateway/desk/report_parts.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "maas/metering/costs.h"
#include "maas/metering/focus.h"
#include "maas/metering/invoice.h"

namespace mill::gateway::desk {
namespace {

using maas::IdKind;

maas::Prices prices_of(const Desk& desk) {
  return [&desk](int64_t number) { return desk.office.till().prices(number); };
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
                          {"amount", amount_of(row.amount, row.currency)}};
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
  return json::value(csv);
}

}  // namespace mill::gateway::desk
