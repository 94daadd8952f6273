// Every route of the administrative API, in one table: method, path, what its query and body take,
// and who does it. docs/admin-api.md is the same for people.
#pragma once

#include <boost/json/fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mill::gateway::desk {

class Desk;
using Handle = Result<boost::json::value> (*)(Desk& desk);

struct Row {
  std::string_view method;  // GET takes HEAD too
  std::string_view path;    // "{}" stands for one segment, which is not empty
  std::string_view query;   // the parameters it takes, separated by spaces
  std::string_view body;    // the members it takes, likewise
  Handle handle;
  std::string_view content_type = {};  // of a text that is sent as it is; empty: JSON
};

struct FoundRow {
  const Row* row = nullptr;      // null: no such path, or not with this method
  std::vector<std::string> ids;  // what stood for each "{}", decoded
  std::string allow;             // the methods that the path has; empty: no such path
};
FoundRow find_row(std::string_view method, std::string_view path);
std::span<const Row> all_rows();

// projects.cc
Result<boost::json::value> list_projects(Desk& desk);
Result<boost::json::value> create_project(Desk& desk);
Result<boost::json::value> get_project(Desk& desk);
Result<boost::json::value> update_project(Desk& desk);
Result<boost::json::value> archive_project(Desk& desk);
// keys.cc
Result<boost::json::value> list_keys(Desk& desk);
Result<boost::json::value> create_key(Desk& desk);
Result<boost::json::value> get_key(Desk& desk);
Result<boost::json::value> update_key(Desk& desk);
Result<boost::json::value> rotate_key(Desk& desk);
Result<boost::json::value> delete_key(Desk& desk);
// admin_keys.cc
Result<boost::json::value> list_admin_keys(Desk& desk);
Result<boost::json::value> create_admin_key(Desk& desk);
Result<boost::json::value> get_admin_key(Desk& desk);
Result<boost::json::value> update_admin_key(Desk& desk);
Result<boost::json::value> rotate_admin_key(Desk& desk);
Result<boost::json::value> delete_admin_key(Desk& desk);
// people.cc
Result<boost::json::value> list_service_accounts(Desk& desk);
Result<boost::json::value> create_service_account(Desk& desk);
Result<boost::json::value> get_service_account(Desk& desk);
Result<boost::json::value> delete_service_account(Desk& desk);
Result<boost::json::value> create_service_account_key(Desk& desk);
Result<boost::json::value> list_users(Desk& desk);
Result<boost::json::value> create_user(Desk& desk);
Result<boost::json::value> get_user(Desk& desk);
Result<boost::json::value> update_user(Desk& desk);
Result<boost::json::value> delete_user(Desk& desk);
// rate_limits.cc
Result<boost::json::value> list_project_limits(Desk& desk);
Result<boost::json::value> update_project_limits(Desk& desk);
Result<boost::json::value> update_project_limit(Desk& desk);
Result<boost::json::value> list_key_limits(Desk& desk);
Result<boost::json::value> update_key_limits(Desk& desk);
Result<boost::json::value> list_organization_limits(Desk& desk);
Result<boost::json::value> update_organization_limits(Desk& desk);
// reports.cc
Result<boost::json::value> usage_completions(Desk& desk);
Result<boost::json::value> list_costs(Desk& desk);
Result<boost::json::value> invoice_page(Desk& desk);   // text: HTML
Result<boost::json::value> invoice_table(Desk& desk);  // text: CSV
Result<boost::json::value> focus_export(Desk& desk);   // text: CSV
// spending.cc
Result<boost::json::value> list_spend_limits(Desk& desk);
Result<boost::json::value> set_spend_limit(Desk& desk);
Result<boost::json::value> delete_spend_limit(Desk& desk);
Result<boost::json::value> get_month_limit(Desk& desk);
Result<boost::json::value> set_month_limit(Desk& desk);
Result<boost::json::value> delete_month_limit(Desk& desk);
Result<boost::json::value> list_spend_alerts(Desk& desk);
Result<boost::json::value> set_spend_alert(Desk& desk);
Result<boost::json::value> get_spend_alert(Desk& desk);
Result<boost::json::value> update_spend_alert(Desk& desk);
Result<boost::json::value> delete_spend_alert(Desk& desk);
// webhooks.cc
Result<boost::json::value> get_credit_alert(Desk& desk);
Result<boost::json::value> set_credit_alert(Desk& desk);
Result<boost::json::value> delete_credit_alert(Desk& desk);
Result<boost::json::value> get_webhook(Desk& desk);
Result<boost::json::value> set_webhook(Desk& desk);
Result<boost::json::value> rotate_webhook(Desk& desk);
Result<boost::json::value> delete_webhook(Desk& desk);
// audit_logs.cc
Result<boost::json::value> list_audit_logs(Desk& desk);
// organizations.cc
Result<boost::json::value> list_organizations(Desk& desk);
Result<boost::json::value> create_organization(Desk& desk);
Result<boost::json::value> get_organization(Desk& desk);
Result<boost::json::value> rename_organization(Desk& desk);
Result<boost::json::value> archive_organization(Desk& desk);
// money.cc
Result<boost::json::value> get_balance(Desk& desk);
Result<boost::json::value> pay_credit(Desk& desk);
Result<boost::json::value> set_credit_limit(Desk& desk);
Result<boost::json::value> reverse_charge(Desk& desk);
Result<boost::json::value> write_off(Desk& desk);
// prices.cc
Result<boost::json::value> list_price_books(Desk& desk);
Result<boost::json::value> create_price_book(Desk& desk);
Result<boost::json::value> get_price_book(Desk& desk);
Result<boost::json::value> withdraw_price_book(Desk& desk);
Result<boost::json::value> quote_price(Desk& desk);

}  // namespace mill::gateway::desk
