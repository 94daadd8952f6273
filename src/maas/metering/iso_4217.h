// Which currencies are money of a state (ISO 4217), and which are units of our own such as CREDITS.
// Pure.
#pragma once

#include "ledger/money.h"

namespace mill::maas {

// True for the codes that circulate or did so lately; metals, funds and codes for tests are not
// among them.
bool is_national(ledger::Currency currency);

}  // namespace mill::maas
