// The energy that the API answers for rows of usage, added up and shown.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "maas/catalog/rates.h"
#include "maas/metering/usage.h"

namespace mill::app {

struct EnergySums {
  maas::UsageSums sums;     // its energy, and how many requests there are
  maas::Femto cost = 0;     // exact
  std::string currency;     // of the cost; "" where nobody says
  bool shows_cost = false;  // the server says what electricity costs: to the operator alone

  void add(const EnergySums& more);
};

// Of a result, or of the overhead of a bucket: {"source":…,"microjoules":…}, or null where nothing
// was measured. kCorrupt where it is neither.
Result<EnergySums> energy_sums(const boost::json::value* energy, int64_t requests);

// "12.5" in 1e-15 of a unit, and its currency in capitals. kCorrupt where it is none.
Result<maas::Femto> exact_money(const boost::json::value* amount);
Result<std::string> currency_of(const boost::json::value* amount);

// Adds KWH, and, where `whole` has any energy, SOURCE, TOKENS/KWH, GCO2, COST and MARGIN of a row
// that took in `money` of `currency`.
void show_energy(const EnergySums& energy, const EnergySums& whole, maas::Femto money,
                 const std::string& currency, boost::json::object& row);
// The titles that it adds.
std::vector<std::string> energy_titles(const EnergySums& whole);

}  // namespace mill::app
