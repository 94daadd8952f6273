// How the books do, for GET /metrics.
#pragma once

#include <string>

#include "ledger/book.h"

namespace mill::gateway {

// Appends tokenmill_ledger_* in the text format of Prometheus 0.0.4. No series is per tenant: their
// number has no bound, a time series costs its reader memory for each, and who may read /metrics
// need not know who the customers are. What a tenant used and paid is in the administrative API.
// Any thread.
void append_ledger_metrics(std::string& out, const ledger::Book& book);

}  // namespace mill::gateway
