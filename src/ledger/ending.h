// Which entries begin something and which end it, and the end of what nobody will end.
#pragma once

#include "ledger/accounts.h"
#include "ledger/entry.h"

namespace mill::ledger {

// What begins something new; the rest reports or ends what is there.
inline bool is_new_business(Kind kind) {
  return kind != Kind::kProgress && kind != Kind::kSettle && kind != Kind::kVoid &&
         kind != Kind::kExpire;
}

inline bool ends_hold(Kind kind) {
  return kind == Kind::kSettle || kind == Kind::kVoid || kind == Kind::kExpire;
}

// The end of a hold that nobody will end: at its last progress, or free.
inline Entry end_of(const OpenHold& hold, Reason reason, Kind free) {
  Entry entry;
  entry.hold = hold.id;
  entry.reason = reason;
  entry.actor = "system";
  entry.flags = kFlagRecovered;
  entry.kind = hold.progress_seq > 0 ? Kind::kSettle : free;
  if (hold.progress_seq > 0) {
    entry.amount = hold.progress;
    entry.tokens = hold.tokens;
    entry.delivered_bytes = hold.delivered_bytes;
  }
  return entry;
}

}  // namespace mill::ledger
