// Which handler a request belongs to: one ordered table.
#pragma once

#include <string>
#include <string_view>

#include "gateway/stations.h"

namespace mill::gateway {

using Serve = Task<Status> (*)(Stations, net::HttpExchange&, RequestRecord&);

struct Route {
  std::string_view name;    // for logs and metrics
  std::string_view method;  // GET also takes HEAD; or several, "GET, HEAD, POST"
  // exact; one that ends in '/' and isn't "/" takes whatever follows, one that ends in '*' all that
  // begin so
  std::string_view path;
  Serve serve;
};

struct Found {
  const Route* route = nullptr;  // null: no such path, or not with this method
  std::string allow;             // the methods that the path has; empty: no such path
};
Found find_route(std::string_view method, std::string_view path);

}  // namespace mill::gateway
