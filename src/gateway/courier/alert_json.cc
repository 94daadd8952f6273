#include "gateway/courier/alert_json.h"

#include <boost/json.hpp>

#include "ledger/money.h"
#include "maas/catalog/civil_time.h"

namespace mill::gateway {

namespace json = boost::json;

std::string alert_json(const maas::Alert& alert, const maas::Directory& directory) {
  json::object data;
  if (const auto* org = directory.organization(alert.org))
    data["organization_id"] = maas::to_string(maas::IdKind::kOrganization, org->id);
  if (const auto* project = directory.project(alert.project))
    data["project_id"] = maas::to_string(maas::IdKind::kProject, project->id);
  if (alert.kind != maas::AlertKind::kWebhook) {
    data["currency"] = ledger::to_string(alert.currency);
    data["threshold"] = ledger::format_amount(alert.threshold);
  }
  if (alert.kind == maas::AlertKind::kSpend) {
    data["spent"] = ledger::format_amount(alert.value);
    data["interval"] = std::string(name(alert.period));
    data["notify"] = alert.notify;
  }
  if (alert.kind == maas::AlertKind::kCredit) data["left"] = ledger::format_amount(alert.value);
  data["entry"] = alert.seq;
  const json::object event{{"id", alert.id},
                           {"object", "event"},
                           {"type", std::string(name(alert.kind))},
                           {"created_at", alert.at_ns / maas::kNanosPerSecond},
                           {"timestamp", maas::format_instant(alert.at_ns)},
                           {"data", std::move(data)}};
  return json::serialize(event);
}

}  // namespace mill::gateway
