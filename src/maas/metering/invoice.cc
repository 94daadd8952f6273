#include "maas/metering/invoice.h"

#include <fmt/format.h>

#include <map>

namespace mill::maas {
namespace {

struct Parts {
  std::vector<InvoiceLine> lines;
  std::map<LineKind, InvoiceExtra> extras;
};

void add_line(Parts& parts, const Line& line) {
  if (line.kind != LineKind::kItem) {
    InvoiceExtra& extra = parts.extras[line.kind];
    extra.kind = line.kind;
    extra.entries += line.entries;
    extra.amount += line.amount;
    return;
  }
  parts.lines.push_back({.model = line.model,
                         .item = line.item,
                         .tier = line.tier,
                         .batch = line.batch,
                         .band = line.band,
                         .price_version = line.price_version,
                         .rate = line.rate,
                         .quantity = line.quantity,
                         .amount = line.amount});
}

StatementScope scope_of(const InvoiceRequest& request) {
  return {.from_ns = request.month.begin_ns,
          .to_ns = request.month.end_ns,
          .org = request.org,
          .project = request.project,
          .by_day = false,
          .by_key = false};
}

}  // namespace

std::string invoice_id(const Named& account, const Month& month, ledger::Currency currency) {
  return fmt::format("INV-{}-{}-{}", account.id, month.name, ledger::to_string(currency));
}

InvoiceBuilder::InvoiceBuilder(InvoiceRequest request, Prices prices)
    : request_(std::move(request)), statement_(scope_of(request_), std::move(prices)) {}

bool InvoiceBuilder::mine(const ledger::Entry& entry) const {
  return entry.payer.org == request_.org && entry.currency == request_.currency &&
         entry.at_ns >= request_.month.begin_ns && entry.at_ns < request_.month.end_ns;
}

Status InvoiceBuilder::add(const ledger::Entry& entry) {
  if (!mine(entry)) return {};
  const bool of_project = request_.project == 0 || request_.project == entry.payer.project;
  const bool reversal = entry.kind == ledger::Kind::kReversal && of_project;
  const bool payment =
      (entry.kind == ledger::Kind::kCredit || entry.kind == ledger::Kind::kWriteOff) &&
      request_.project == 0;
  if ((reversal && reversals_.size() >= kMaxListed) || (payment && payments_.size() >= kMaxListed))
    return fail(Code::kTooLarge,
                fmt::format("an invoice lists at most {} payments and reversals", kMaxListed));
  MILL_TRY_DO(statement_.add(entry));
  if (reversal)
    reversals_.push_back({.at_ns = entry.at_ns,
                          .request = entry.hold,
                          .project = entry.payer.project,
                          .amount = entry.amount});
  if (payment)
    payments_.push_back(
        {.at_ns = entry.at_ns,
         .kind = entry.kind,
         .amount = entry.amount,
         .id = ledger::is_none(entry.hold) ? std::string() : ledger::to_string(entry.hold)});
  return {};
}

std::vector<InvoiceProject> InvoiceBuilder::projects(const Names& names) const {
  std::map<uint64_t, Parts> parts;
  for (const Line& line : statement_.lines()) add_line(parts[line.project], line);
  std::vector<InvoiceProject> projects;
  for (auto& [serial, of] : parts) {
    InvoiceProject project{.serial = serial, .lines = std::move(of.lines)};
    if (serial != 0) project.project = names.project(serial);
    for (const InvoiceLine& line : project.lines) project.subtotal += line.amount;
    for (const auto& [kind, extra] : of.extras) {
      project.subtotal += extra.amount;
      if (extra.amount != 0) project.extras.push_back(extra);
    }
    projects.push_back(std::move(project));
  }
  return projects;
}

Invoice InvoiceBuilder::finish(const Names& names, const Seller& seller,
                               int64_t journal_at_ns) const {
  Invoice invoice{.month = request_.month,
                  .preliminary = journal_at_ns < request_.month.end_ns,
                  .seller = seller,
                  .organization = names.organization(request_.org),
                  .currency = ledger::to_string(request_.currency),
                  .of_project = request_.project != 0,
                  .projects = projects(names),
                  .reversals = reversals_,
                  .payments = payments_,
                  .requests = statement_.requests(),
                  .first_seq = statement_.first_seq(),
                  .last_seq = statement_.last_seq()};
  invoice.id =
      invoice_id(request_.project == 0 ? invoice.organization : names.project(request_.project),
                 request_.month, request_.currency);
  for (const InvoiceProject& project : invoice.projects) invoice.total += project.subtotal;
  return invoice;
}

}  // namespace mill::maas
