#include "app/books/energy_sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "maas/metering/factory.h"
#include "maas/metering/tariff.h"

namespace mill::app {
namespace {

namespace json = boost::json;

const json::value* member(const json::value& item, std::string_view name) {
  const json::object* object = item.if_object();
  return object ? object->if_contains(json::string_view(name.data(), name.size())) : nullptr;
}

tl::unexpected<Error> unreadable(std::string_view what) {
  return fail(Code::kCorrupt, fmt::format("the server's answer has no readable '{}'", what));
}

Result<int64_t> count_of(const json::value& energy, std::string_view name) {
  const json::value* value = member(energy, name);
  if (!value || !value->is_int64() || value->get_int64() < 0) return unreadable(name);
  return value->get_int64();
}

// A decimal of `decimals` places at most, rounded down, without needless zeros.
std::string decimal(ledger::Wide value, ledger::Wide unit, int decimals) {
  std::string text = fmt::format("{}.", static_cast<int64_t>(value / unit));
  for (ledger::Wide rest = value % unit; decimals > 0; --decimals) {
    rest *= 10;
    text += static_cast<char>('0' + static_cast<int>(rest / unit));
    rest %= unit;
  }
  text.resize(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

void EnergySums::add(const EnergySums& more) {
  sums.add(more.sums);
  cost += more.cost;
  shows_cost = shows_cost || more.shows_cost;
  if (currency.empty()) currency = more.currency;
}

Result<EnergySums> energy_sums(const json::value* energy, int64_t requests) {
  EnergySums made;
  made.sums.requests = requests;
  if (!energy) return unreadable("energy");
  if (energy->is_null()) return made;
  MILL_TRY(made.sums.microjoules, count_of(*energy, "microjoules"));
  MILL_TRY(made.sums.metered, count_of(*energy, "requests"));
  MILL_TRY(made.sums.metered_tokens, count_of(*energy, "tokens"));
  MILL_TRY(made.sums.priced, count_of(*energy, "priced_requests"));
  MILL_TRY(made.sums.measured, count_of(*energy, "measured_requests"));
  if (made.sums.priced > 0) {
    MILL_TRY(made.sums.co2_micrograms, count_of(*energy, "co2_micrograms"));
  }
  const json::value* cost = member(*energy, "cost");
  if (cost && !cost->is_null()) {
    MILL_TRY(made.cost, exact_money(cost));
    MILL_TRY(made.currency, currency_of(cost));
  }
  made.shows_cost = cost != nullptr;
  return made;
}

Result<maas::Femto> exact_money(const json::value* amount) {
  const json::value* exact = amount ? member(*amount, "exact") : nullptr;
  if (!exact || !exact->is_string()) return unreadable("exact");
  std::string_view text = exact->get_string();
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t dot = std::min(text.find('.'), text.size());
  const std::string_view decimals = text.substr(std::min(dot + 1, text.size()));
  constexpr size_t kDecimals = 15, kMostDigits = 36;  // what an int128 surely has room for
  if (decimals.size() > kDecimals || text.size() > kMostDigits || dot == 0)
    return unreadable("exact");
  std::string digits = std::string(text.substr(0, dot)) + std::string(decimals);
  digits.append(kDecimals - decimals.size(), '0');
  maas::Femto money = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return unreadable("exact");
    money = money * 10 + (digit - '0');
  }
  return negative ? -money : money;
}

Result<std::string> currency_of(const json::value* amount) {
  const json::value* currency = amount ? member(*amount, "currency") : nullptr;
  if (!currency || !currency->is_string()) return unreadable("currency");
  std::string text(currency->get_string());
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

std::vector<std::string> energy_titles(const EnergySums& whole) {
  std::vector<std::string> titles{"KWH"};
  if (whole.sums.metered == 0) return titles;
  for (const char* title : {"SOURCE", "TOKENS/KWH", "GCO2"}) titles.emplace_back(title);
  if (!whole.shows_cost) return titles;
  titles.push_back(whole.currency.empty() ? "COST" : "COST " + whole.currency);
  titles.emplace_back("MARGIN");
  return titles;
}

void show_energy(const EnergySums& energy, const EnergySums& whole, maas::Femto money,
                 const std::string& currency, json::object& row) {
  const maas::UsageSums& sums = energy.sums;
  if (sums.metered == 0) {
    row["KWH"] = "not measured";
  } else {
    const std::string kwh = decimal(sums.microjoules, maas::kMicrojoulesPerKwh, 9);
    row["KWH"] = sums.metered < sums.requests
                     ? fmt::format("{} ({} of {})", kwh, sums.metered, sums.requests)
                     : kwh;
  }
  if (whole.sums.metered == 0) return;
  const auto rate = maas::tokens_per_kwh(sums.metered_tokens, sums.microjoules);
  row["SOURCE"] = sums.metered > 0 ? std::string(maas::energy_source(sums)) : "-";
  row["TOKENS/KWH"] = rate && sums.metered_tokens > 0 ? std::to_string(*rate) : "-";
  row["GCO2"] = sums.priced > 0 ? decimal(sums.co2_micrograms, 1'000'000, 6) : "-";
  if (!whole.shows_cost) return;
  const bool known = sums.priced > 0 && !whole.currency.empty();
  row[energy_titles(whole)[4]] = known ? maas::print_femto(energy.cost) : "-";
  const bool left =
      !whole.currency.empty() && currency == whole.currency && sums.priced >= sums.requests;
  row["MARGIN"] = left ? maas::print_femto(money - energy.cost) : "-";
}

}  // namespace mill::app
