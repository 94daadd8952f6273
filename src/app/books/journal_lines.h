// Entries of the journal as lines for people and their programs: JSON, or CSV for spreadsheets.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "ledger/entry.h"
#include "maas/tenancy/audit.h"
#include "maas/tenancy/directory.h"

namespace mill::app {

// Follows the journal from its first entry, so that it knows whose serial numbers are whose.
class JournalLines {
 public:
  // Every field of the entry; money as decimal text, organizations, projects and keys by their
  // external ids too. An act that breaks the rules shows as one without a type.
  boost::json::object next(const ledger::Entry& entry);

  static std::string csv_head();
  // A text that a spreadsheet would take for a formula gets an apostrophe in front.
  static std::string csv(const boost::json::object& line);

 private:
  maas::Directory directory_;
  maas::AuditTrail trail_;
};

}  // namespace mill::app
