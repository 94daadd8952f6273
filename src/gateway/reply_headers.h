// The headers that every reply of the API carries, besides the server's own.
#pragma once

#include <string>
#include <vector>

#include "net/http_exchange.h"

namespace mill::gateway {

// openai-processing-ms, and Access-Control-Allow-Origin where `cors_origin` isn't empty.
std::vector<net::Header> api_headers(const net::HttpExchange& http, const std::string& cors_origin);

}  // namespace mill::gateway
