#include "maas/catalog/quote.h"
#include "maas/metering/csv.h"
#include "maas/metering/invoice.h"
#include "maas/metering/text.h"

namespace mill::maas {
namespace {

// The columns that every row has.
CsvWriter& start(CsvWriter& csv, const Invoice& invoice, const Named& project,
                 std::string_view kind) {
  return csv.text(invoice.id)
      .plain(invoice.preliminary ? "preliminary" : "final")
      .plain(invoice.month.name)
      .text(invoice.organization.id)
      .text(project.id)
      .text(project.name)
      .plain(kind);
}

// A row that is an amount alone.
void sum_row(CsvWriter& csv, const Invoice& invoice, const Named& project, std::string_view kind,
             std::string_view count, Femto amount) {
  start(csv, invoice, project, kind).null().null().null().null().null().null();
  csv.plain(count).null().null().plain(print_femto(amount)).plain(invoice.currency).end_row();
}

void line_row(CsvWriter& csv, const Invoice& invoice, const Named& project,
              const InvoiceLine& line) {
  start(csv, invoice, project, name(LineKind::kItem))
      .text(line.model)
      .plain(name(line.item))
      .plain(tier_name(line.tier))
      .plain(line.batch ? "true" : "false")
      .text(line.band)
      .plain(print_count(line.price_version))
      .plain(print_count(line.quantity))
      .plain(unit(line.item))
      .plain(print_rate(line.item, line.rate))
      .plain(print_femto(line.amount))
      .plain(invoice.currency)
      .end_row();
}

}  // namespace

std::string invoice_csv(const Invoice& invoice) {
  std::string out;
  CsvWriter csv(out);
  csv.plain(
         "invoice_id,status,month,organization_id,project_id,project_name,kind,model,item,tier,"
         "batch,band,price_version,quantity,unit,unit_price,amount,currency")
      .end_row();
  for (const InvoiceProject& project : invoice.projects) {
    for (const InvoiceLine& line : project.lines) line_row(csv, invoice, project.project, line);
    for (const InvoiceExtra& extra : project.extras)
      sum_row(csv, invoice, project.project, name(extra.kind), print_count(extra.entries),
              extra.amount);
    sum_row(csv, invoice, project.project, "subtotal", {}, project.subtotal);
  }
  sum_row(csv, invoice, {}, "total", {}, invoice.total);
  return out;
}

}  // namespace mill::maas
