// The invoice of an organization, or of one of its projects, for a calendar month of UTC.
//
// A pure function of the journal's entries of that month, the price book and the names: made again,
// it is the same byte for byte. It is final once the journal has an entry of a later month, since
// times in the journal never decrease; what is given back later is on the invoice of the month in
// which that happens. Each line is a count times a price, exact to 1e-15; the rounding of requests
// to 1e-9 is a line, so the total is the sum of the journal's amounts. Not locked; plain data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"
#include "maas/catalog/civil_time.h"
#include "maas/metering/names.h"
#include "maas/metering/statement.h"

namespace mill::maas {

// Who sends the invoice; lines of `address` and `note` are parted by '\n'.
struct Seller {
  std::string name;
  std::string address;
  std::string note;  // terms, tax numbers; may be empty
};

struct InvoiceRequest {
  uint64_t org = 0;
  uint64_t project = 0;  // 0: all of the organization
  Month month;
  ledger::Currency currency;  // an organization with two currencies has two invoices
};

struct InvoiceLine {
  std::string model;
  Item item{};
  uint8_t tier = 0;
  bool batch = false;
  std::string band;
  int64_t price_version = 0;
  int64_t rate = 0;  // nano-units per 1,000,000
  ledger::Wide quantity = 0;
  Femto amount = 0;
};

// What no rate says: rounding, capped, other, reversals, late reversals, by LineKind.
struct InvoiceExtra {
  LineKind kind{};
  int64_t entries = 0;
  Femto amount = 0;
};

struct InvoiceProject {
  uint64_t serial = 0;
  Named project;
  std::vector<InvoiceLine> lines;    // by model, item, tier, batch, version, band
  std::vector<InvoiceExtra> extras;  // those that are not zero
  Femto subtotal = 0;
};

// Money that came in or was given up; not part of the total.
struct InvoicePayment {
  int64_t at_ns = 0;
  ledger::Kind kind{};  // kCredit, kWriteOff
  ledger::Nano amount = 0;
  std::string id;  // of the caller's; empty for none
};

// What was given back, one by one.
struct InvoiceReversal {
  int64_t at_ns = 0;
  ledger::HoldId request{};
  uint64_t project = 0;
  ledger::Nano amount = 0;
};

struct Invoice {
  std::string id;
  Month month;
  bool preliminary = true;
  Seller seller;
  Named organization;
  std::string currency;
  bool of_project = false;
  std::vector<InvoiceProject> projects;  // by serial number
  std::vector<InvoiceReversal> reversals;
  std::vector<InvoicePayment> payments;  // of an organization's invoice
  Femto total = 0;
  int64_t requests = 0;
  int64_t first_seq = 0, last_seq = 0;  // of the journal's entries behind the lines
};

// The same for the same organization (or project), month and currency: what exports refer to.
std::string invoice_id(const Named& account, const Month& month, ledger::Currency currency);

class InvoiceBuilder {
 public:
  static constexpr size_t kMaxListed = 100'000;  // reversals, and payments

  InvoiceBuilder(InvoiceRequest request, Prices prices);

  // The entries of the month in the journal's order; others pass by. kTooLarge as Statement.
  Status add(const ledger::Entry& entry);

  // `journal_at_ns`: the instant of the journal's last entry, of whatever kind.
  Invoice finish(const Names& names, const Seller& seller, int64_t journal_at_ns) const;

  const Statement& statement() const { return statement_; }

 private:
  bool mine(const ledger::Entry& entry) const;
  std::vector<InvoiceProject> projects(const Names& names) const;

  InvoiceRequest request_;
  Statement statement_;
  std::vector<InvoiceReversal> reversals_;
  std::vector<InvoicePayment> payments_;
};

// A page that needs nothing else: no scripts, no links, everything from outside escaped; prints on
// paper.
std::string invoice_html(const Invoice& invoice);
// One row per line, extra, subtotal and the total; the first row names the columns.
std::string invoice_csv(const Invoice& invoice);

}  // namespace mill::maas
