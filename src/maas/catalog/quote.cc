#include "maas/catalog/quote.h"

#include <fmt/format.h>

#include "maas/catalog/civil_time.h"

namespace mill::maas {

std::string print_rate(Item item, int64_t rate) {
  // A rate is 1e-9 units per million; a fee per request is a millionth of it.
  return print_femto(item == Item::kRequest ? Femto(rate) : Femto(rate) * kFemtoPerNano);
}

Result<std::string> quote(const Pin& pin, int64_t accepted_ns, const ledger::Buckets& tokens) {
  MILL_TRY(const Charge bill, charge(pin, tokens));
  const std::string currency = ledger::to_string(pin.currency);
  std::string text =
      fmt::format("model {}, tier {}{}, price version {}, band {} (accepted {})\n", pin.model,
                  name(pin.tier), pin.batch && pin.tier != Tier::kBatch ? " in a batch" : "",
                  pin.price_version, pin.band, format_instant(accepted_ns));
  text += fmt::format("{:<14}{:>16}{:>18}{:>24}\n", "item", "count", "price per 1M",
                      "amount " + currency);
  for (const ChargeLine& line : bill.lines)
    text +=
        fmt::format("{:<14}{:>16}{:>18}{:>24}\n", name(line.item), line.quantity,
                    print_rate(line.item, line.rate) + (line.item == Item::kRequest ? " each" : ""),
                    print_femto(line.exact));
  text += fmt::format("{:<14}{:>58}\n", "exact", print_femto(bill.exact));
  text += fmt::format("{:<14}{:>58}\n", "rounding", print_femto(-Femto(bill.residue)));
  text += fmt::format("{:<14}{:>58}\n", "charged", print_femto(Femto(bill.amount) * kFemtoPerNano));
  return text;
}

}  // namespace mill::maas
