#include "gateway/reply_headers.h"

namespace mill::gateway {

std::vector<net::Header> api_headers(const net::HttpExchange& http,
                                     const std::string& cors_origin) {
  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(now() - http.received());
  std::vector<net::Header> headers{{"openai-processing-ms", std::to_string(spent.count())}};
  if (!cors_origin.empty()) headers.push_back({"Access-Control-Allow-Origin", cors_origin});
  return headers;
}

}  // namespace mill::gateway
