// /v1/organizations/{id}/balance, credit, credit_limit, reversals, write_off: the money that people
// move.
#include <fmt/format.h>

#include "base/clock.h"
#include "gateway/desk/desk.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;

constexpr size_t kMostNote = 1024;

struct Payee {
  uint64_t org = 0;
  ledger::Currency currency;
  std::string id;
};
Result<Payee> payee_of(const Desk& desk) {
  return desk.read([&](const Directory& d) -> Result<Payee> {
    MILL_TRY(const uint64_t org, find_organization(desk, d, desk.ids[0]));
    return Payee{org, d.organization(org)->currency, desk.ids[0]};
  });
}

json::object show_balance(const Desk& desk, const Payee& payee) {
  const ledger::Balance balance = desk.office.book().balance(payee.org, payee.currency);
  return {{"object", "organization.balance"},
          {"organization_id", payee.id},
          {"currency", ledger::to_string(payee.currency)},
          {"credit", money(balance.credit)},
          {"held", money(balance.held)},
          {"credit_limit", money(balance.limit)},
          {"available", money(balance.available())},
          {"charged", money(balance.charged)}};
}

// An id that a person chose, so that the same booking twice is one. Its time must be past: ids of
// requests are given after the newest there is, and their time says by which prices they pay.
Result<ledger::HoldId> read_id(const json::object& body, std::string_view name) {
  MILL_TRY(const auto given, openai::Fields(body).string(name));
  if (!given) return ledger::HoldId{};
  const auto id = ledger::parse_hold_id(*given);
  if (!id || ledger::is_none(*id)) {
    return fail(Code::kInvalid,
                fmt::format("'{}' must be a ULID: 26 digits of Crockford's base 32", name),
                std::string(name));
  }
  if (ledger::ulid_ms(*id) > unix_nanoseconds() / 1'000'000) {
    return fail(Code::kInvalid, fmt::format("'{}' is a ULID of the future", name),
                std::string(name));
  }
  return *id;
}

// What an order says, but for its amount.
struct Read {
  Payee payee;
  maas::MoneyOrder order;
};
Result<Read> read_order(const Desk& desk, std::string_view id_name) {
  MILL_TRY(Payee payee, payee_of(desk));
  MILL_TRY_DO(desk.for_operator());
  maas::MoneyOrder order{.org = payee.org};
  if (!id_name.empty()) {
    MILL_TRY(order.id, read_id(desk.body, id_name));
  }
  MILL_TRY(order.note, text_or(desk.body, "note", ""));
  if (order.note.size() > kMostNote)
    return fail(Code::kTooLarge, fmt::format("'note' has more than {} bytes", kMostNote), "note");
  return Read{std::move(payee), std::move(order)};
}

// The balance after it, and whether the same had been booked before.
json::object show_booked(const Desk& desk, const Payee& payee, const ledger::Ticket& ticket) {
  json::object shown = show_balance(desk, payee);
  shown["entry"] = ticket.seq;
  shown["existed"] = ticket.existed;
  return shown;
}

}  // namespace

Result<json::value> get_balance(Desk& desk) {
  MILL_TRY(const Payee payee, payee_of(desk));
  return show_balance(desk, payee);
}

Result<json::value> pay_credit(Desk& desk) {
  MILL_TRY(Read read, read_order(desk, "id"));
  MILL_TRY(read.order.amount, need_amount(desk.body, "amount"));
  if (ledger::is_none(read.order.id)) read.order.id = desk.office.book().new_id();
  MILL_TRY(const auto ticket, desk.office.pay(read.order, desk.actor(), desk.deadline));
  json::object shown = show_booked(desk, read.payee, ticket);
  shown["id"] = ledger::to_string(read.order.id);
  return shown;
}

Result<json::value> set_credit_limit(Desk& desk) {
  MILL_TRY(Read read, read_order(desk, ""));
  MILL_TRY(read.order.amount, need_amount(desk.body, "amount"));
  MILL_TRY(const auto ticket,
           desk.office.set_credit_limit(read.order, desk.actor(), desk.deadline));
  return show_booked(desk, read.payee, ticket);
}

Result<json::value> reverse_charge(Desk& desk) {
  MILL_TRY(Read read, read_order(desk, "request_id"));
  if (ledger::is_none(read.order.id))
    return fail(Code::kInvalid, "'request_id' is missing", "request_id");
  MILL_TRY(const auto amount, amount_of(desk.body, "amount"));
  if (amount && *amount <= 0)
    return fail(Code::kInvalid, "'amount' must be above 0; without it all is given back", "amount");
  read.order.amount = amount.value_or(0);
  MILL_TRY(const auto ticket, desk.office.reverse(read.order, desk.actor(), desk.deadline));
  return show_booked(desk, read.payee, ticket);
}

Result<json::value> write_off(Desk& desk) {
  MILL_TRY(Read read, read_order(desk, "id"));
  MILL_TRY(read.order.amount, need_amount(desk.body, "amount"));
  MILL_TRY(const auto ticket, desk.office.write_off(read.order, desk.actor(), desk.deadline));
  return show_booked(desk, read.payee, ticket);
}

}  // namespace mill::gateway::desk
