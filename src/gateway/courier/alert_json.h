// What a webhook says: one alert as JSON, the envelope of Standard Webhooks (type, timestamp, data)
// with OpenAI's members (id, object, created_at) beside it. The same bytes for the same alert.
#pragma once

#include <string>

#include "maas/alerts/alerts.h"
#include "maas/tenancy/directory.h"

namespace mill::gateway {

std::string alert_json(const maas::Alert& alert, const maas::Directory& directory);

}  // namespace mill::gateway
