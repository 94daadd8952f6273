// Charges as a FOCUS 1.2 data set (FinOps Open Cost and Usage Specification, CostAndUsage): one CSV
// for an organization and a calendar month, for the tools that compare clouds.
//
// One row per line of a statement: a bucket of tokens of a model at a price, by key and day, as
// Usage; rounding, capped and other amounts as Adjustment; what is given back as Credit, a
// Correction where the charge was of an earlier month. The sum of BilledCost is the total of the
// invoice that InvoiceId names. Costs are exact: count times price. Pure.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "maas/catalog/civil_time.h"
#include "maas/metering/names.h"
#include "maas/metering/statement.h"

namespace mill::maas {

struct FocusProvider {
  std::string provider;  // who offers the service
  std::string publisher;
  std::string invoice_issuer;
  std::string service;  // "tokenmill inference"
};

struct FocusRequest {
  uint64_t org = 0;
  Month month;
  ledger::Currency currency;
};

// Lines of other organizations, months and currencies pass by. kUnsupported (`param` "currency")
// where the organization does not pay in the money of a state: FOCUS has no BillingCurrency for it.
// Requires: the lines are of a statement over that month by day, or late reversals are not told
// from others.
Result<std::string> focus_csv(const FocusRequest& request, std::span<const Line> lines,
                              const Names& names, const FocusProvider& provider);

}  // namespace mill::maas
