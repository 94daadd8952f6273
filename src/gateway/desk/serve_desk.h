// The administrative API: /v1/organization/…, /v1/organizations/… and /v1/price_books/….
#pragma once

#include "gateway/stations.h"

namespace mill::gateway {

// For admin keys alone; kNotFound where the server has no office (`serve --open`).
Task<Status> serve_desk(Stations at, net::HttpExchange& http, RequestRecord& record);

}  // namespace mill::gateway
