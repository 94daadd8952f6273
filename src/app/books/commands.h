// The commands that administrate a running server through its API, and those that read a journal.
#pragma once

#include "app/command_line.h"

namespace mill::app {

void add_org_command(CommandLine& line);        // org, balance
void add_project_command(CommandLine& line);    // project
void add_key_command(CommandLine& line);        // key
void add_admin_key_command(CommandLine& line);  // admin-key
void add_limit_command(CommandLine& line);      // limit
void add_budget_command(CommandLine& line);     // budget
void add_alert_command(CommandLine& line);      // alert
void add_webhook_command(CommandLine& line);    // webhook
void add_price_command(CommandLine& line);      // price
void add_audit_command(CommandLine& line);      // audit
void add_ledger_command(CommandLine& line);     // ledger
void add_usage_commands(CommandLine& line);     // usage, costs
void add_invoice_commands(CommandLine& line);   // invoice, export

// All of them.
inline void add_books_commands(CommandLine& line) {
  add_org_command(line);
  add_project_command(line);
  add_key_command(line);
  add_admin_key_command(line);
  add_limit_command(line);
  add_budget_command(line);
  add_alert_command(line);
  add_webhook_command(line);
  add_price_command(line);
  add_audit_command(line);
  add_ledger_command(line);
  add_usage_commands(line);
  add_invoice_commands(line);
}

}  // namespace mill::app
