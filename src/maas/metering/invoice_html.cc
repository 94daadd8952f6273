#include <fmt/format.h>

#include <iterator>

#include "maas/catalog/quote.h"
#include "maas/metering/invoice.h"
#include "maas/metering/text.h"

namespace mill::maas {
namespace {

constexpr std::string_view kStyle = R"(
  :root { color-scheme: light; }
  body { font: 14px/1.45 system-ui, sans-serif; color: #1b1f24; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
  header { display: flex; justify-content: space-between; gap: 2rem; border-bottom: 2px solid #1b1f24; padding-bottom: 1rem; }
  h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
  address { font-style: normal; white-space: pre-line; } .pre { white-space: pre-line; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 1rem 0; } dt { color: #57606a; } dd { margin: 0; overflow-wrap: anywhere; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
  th, td { padding: .3rem .5rem; text-align: left; vertical-align: top; border-bottom: 1px solid #d0d7de; overflow-wrap: anywhere; }
  th { font-weight: 600; border-bottom-color: #57606a; } .n { text-align: right; white-space: nowrap; }
  tfoot td { font-weight: 600; border-bottom: none; } .id { color: #57606a; font-weight: 400; }
  .total { display: flex; justify-content: space-between; font-size: 1.25rem; font-weight: 700; border-top: 2px solid #1b1f24; margin-top: 2rem; padding-top: .5rem; }
  .preliminary { border: 2px solid #9a6700; color: #9a6700; padding: .5rem .75rem; margin: 1rem 0; font-weight: 600; }
  footer { color: #57606a; margin-top: 2rem; }
  @page { margin: 18mm 14mm; }
  @media print { body { margin: 0; max-width: none; font-size: 10pt; } thead { display: table-header-group; } tr, .total { break-inside: avoid; } h2 { break-after: avoid; } }
)";

std::string_view title(LineKind kind) {
  switch (kind) {
    case LineKind::kItem:
      return "";
    case LineKind::kRounding:
      return "Rounding, each request to 0.000000001";
    case LineKind::kCapped:
      return "Not charged: above what was held for the request";
    case LineKind::kOther:
      return "Other charges, which the price book does not explain";
    case LineKind::kReversal:
      return "Given back";
    case LineKind::kLateReversal:
      return "Given back, of earlier months";
  }
  return "";
}

std::string how(const InvoiceLine& line) {
  std::string text = fmt::format("{}{}", tier_name(line.tier),
                                 line.batch && line.tier != uint8_t(Tier::kBatch) ? ", batch" : "");
  if (line.band != "base") text += ", " + line.band;
  return text;
}

class Page {
 public:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }
  std::string text_;
};

void put_head(Page& page, const Invoice& invoice) {
  page.put(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>Invoice {}</title>\n<style>{}</style>\n</head>\n<body>\n",
      html(invoice.id), kStyle);
  page.put(
      "<header><div><h1>Invoice</h1><div>{}</div></div><address><strong>{}</strong>\n{}</address>"
      "</header>\n",
      html(invoice.id), html(invoice.seller.name), html(invoice.seller.address));
  if (invoice.preliminary)
    page.put(
        "<p class=\"preliminary\">Preliminary: the month is not over in the journal, and lines may "
        "still be added.</p>\n");
  page.put("<dl>\n<dt>For</dt><dd>{} <span class=\"id\">{}</span></dd>\n",
           html(invoice.organization.name), html(invoice.organization.id));
  page.put("<dt>Month</dt><dd>{} (UTC): {} to {}, the end not included</dd>\n",
           html(invoice.month.name), format_date(invoice.month.begin_ns),
           format_date(invoice.month.end_ns));
  page.put("<dt>Status</dt><dd>{}</dd>\n", invoice.preliminary ? "preliminary" : "final");
  page.put("<dt>Currency</dt><dd>{}</dd>\n", html(invoice.currency));
  page.put("<dt>Requests</dt><dd>{}</dd>\n", print_grouped(invoice.requests));
  if (invoice.last_seq != 0)
    page.put("<dt>Journal</dt><dd>entries {} to {}</dd>\n", invoice.first_seq, invoice.last_seq);
  page.put("</dl>\n");
}

void put_project(Page& page, const Invoice& invoice, const InvoiceProject& project) {
  const std::string heading = project.serial == 0            ? "Without a project"
                              : project.project.name.empty() ? "Project"
                                                             : html(project.project.name);
  page.put("<h2>{} <span class=\"id\">{}</span></h2>\n", heading, html(project.project.id));
  page.put(
      "<table>\n<thead><tr><th>Model</th><th>What</th><th>How</th><th class=\"n\">Prices</th>"
      "<th class=\"n\">Count</th><th class=\"n\">Price</th><th class=\"n\">Amount {}</th></tr>"
      "</thead>\n<tbody>\n",
      html(invoice.currency));
  for (const InvoiceLine& line : project.lines)
    page.put(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">v{}</td><td class=\"n\">{}</td>"
        "<td class=\"n\">{} {}</td><td class=\"n\">{}</td></tr>\n",
        html(line.model), title(line.item), html(how(line)), line.price_version,
        print_grouped(line.quantity), print_rate(line.item, line.rate),
        line.item == Item::kRequest ? "each" : "per 1M", print_femto(line.amount));
  for (const InvoiceExtra& extra : project.extras)
    page.put(
        "<tr><td colspan=\"4\">{}</td><td class=\"n\">{}</td><td></td><td class=\"n\">{}</td>"
        "</tr>\n",
        title(extra.kind), print_grouped(extra.entries), print_femto(extra.amount));
  page.put(
      "</tbody>\n<tfoot><tr><td colspan=\"6\">Subtotal</td><td class=\"n\">{}</td></tr></tfoot>\n"
      "</table>\n",
      print_femto(project.subtotal));
}

void put_reversals(Page& page, const Invoice& invoice) {
  if (invoice.reversals.empty()) return;
  page.put(
      "<h2>Given back, one by one (contained in the subtotals)</h2>\n<table>\n<thead><tr>"
      "<th>When (UTC)</th><th>Request</th><th>Project</th><th class=\"n\">Amount {}</th></tr>"
      "</thead>\n<tbody>\n",
      html(invoice.currency));
  for (const InvoiceReversal& reversal : invoice.reversals) {
    std::string project;
    for (const InvoiceProject& of : invoice.projects)
      if (of.serial == reversal.project) project = of.project.id;
    page.put("<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n",
             format_instant(reversal.at_ns), ledger::to_string(reversal.request), html(project),
             print_femto(-Femto(reversal.amount) * kFemtoPerNano));
  }
  page.put("</tbody>\n</table>\n");
}

void put_payments(Page& page, const Invoice& invoice) {
  if (invoice.payments.empty()) return;
  page.put(
      "<h2>Payments and credits in this month (not part of the total)</h2>\n<table>\n<thead><tr>"
      "<th>When (UTC)</th><th>What</th><th>Reference</th><th class=\"n\">Amount {}</th></tr>"
      "</thead>\n<tbody>\n",
      html(invoice.currency));
  for (const InvoicePayment& payment : invoice.payments)
    page.put("<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n",
             format_instant(payment.at_ns),
             payment.kind == ledger::Kind::kCredit ? "Credit" : "Written off", html(payment.id),
             print_femto(Femto(payment.amount) * kFemtoPerNano));
  page.put("</tbody>\n</table>\n");
}

}  // namespace

std::string invoice_html(const Invoice& invoice) {
  Page page;
  put_head(page, invoice);
  for (const InvoiceProject& project : invoice.projects) put_project(page, invoice, project);
  if (invoice.projects.empty()) page.put("<p>Nothing was charged in this month.</p>\n");
  page.put("<div class=\"total\"><span>Total</span><span>{} {}</span></div>\n",
           print_femto(invoice.total), html(invoice.currency));
  put_reversals(page, invoice);
  put_payments(page, invoice);
  if (!invoice.seller.note.empty())
    page.put("<footer class=\"pre\">{}</footer>\n", html(invoice.seller.note));
  page.put("</body>\n</html>\n");
  return std::move(page.text_);
}

}  // namespace mill::maas
