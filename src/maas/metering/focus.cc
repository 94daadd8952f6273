#include "maas/metering/focus.h"

#include <fmt/format.h>

#include "maas/catalog/quote.h"
#include "maas/metering/csv.h"
#include "maas/metering/invoice.h"
#include "maas/metering/iso_4217.h"
#include "maas/metering/text.h"

namespace mill::maas {
namespace {

// Sorted, ours last. CommitmentDiscountStatus is always null (there are no commitments to sell):
// rules about ConsumedQuantity refer to it.
constexpr std::string_view kColumns =
    "BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodEnd,"
    "BillingPeriodStart,ChargeCategory,ChargeClass,ChargeDescription,ChargeFrequency,"
    "ChargePeriodEnd,ChargePeriodStart,CommitmentDiscountStatus,ConsumedQuantity,ConsumedUnit,"
    "ContractedCost,ContractedUnitPrice,EffectiveCost,InvoiceId,InvoiceIssuerName,ListCost,"
    "ListUnitPrice,PricingCategory,PricingCurrency,PricingCurrencyContractedUnitPrice,"
    "PricingCurrencyEffectiveCost,PricingCurrencyListUnitPrice,PricingQuantity,PricingUnit,"
    "ProviderName,PublisherName,ServiceCategory,ServiceName,ServiceSubcategory,SkuId,SkuMeter,"
    "SkuPriceDetails,SkuPriceId,SubAccountId,SubAccountName,x_ApiKeyId,x_Model,x_ServiceTier,"
    "x_Batch,x_PriceBand,x_PriceVersion";

// What a row says about prices; all empty where no rate applies.
struct Priced {
  std::string consumed, consumed_unit, quantity, unit, unit_price, sku, meter, sku_price;
};

Priced priced(const Line& line) {
  if (line.kind != LineKind::kItem) return {};
  const bool request = line.item == Item::kRequest;
  constexpr Femto kFemtoPerMillionth = 1'000'000'000;
  const std::string sku = fmt::format("{}/{}", line.model, name(line.item));
  // Decimals in the eyes of readers that guess types: never a column of integers.
  const std::string count = print_count(line.quantity) + ".0";
  return {.consumed = count,
          .consumed_unit = request ? "Requests" : "Tokens",
          .quantity = request ? count : print_femto(line.quantity * kFemtoPerMillionth),
          .unit = request ? "Requests" : "1000000 Tokens",
          .unit_price = print_rate(line.item, line.rate),
          .sku = sku,
          .meter = std::string(title(line.item)),
          .sku_price = fmt::format("{}/v{}/{}/{}/{}/{}", sku, line.price_version,
                                   tier_name(line.tier), line.batch ? "batch" : "single", line.band,
                                   ledger::to_string(line.currency))};
}

std::string_view category(LineKind kind) {
  switch (kind) {
    case LineKind::kItem:
      return "Usage";
    case LineKind::kReversal:
    case LineKind::kLateReversal:
      return "Credit";
    default:
      return "Adjustment";
  }
}

std::string describe(const Line& line) {
  const std::string of = line.model.empty() ? std::string() : line.model + ": ";
  switch (line.kind) {
    case LineKind::kItem:
      return of + std::string(title(line.item));
    case LineKind::kRounding:
      return of + "rounding of requests to a billionth of the currency";
    case LineKind::kCapped:
      return of + "not charged since it is above what was held for the request";
    case LineKind::kOther:
      return of + "charge that the price book does not explain";
    case LineKind::kReversal:
      return of + "given back";
    case LineKind::kLateReversal:
      return of + "given back of what an earlier month charged";
  }
  return {};
}

// What all rows of one file have in common.
struct File {
  Named account;
  std::string currency, period_start, period_end, invoice;
};

const std::string& name_or_id(const Named& named) {
  return named.name.empty() ? named.id : named.name;
}

void put_costs(CsvWriter& csv, const Priced& how, const std::string& cost, const File& file,
               const FocusProvider& provider) {
  csv.null().plain(how.consumed).plain(how.consumed_unit);
  csv.plain(cost).plain(how.unit_price).plain(cost);
  csv.text(file.invoice).text(provider.invoice_issuer);
  csv.plain(cost).plain(how.unit_price).plain(how.unit_price.empty() ? "" : "Standard");
  csv.plain(file.currency).plain(how.unit_price).plain(cost).plain(how.unit_price);
  csv.plain(how.quantity).plain(how.unit);
}

void put_row(CsvWriter& csv, const Line& line, const File& file, const Names& names,
             const FocusProvider& provider) {
  const std::string cost = print_femto(line.amount);
  const Priced how = priced(line);
  csv.plain(cost).text(file.account.id).text(name_or_id(file.account)).plain(file.currency);
  csv.plain(file.period_end).plain(file.period_start).plain(category(line.kind));
  csv.plain(line.kind == LineKind::kLateReversal ? "Correction" : "").text(describe(line));
  csv.plain(line.kind == LineKind::kItem ? "Usage-Based" : "One-Time");
  csv.plain(format_instant(line.day_ns + kNanosPerDay)).plain(format_instant(line.day_ns));
  put_costs(csv, how, cost, file, provider);
  csv.text(provider.provider).text(provider.publisher).plain("AI and Machine Learning");
  csv.text(provider.service).plain("Generative AI");
  csv.text(how.sku).plain(how.meter).null().text(how.sku_price);
  if (line.project == 0) {
    csv.null().null();
  } else {
    const Named project = names.project(line.project);
    csv.text(project.id).text(name_or_id(project));
  }
  if (line.key == 0)
    csv.null();
  else
    csv.text(names.key(line.key).id);
  csv.text(line.model).plain(tier_name(line.tier)).plain(line.batch ? "true" : "false");
  csv.text(line.band).plain(print_count(line.price_version)).end_row();
}

}  // namespace

Result<std::string> focus_csv(const FocusRequest& request, std::span<const Line> lines,
                              const Names& names, const FocusProvider& provider) {
  const std::string currency = ledger::to_string(request.currency);
  if (!is_national(request.currency))
    return fail(Code::kUnsupported,
                fmt::format("the organization pays in {}, which is no ISO 4217 currency: FOCUS "
                            "exports need one. Use the invoice's CSV",
                            currency),
                "currency");
  const Named account = names.organization(request.org);
  const File file{.account = account,
                  .currency = currency,
                  .period_start = format_instant(request.month.begin_ns),
                  .period_end = format_instant(request.month.end_ns),
                  .invoice = invoice_id(account, request.month, request.currency)};
  std::string out;
  CsvWriter csv(out);
  csv.plain(kColumns).end_row();
  for (const Line& line : lines) {
    const bool asked = line.org == request.org && line.currency == request.currency &&
                       line.day_ns >= request.month.begin_ns && line.day_ns < request.month.end_ns;
    if (asked) put_row(csv, line, file, names, provider);
  }
  return out;
}

}  // namespace mill::maas
