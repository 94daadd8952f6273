// The whole journal from its first entry: chain, fields, balances, holds, gaps, and the checkpoint
// against what it should be.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/accounts.h"
#include "ledger/journal.h"

namespace mill::ledger {

struct Verification {
  int64_t entries = 0;
  Head head;
  int64_t wrong_seq = 0;       // the first entry that is wrong; 0: none
  std::string wrong;           // what is wrong with it, or with the checkpoint; empty: all is well
  int64_t checkpoint_seq = 0;  // of the checkpoint that was compared; 0: there was none
  size_t open_holds = 0;
  std::vector<OrgBalance> balances;
  std::vector<TrialLine> trial_balance;
  bool ok() const { return wrong.empty(); }
};

// Reads every entry. What is wrong with the books is in the Verification; an error says that they
// could not be read. `progress` hears the seq now and then.
Result<Verification> verify(Journal& journal, const std::function<void(int64_t)>& progress = {});

// The name of the books' own checkpoint.
inline constexpr const char* kBooksCheckpoint = "books";

}  // namespace mill::ledger
