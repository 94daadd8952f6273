// Budgets and alerts of an organization and of a project: …/spend_limits, …/spend_limit,
// …/spend_alerts.
//
// A limit holds for each UTC day or month and is exact: what is held counts too. OpenAI's own
// objects have whole cents as `threshold_amount` and months alone; ours have `amount` as decimal
// text. /spend_limit is OpenAI's route, for the month.
#include <fmt/format.h>

#include <algorithm>

#include "gateway/desk/desk.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"

namespace mill::gateway::desk {
namespace {

using ledger::Nano;
using maas::Directory;
using maas::Period;
using maas::SpendKey;

constexpr Nano kCent = 10'000'000;
constexpr int64_t kMostCents = INT64_MAX / kCent;
constexpr std::string_view kAlertPrefix = "alert-";

// Whose budget: project 0 is the organization's.
struct Purse {
  uint64_t org = 0, project = 0;
  ledger::Currency currency;
  SpendKey key(Period period) const { return {org, project, currency, period}; }
  std::string object(std::string_view what) const {
    return fmt::format("{}.{}", project == 0 ? "organization" : "project", what);
  }
};

// `in_project`: ids[0] is a project.
Result<Purse> purse_of(const Desk& desk, bool in_project) {
  return desk.read([&](const Directory& d) -> Result<Purse> {
    Purse purse;
    if (in_project) {
      MILL_TRY(purse.project, find_project(desk, d, desk.ids[0]));
      purse.org = d.project(purse.project)->org;
    } else {
      MILL_TRY(purse.org, find_organization(desk, d));
    }
    purse.currency = d.organization(purse.org)->currency;
    return purse;
  });
}

Result<Period> parse_period(std::string_view word) {
  if (word == name(Period::kDay)) return Period::kDay;
  if (word == name(Period::kMonth)) return Period::kMonth;
  return fail(Code::kInvalid, "'interval' must be day or month", "interval");
}

// The currency may be left out; it is the organization's.
Status check_currency(const json::object& body, const Purse& purse) {
  const std::string own = ledger::to_string(purse.currency);
  MILL_TRY(const std::string given, text_or(body, "currency", own));
  if (given == own) return {};
  return fail(Code::kInvalid, fmt::format("the organization pays in {}", own), "currency");
}

// OpenAI's whole cents.
Result<Nano> need_cents(const json::object& body) {
  MILL_TRY(const auto cents, openai::Fields(body).integer("threshold_amount", 0, kMostCents));
  if (!cents) return fail(Code::kInvalid, "'threshold_amount' is missing", "threshold_amount");
  return *cents * kCent;
}

int64_t cents(Nano amount) {  // whole ones; the rest shows in `amount`
  return amount / kCent;
}

json::object show_limit(const Desk& desk, const Purse& purse, Period period, Nano amount) {
  const maas::Scope scope = purse.project != 0
                                ? maas::Scope{maas::Level::kProject, purse.project, {}}
                                : maas::Scope{maas::Level::kOrganization, purse.org, {}};
  const auto spent = desk.office.till().money(scope, purse.currency);
  return {{"object", purse.object("spend_limit")},
          {"id", text(name(period))},
          {"interval", text(name(period))},
          {"amount", money(amount)},
          {"threshold_amount", cents(amount)},
          {"currency", ledger::to_string(purse.currency)},
          {"enforcement", json::object{{"status", "enforcing"}}},
          {"spent", money(period == Period::kDay ? spent.today : spent.this_month)},
          {"held", money(spent.held)}};
}

std::optional<Nano> limit_of(const Desk& desk, const Purse& purse, Period period) {
  return desk.read([&](const Directory& d) -> std::optional<Nano> {
    const auto found = d.spend_limits().find(purse.key(period));
    if (found == d.spend_limits().end()) return std::nullopt;
    return found->second;
  });
}

Result<json::value> set_limit(Desk& desk, const Purse& purse, Period period, Nano amount) {
  MILL_TRY_DO(check_currency(desk.body, purse));
  MILL_TRY_DO(
      desk.act(maas::SetSpendLimit{purse.org, purse.project, purse.currency, period, amount}));
  return show_limit(desk, purse, period, amount);
}

Result<json::value> delete_limit(Desk& desk, const Purse& purse, Period period) {
  const maas::SetSpendLimit act{purse.org, purse.project, purse.currency, period, std::nullopt};
  MILL_TRY_DO(desk.may(act));
  if (!limit_of(desk, purse, period))
    return fail(Code::kNotFound, fmt::format("there is no spend limit per {}", name(period)));
  MILL_TRY_DO(desk.act(act));
  return show_deleted(purse.object("spend_limit"), name(period));
}

// "alert-month-12.5": its place in one word.
std::string alert_id(Period period, Nano amount) {
  return fmt::format("{}{}-{}", kAlertPrefix, name(period), ledger::format_amount(amount));
}

struct Alert {
  Period period{};
  Nano amount = 0;
};
Result<Alert> parse_alert(std::string_view id) {
  const auto none =
      fail(Code::kNotFound, fmt::format("there is no spend alert '{}'", id.substr(0, 64)));
  if (!id.starts_with(kAlertPrefix)) return none;
  const std::string_view rest = id.substr(kAlertPrefix.size());
  const size_t dash = std::min(rest.find('-'), rest.size());
  const auto period = parse_period(rest.substr(0, dash));
  const auto amount = ledger::parse_amount(rest.substr(std::min(dash + 1, rest.size())));
  if (!period || !amount || alert_id(*period, *amount) != id) return none;
  return Alert{*period, *amount};
}

json::object show_alert(const Purse& purse, const Alert& alert, const std::string& notify) {
  json::array recipients;
  for (size_t at = 0; at <= notify.size();) {
    const size_t end = std::min(notify.find(',', at), notify.size());
    recipients.push_back(text(std::string_view(notify).substr(at, end - at)));
    at = end + 1;
  }
  const bool hook = notify.starts_with("https://") || notify.starts_with("http://");
  return {{"id", alert_id(alert.period, alert.amount)},
          {"object", purse.object("spend_alert")},
          {"interval", text(name(alert.period))},
          {"amount", money(alert.amount)},
          {"threshold_amount", cents(alert.amount)},
          {"currency", ledger::to_string(purse.currency)},
          {"notify", notify},
          {"notification_channel", json::object{{"type", hook ? "webhook" : "email"},
                                                {"recipients", std::move(recipients)}}}};
}

// "notify", or OpenAI's notification_channel with its list of recipients.
Result<std::string> read_notify(const json::object& body) {
  const openai::Fields fields(body);
  MILL_TRY(auto notify, fields.string("notify"));
  MILL_TRY(const json::object* channel, fields.object("notification_channel"));
  if (notify.has_value() == (channel != nullptr))
    return fail(Code::kInvalid, "give 'notify' or 'notification_channel'", "notify");
  if (notify) {
    if (notify->empty()) return fail(Code::kInvalid, "'notify' must not be empty", "notify");
    return std::move(*notify);
  }
  for (const auto& [key, value] : *channel) {
    if (is_among("type recipients", key)) continue;
    const std::string path = "notification_channel." + std::string(key).substr(0, 64);
    return fail(Code::kInvalid, fmt::format("'{}' is not understood here", path), path);
  }
  const openai::Fields parts(*channel, "notification_channel.");
  MILL_TRY(const auto type, parts.string("type"));
  if (type.value_or("email") != "email" && *type != "webhook")
    return fail(Code::kInvalid, "'notification_channel.type' must be email or webhook",
                "notification_channel.type");
  MILL_TRY(const json::array* recipients, parts.array("recipients"));
  std::string out;
  for (const json::value& item : recipients ? *recipients : json::array()) {
    const bool plain = item.is_string() && !item.get_string().empty() &&
                       item.get_string().find(',') == json::string::npos;
    if (!plain) {
      return fail(Code::kInvalid, "'notification_channel.recipients' must be an array of addresses",
                  "notification_channel.recipients");
    }
    out += (out.empty() ? "" : ",") + std::string(item.get_string());
  }
  if (out.empty())
    return fail(Code::kInvalid, "'notification_channel.recipients' is missing",
                "notification_channel.recipients");
  return out;
}

// The alert that the last id of the path names, and whom it tells.
struct FoundAlert {
  Purse purse;
  Alert alert;
  std::string notify;
};
Result<FoundAlert> find_alert(const Desk& desk) {
  FoundAlert found;
  MILL_TRY(found.purse, purse_of(desk, desk.ids.size() == 2));
  MILL_TRY(found.alert, parse_alert(desk.ids.back()));
  MILL_TRY(found.notify, desk.read([&](const Directory& d) -> Result<std::string> {
    const auto set =
        d.spend_alerts().find({found.purse.key(found.alert.period), found.alert.amount});
    if (set == d.spend_alerts().end())
      return fail(Code::kNotFound, fmt::format("there is no spend alert '{}'", desk.ids.back()));
    return set->second;
  }));
  return found;
}

maas::SetSpendAlert removal_of(const FoundAlert& found) {
  return {found.purse.org,    found.purse.project, found.purse.currency,
          found.alert.period, found.alert.amount,  ""};
}

Result<maas::SetSpendAlert> read_alert(const json::object& body, const Purse& purse) {
  maas::SetSpendAlert act{.org = purse.org, .project = purse.project, .currency = purse.currency};
  MILL_TRY(const std::string word, text_or(body, "interval", "month"));
  MILL_TRY(act.period, parse_period(word));
  MILL_TRY_DO(check_currency(body, purse));
  MILL_TRY(const auto amount, amount_of(body, "amount"));
  if (amount.has_value() == (openai::Fields(body).find("threshold_amount") != nullptr))
    return fail(Code::kInvalid, "give 'amount', or 'threshold_amount' in cents", "amount");
  if (amount) {
    act.amount = *amount;
  } else {
    MILL_TRY(act.amount, need_cents(body));
  }
  MILL_TRY(act.notify, read_notify(body));
  return act;
}

}  // namespace

Result<json::value> list_spend_limits(Desk& desk) {
  MILL_TRY(const Purse purse, purse_of(desk, !desk.ids.empty()));
  json::array data;
  for (const Period period : {Period::kDay, Period::kMonth}) {
    if (const auto amount = limit_of(desk, purse, period))
      data.push_back(show_limit(desk, purse, period, *amount));
  }
  return show_list(std::move(data), false);
}

Result<json::value> set_spend_limit(Desk& desk) {
  MILL_TRY(const Purse purse, purse_of(desk, !desk.ids.empty()));
  MILL_TRY(const std::string word, need_text(desk.body, "interval"));
  MILL_TRY(const Period period, parse_period(word));
  MILL_TRY(const Nano amount, need_amount(desk.body, "amount"));
  return set_limit(desk, purse, period, amount);
}

Result<json::value> delete_spend_limit(Desk& desk) {
  MILL_TRY(const Purse purse, purse_of(desk, !desk.ids.empty()));
  MILL_TRY(const auto word, desk.query.text("interval"));
  MILL_TRY(const Period period, parse_period(word.value_or("")));
  return delete_limit(desk, purse, period);
}

Result<json::value> get_month_limit(Desk& desk) {
  MILL_TRY(const Purse purse, purse_of(desk, !desk.ids.empty()));
  const auto amount = limit_of(desk, purse, Period::kMonth);
  if (!amount) return fail(Code::kNotFound, "there is no spend limit per month");
  return show_limit(desk, purse, Period::kMonth, *amount);
}

Result<json::value> set_month_limit(Desk& desk) {
  MILL_TRY(const Purse purse, purse_of(desk, !desk.ids.empty()));
  MILL_TRY(const std::string word, text_or(desk.body, "interval", "month"));
  if (word != "month") return fail(Code::kInvalid, "'interval' must be month here", "interval");
  MILL_TRY(const Nano amount, need_cents(desk.body));
  return set_limit(desk, purse, Period::kMonth, amount);
}

Result<json::value> delete_month_limit(Desk& desk) {
  MILL_TRY(const Purse purse, purse_of(desk, !desk.ids.empty()));
  return delete_limit(desk, purse, Period::kMonth);
}

// At most maas::kMaxSpendAlerts: one page.
Result<json::value> list_spend_alerts(Desk& desk) {
  MILL_TRY(const Purse purse, purse_of(desk, !desk.ids.empty()));
  json::array data;
  desk.read([&](const Directory& d) {
    for (const auto& [place, notify] : d.spend_alerts()) {
      const auto& [key, amount] = place;
      if (key.org == purse.org && key.project == purse.project)
        data.push_back(show_alert(purse, {key.period, amount}, notify));
    }
  });
  MILL_TRY(json::object part, show_part(std::move(data), desk.query, 20));
  return part;
}

Result<json::value> set_spend_alert(Desk& desk) {
  MILL_TRY(const Purse purse, purse_of(desk, !desk.ids.empty()));
  MILL_TRY(const maas::SetSpendAlert act, read_alert(desk.body, purse));
  MILL_TRY_DO(desk.act(act));
  return show_alert(purse, {act.period, act.amount}, act.notify);
}

// An alert's amount is part of its id: another one is another alert in its place.
Result<json::value> update_spend_alert(Desk& desk) {
  MILL_TRY(const FoundAlert found, find_alert(desk));
  MILL_TRY(const maas::SetSpendAlert act, read_alert(desk.body, found.purse));
  std::vector<maas::Act> acts;
  if (act.period != found.alert.period || act.amount != found.alert.amount)
    acts.emplace_back(removal_of(found));
  acts.emplace_back(act);
  MILL_TRY_DO(desk.act_together(std::move(acts)));
  return show_alert(found.purse, {act.period, act.amount}, act.notify);
}

Result<json::value> get_spend_alert(Desk& desk) {
  MILL_TRY(const FoundAlert found, find_alert(desk));
  return show_alert(found.purse, found.alert, found.notify);
}

Result<json::value> delete_spend_alert(Desk& desk) {
  MILL_TRY(const FoundAlert found, find_alert(desk));
  MILL_TRY_DO(
      desk.act(maas::SetSpendAlert{found.purse.org, found.purse.project, found.purse.currency,
                                   found.alert.period, found.alert.amount, ""}));
  return show_deleted(found.purse.object("spend_alert"), desk.ids.back());
}

}  // namespace mill::gateway::desk
