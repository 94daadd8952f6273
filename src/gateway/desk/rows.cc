#include "gateway/desk/rows.h"

#include <algorithm>
#include <optional>

#include "gateway/desk/query.h"
#include "gateway/percent.h"

namespace mill::gateway::desk {
namespace {

// Queries that many rows share. Each row that works within an organization also takes its id.
#define ORG "organization_id"
#define PAGE ORG " limit after include_archived"
#define PART ORG " limit after before order"
#define RATES                                                                                \
  "requests_per_minute requests_per_day input_tokens_per_minute uncached_tokens_per_minute " \
  "output_tokens_per_minute concurrent_requests max_requests_per_1_minute "                  \
  "max_tokens_per_1_minute max_requests_per_1_day"
#define ALERT "amount threshold_amount currency interval notify notification_channel"
#define MONTH "threshold_amount currency interval"
#define TOKENS                                                                          \
  "input_tokens cache_read_tokens cache_write_tokens input_image_tokens output_tokens " \
  "reasoning_tokens output_image_tokens"
#define PROJECTS "/v1/organization/projects"
#define KEYS PROJECTS "/{}/api_keys"
#define ACCOUNTS PROJECTS "/{}/service_accounts"
#define ADMIN_KEYS "/v1/organization/admin_api_keys"
#define USERS "/v1/organization/users"
#define ORGS "/v1/organizations"

constexpr Row kRows[] = {
    {"GET", PROJECTS, PAGE, "", list_projects},
    {"POST", PROJECTS, ORG, "name tier weight", create_project},
    {"GET", PROJECTS "/{}", ORG, "", get_project},
    {"POST", PROJECTS "/{}", ORG, "name tier weight", update_project},
    {"POST", PROJECTS "/{}/archive", ORG, "", archive_project},

    {"GET", KEYS, PAGE, "", list_keys},
    {"POST", KEYS, ORG, "name expires_at models ip_allow_list user_id service_account_id",
     create_key},
    {"GET", KEYS "/{}", ORG, "", get_key},
    {"POST", KEYS "/{}", ORG, "name expires_at models ip_allow_list", update_key},
    {"POST", KEYS "/{}/rotate", ORG, "", rotate_key},
    {"DELETE", KEYS "/{}", ORG, "", delete_key},

    {"GET", ACCOUNTS, PAGE, "", list_service_accounts},
    {"POST", ACCOUNTS, ORG, "name create_service_account_only", create_service_account},
    {"GET", ACCOUNTS "/{}", ORG, "", get_service_account},
    {"DELETE", ACCOUNTS "/{}", ORG, "", delete_service_account},
    {"POST", ACCOUNTS "/{}/api_keys", ORG, "name", create_service_account_key},

    {"GET", PROJECTS "/{}/rate_limits", PART, "", list_project_limits},
    {"POST", PROJECTS "/{}/rate_limits", ORG, RATES, update_project_limits},
    {"POST", PROJECTS "/{}/rate_limits/{}", ORG, RATES, update_project_limit},
    {"GET", KEYS "/{}/rate_limits", ORG, "", list_key_limits},
    {"POST", KEYS "/{}/rate_limits", ORG, RATES, update_key_limits},
    {"GET", "/v1/organization/rate_limits", ORG, "", list_organization_limits},
    {"POST", "/v1/organization/rate_limits", ORG, RATES, update_organization_limits},

    {"GET", "/v1/organization/spend_limits", ORG, "", list_spend_limits},
    {"POST", "/v1/organization/spend_limits", ORG, "amount currency interval", set_spend_limit},
    {"DELETE", "/v1/organization/spend_limits", ORG " interval", "", delete_spend_limit},
    {"GET", PROJECTS "/{}/spend_limits", ORG, "", list_spend_limits},
    {"POST", PROJECTS "/{}/spend_limits", ORG, "amount currency interval", set_spend_limit},
    {"DELETE", PROJECTS "/{}/spend_limits", ORG " interval", "", delete_spend_limit},
    {"GET", "/v1/organization/spend_limit", ORG, "", get_month_limit},
    {"POST", "/v1/organization/spend_limit", ORG, MONTH, set_month_limit},
    {"DELETE", "/v1/organization/spend_limit", ORG, "", delete_month_limit},
    {"GET", PROJECTS "/{}/spend_limit", ORG, "", get_month_limit},
    {"POST", PROJECTS "/{}/spend_limit", ORG, MONTH, set_month_limit},
    {"DELETE", PROJECTS "/{}/spend_limit", ORG, "", delete_month_limit},

    {"GET", "/v1/organization/spend_alerts", PART, "", list_spend_alerts},
    {"POST", "/v1/organization/spend_alerts", ORG, ALERT, set_spend_alert},
    {"GET", "/v1/organization/spend_alerts/{}", ORG, "", get_spend_alert},
    {"POST", "/v1/organization/spend_alerts/{}", ORG, ALERT, update_spend_alert},
    {"DELETE", "/v1/organization/spend_alerts/{}", ORG, "", delete_spend_alert},
    {"GET", PROJECTS "/{}/spend_alerts", PART, "", list_spend_alerts},
    {"POST", PROJECTS "/{}/spend_alerts", ORG, ALERT, set_spend_alert},
    {"GET", PROJECTS "/{}/spend_alerts/{}", ORG, "", get_spend_alert},
    {"POST", PROJECTS "/{}/spend_alerts/{}", ORG, ALERT, update_spend_alert},
    {"DELETE", PROJECTS "/{}/spend_alerts/{}", ORG, "", delete_spend_alert},

    {"GET", "/v1/organization/credit_alert", ORG, "", get_credit_alert},
    {"POST", "/v1/organization/credit_alert", ORG, "amount currency", set_credit_alert},
    {"DELETE", "/v1/organization/credit_alert", ORG, "", delete_credit_alert},
    {"GET", "/v1/organization/webhook", ORG, "", get_webhook},
    {"POST", "/v1/organization/webhook", ORG, "url", set_webhook},
    {"POST", "/v1/organization/webhook/rotate", ORG, "overlap_seconds", rotate_webhook},
    {"DELETE", "/v1/organization/webhook", ORG, "", delete_webhook},

    {"GET", USERS, PAGE " emails emails[]", "", list_users},
    {"POST", USERS, ORG, "email name role", create_user},
    {"GET", USERS "/{}", ORG, "", get_user},
    {"POST", USERS "/{}", ORG, "role", update_user},
    {"DELETE", USERS "/{}", ORG, "", delete_user},

    {"GET", ADMIN_KEYS, PART " include_archived", "", list_admin_keys},
    {"POST", ADMIN_KEYS, ORG, "name expires_at expires_in_seconds ip_allow_list user_id",
     create_admin_key},
    {"GET", ADMIN_KEYS "/{}", ORG, "", get_admin_key},
    {"POST", ADMIN_KEYS "/{}", ORG, "name expires_at ip_allow_list", update_admin_key},
    {"POST", ADMIN_KEYS "/{}/rotate", ORG, "", rotate_admin_key},
    {"DELETE", ADMIN_KEYS "/{}", ORG, "", delete_admin_key},

    {"GET", "/v1/organization/audit_logs",
     ORG
     " limit after before effective_at[gt] effective_at[gte] effective_at[lt] effective_at[lte] "
     "project_ids[] event_types[] actor_ids[] actor_emails[] resource_ids[]",
     "", list_audit_logs},

    {"GET", "/v1/organization/usage/completions",
     ORG
     " start_time end_time bucket_width project_ids project_ids[] api_key_ids api_key_ids[] models "
     "models[] batch group_by group_by[] limit page every_organization",
     "", usage_completions},
    {"GET", "/v1/organization/costs",
     ORG " start_time end_time bucket_width project_ids project_ids[] api_key_ids api_key_ids[] "
         "group_by group_by[] limit page",
     "", list_costs},
    {"GET", "/v1/organization/invoices/{}/html", ORG " project_id", "", invoice_page,
     "text/html; charset=utf-8"},
    {"GET", "/v1/organization/invoices/{}/csv", ORG " project_id", "", invoice_table,
     "text/csv; charset=utf-8"},
    {"GET", "/v1/organization/exports/{}/focus", ORG, "", focus_export, "text/csv; charset=utf-8"},

    {"GET", ORGS, "limit after include_archived", "", list_organizations},
    {"POST", ORGS, "", "name currency credit credit_limit", create_organization},
    {"GET", ORGS "/{}", "", "", get_organization},
    {"POST", ORGS "/{}", "", "name", rename_organization},
    {"POST", ORGS "/{}/archive", "", "", archive_organization},
    {"GET", ORGS "/{}/balance", "", "", get_balance},
    {"POST", ORGS "/{}/credit", "", "amount id note", pay_credit},
    {"POST", ORGS "/{}/credit_limit", "", "amount note", set_credit_limit},
    {"POST", ORGS "/{}/reversals", "", "request_id amount note", reverse_charge},
    {"POST", ORGS "/{}/write_off", "", "amount id note", write_off},

    {"GET", "/v1/price_books", "limit after before order", "", list_price_books},
    {"POST", "/v1/price_books", "", "effective_from note bands models dry_run", create_price_book},
    {"GET", "/v1/price_books/{}", "", "", get_price_book},
    {"DELETE", "/v1/price_books/{}", "", "", withdraw_price_book},
    {"POST", "/v1/price_books/quote", ORG, "model currency tier batch at " TOKENS, quote_price},
};

// What stood for each "{}", still escaped; nothing where the path is another.
std::optional<std::vector<std::string_view>> match(std::string_view pattern,
                                                   std::string_view path) {
  std::vector<std::string_view> ids;
  for (;;) {
    const std::string_view want = pattern.substr(0, pattern.find('/'));
    const std::string_view have = path.substr(0, path.find('/'));
    if (want == "{}") {
      if (have.empty()) return std::nullopt;
      ids.push_back(have);
    } else if (want != have) {
      return std::nullopt;
    }
    pattern.remove_prefix(want.size());
    path.remove_prefix(have.size());
    if (pattern.empty() || path.empty()) break;
    pattern.remove_prefix(1);
    path.remove_prefix(1);
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return ids;
}

}  // namespace

std::span<const Row> all_rows() {
  return kRows;
}

FoundRow find_row(std::string_view method, std::string_view path) {
  if (method == "HEAD") method = "GET";
  FoundRow found;
  bool literal = false;  // a path without "{}" goes before one with it
  for (const Row& row : kRows) {
    const auto ids = match(row.path, path);
    if (!ids) continue;
    if (!found.allow.empty()) found.allow += ", ";
    found.allow += row.method == "GET" ? "GET, HEAD" : row.method;
    if (row.method != method || (literal && !ids->empty())) continue;
    literal = ids->empty();
    found.row = &row;
    found.ids.clear();
    for (const std::string_view id : *ids)
      found.ids.push_back(percent_decoded(id).value_or(std::string(id)));
  }
  return found;
}

}  // namespace mill::gateway::desk
