// The audit log: what the acts of the journal say of who changed what, in the terms of OpenAI's
// audit_logs ("api_key.created"). A pure projection: nothing is stored for it.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"
#include "maas/tenancy/directory.h"

namespace mill::maas {

struct AuditField {
  std::string name;
  std::string before, after;  // for people; empty for what was not, or is no more
  friend bool operator==(const AuditField&, const AuditField&) = default;
};

struct AuditEvent {
  int64_t seq = 0;  // of its journal entry
  int64_t at_ns = 0;
  std::string type;                // "project.created"
  std::string actor;               // the entry's: "key_…", "user-…", "cli", "system"
  uint64_t org = 0, project = 0;   // serial numbers; 0: none, or the operator's
  std::string target;              // external id of what was changed; empty for limits and prices
  std::vector<AuditField> fields;  // what changed; never a secret, nor its hash

  std::string id() const;  // "audit_log-<seq>"
};
Result<int64_t> parse_audit_id(std::string_view text);  // its seq; kInvalid

// Empty or 0: any.
struct AuditFilter {
  std::vector<std::string> types, actors, targets;
  uint64_t org = 0, project = 0;
  std::vector<uint64_t> projects;
  int64_t after_seq = 0;  // newer than this entry: a page then has the oldest of them
  int64_t from_ns = std::numeric_limits<int64_t>::min();
  int64_t to_ns = std::numeric_limits<int64_t>::max();  // this instant excluded
  bool matches(const AuditEvent& event) const;
};

// Reads the journal's acts from the first one on, and keeps a directory of its own, so that it can
// say what was before.
class AuditTrail {
 public:
  // The event of an entry of kind kAct. Fails as decode_act and Directory::apply.
  Result<AuditEvent> next(const ledger::Entry& entry);

 private:
  Directory directory_;
};

struct AuditPage {
  std::vector<AuditEvent> events;  // the newest first
  bool has_more = false;           // older ones; with after_seq, newer ones
};

}  // namespace mill::maas
