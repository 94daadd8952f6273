// /v1/organization/webhook and credit_alert: where an organization's alerts go, and when its credit
// counts as low. The secret that signs is shown when it is made, and never again.
#include <fmt/format.h>

#include "base/clock.h"
#include "gateway/desk/desk.h"
#include "gateway/desk/members.h"
#include "gateway/desk/rows.h"
#include "gateway/desk/shapes.h"
#include "gateway/openai/fields.h"
#include "net/request_id.h"
#include "net/webhook_signature.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kUsualOverlap = 86'400;  // seconds that the old secret signs too
constexpr int64_t kLongestOverlap = int64_t{30} * 86'400;
constexpr std::string_view kObject = "organization.webhook";
constexpr std::string_view kCreditObject = "organization.credit_alert";

struct Place {
  uint64_t org = 0;
  ledger::Currency currency;
  std::string id;
  std::optional<maas::Webhook> hook;
  std::optional<ledger::Nano> low;  // of the credit alert
};
Result<Place> place_of(const Desk& desk) {
  return desk.read([&](const Directory& d) -> Result<Place> {
    Place place;
    MILL_TRY(place.org, find_organization(desk, d));
    const maas::Organization& org = *d.organization(place.org);
    place.currency = org.currency;
    place.id = maas::to_string(maas::IdKind::kOrganization, org.id);
    if (const auto found = d.webhooks().find(place.org); found != d.webhooks().end())
      place.hook = found->second;
    if (const auto found = d.credit_alerts().find(place.org); found != d.credit_alerts().end())
      place.low = found->second;
    return place;
  });
}

tl::unexpected<Error> none(std::string_view what) {
  return fail(Code::kNotFound, fmt::format("this organization has no {}", what));
}

std::string new_secret() {
  std::string secret;
  while (secret.size() < maas::kWebhookSecretBytes) {
    const uint64_t bits = net::random_bits();
    secret.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  }
  return secret;
}

// As it is in the directory after an act.
Result<json::object> show_webhook(const Desk& desk) {
  MILL_TRY(const Place place, place_of(desk));
  if (!place.hook) return none("webhook");
  const maas::Webhook& hook = *place.hook;
  const bool two = !hook.old_secret.empty() && hook.old_until_ns > unix_nanoseconds();
  json::object shown{{"object", text(kObject)},
                     {"organization_id", place.id},
                     {"url", text(hook.url)},
                     {"status", hook.disabled_ns == 0 ? "enabled" : "disabled"},
                     {"set_at", seconds(hook.set_ns)},
                     {"old_secret_until", two ? seconds(hook.old_until_ns) : json::value()}};
  if (hook.disabled_ns != 0) {
    shown["disabled_at"] = seconds(hook.disabled_ns);
    shown["disabled_reason"] = text(hook.disabled_why);
  }
  return shown;
}

json::object show_credit_alert(const Desk& desk, const Place& place, ledger::Nano amount) {
  const ledger::Balance balance = desk.office.book().balance(place.org, place.currency);
  return {{"object", text(kCreditObject)},
          {"organization_id", place.id},
          {"amount", money(amount)},
          {"currency", ledger::to_string(place.currency)},
          {"left", money(balance.credit + balance.limit)}};
}

}  // namespace

Result<json::value> get_webhook(Desk& desk) {
  MILL_TRY(json::object shown, show_webhook(desk));
  return shown;
}

// Another address keeps the secret: who had it may check both.
Result<json::value> set_webhook(Desk& desk) {
  MILL_TRY(const Place place, place_of(desk));
  MILL_TRY(const std::string url, need_text(desk.body, "url"));
  maas::SetWebhook act{.org = place.org, .url = url};
  act.secret = place.hook ? place.hook->secret : new_secret();
  MILL_TRY_DO(desk.may(act));
  MILL_TRY_DO(desk.webhook_targets.check(url));
  MILL_TRY_DO(desk.act(act));
  MILL_TRY(json::object shown, show_webhook(desk));
  if (!place.hook) shown["secret"] = net::webhook_secret_text(act.secret);
  return shown;
}

Result<json::value> rotate_webhook(Desk& desk) {
  MILL_TRY(const Place place, place_of(desk));
  if (!place.hook) return none("webhook");
  MILL_TRY(const auto overlap,
           openai::Fields(desk.body).integer("overlap_seconds", 0, kLongestOverlap));
  maas::SetWebhook act{.org = place.org, .url = place.hook->url, .secret = new_secret()};
  act.old_until_ns = unix_nanoseconds() + overlap.value_or(kUsualOverlap) * kSecond;
  MILL_TRY_DO(desk.act(act));
  MILL_TRY(json::object shown, show_webhook(desk));
  shown["secret"] = net::webhook_secret_text(act.secret);
  return shown;
}

Result<json::value> delete_webhook(Desk& desk) {
  MILL_TRY(const Place place, place_of(desk));
  const maas::SetWebhook act{.org = place.org};
  MILL_TRY_DO(desk.may(act));
  if (!place.hook) return none("webhook");
  MILL_TRY_DO(desk.act(act));
  return show_deleted(kObject, place.id);
}

Result<json::value> get_credit_alert(Desk& desk) {
  MILL_TRY(const Place place, place_of(desk));
  if (!place.low) return none("credit alert");
  return show_credit_alert(desk, place, *place.low);
}

Result<json::value> set_credit_alert(Desk& desk) {
  MILL_TRY(const Place place, place_of(desk));
  MILL_TRY(const ledger::Nano amount, need_amount(desk.body, "amount"));
  const std::string own = ledger::to_string(place.currency);
  MILL_TRY(const std::string given, text_or(desk.body, "currency", own));
  if (given != own)
    return fail(Code::kInvalid, fmt::format("the organization pays in {}", own), "currency");
  MILL_TRY_DO(desk.act(maas::SetCreditAlert{place.org, amount}));
  return show_credit_alert(desk, place, amount);
}

Result<json::value> delete_credit_alert(Desk& desk) {
  MILL_TRY(const Place place, place_of(desk));
  const maas::SetCreditAlert act{place.org, std::nullopt};
  MILL_TRY_DO(desk.may(act));
  if (!place.low) return none("credit alert");
  MILL_TRY_DO(desk.act(act));
  return show_deleted(kCreditObject, place.id);
}

}  // namespace mill::gateway::desk
