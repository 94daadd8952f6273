// How the books do, and what the mill draws, for GET /metrics.
#pragma once

#include <string>

#include "ledger/book.h"
#include "maas/metering/energy_meter.h"

namespace mill::gateway {

// Appends tokenmill_ledger_* in the text format of Prometheus 0.0.4. No series is per tenant: their
// number has no bound, a time series costs its reader memory for each, and who may read /metrics
// need not know who the customers are. What a tenant used and paid is in the administrative API.
// Any thread.
void append_ledger_metrics(std::string& out, const ledger::Book& book);

// Appends tokenmill_energy_joules_total and tokenmill_co2_grams_total of requests and of overhead,
// since the start. What it costs is the operator's, and not shown to all who may read metrics.
void append_energy_metrics(std::string& out, const maas::EnergyMeter& meter);

}  // namespace mill::gateway
