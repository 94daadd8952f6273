#include "gateway/routes.h"

#include <algorithm>

#include "gateway/desk/serve_desk.h"

namespace mill::gateway {
namespace {

constexpr Route kRoutes[] = {
    {"chat", "POST", "/v1/chat/completions", serve_chat},
    {"completion", "POST", "/v1/completions", serve_completion},
    {"models", "GET", "/v1/models", serve_models},
    {"model", "GET", "/v1/models/", serve_model},
    {"health", "GET", "/health", serve_health},
    {"ready", "GET", "/ready", serve_ready},
    {"metrics", "GET", "/metrics", serve_metrics},
    {"admin_models", "GET", "/admin/models", serve_admin_models},
    {"admin_load", "POST", "/admin/models", serve_admin_load},
    {"admin_unload", "DELETE", "/admin/models/", serve_admin_unload},
    {"greeting", "GET", "/", serve_greeting},
    // The administrative API has a table of its own (desk/rows.cc), which knows what each of its
    // paths takes.
    {"desk", "GET, HEAD, POST, DELETE", "/v1/organization*", serve_desk},
    {"desk", "GET, HEAD, POST, DELETE", "/v1/price_books*", serve_desk},
};

bool has_path(const Route& route, std::string_view path) {
  if (route.path.ends_with('*'))
    return path.starts_with(route.path.substr(0, route.path.size() - 1));
  const bool open_ended = route.path.size() > 1 && route.path.ends_with('/');
  if (!open_ended) return path == route.path;
  return path.starts_with(route.path) && path.size() > route.path.size();
}

// A list of methods is taken word by word.
bool takes(const Route& route, std::string_view method) {
  if (method == "HEAD" && route.method == "GET") return true;
  for (std::string_view rest = route.method; !rest.empty();) {
    const std::string_view word = rest.substr(0, rest.find(", "));
    if (word == method) return true;
    rest.remove_prefix(std::min(rest.size(), word.size() + 2));
  }
  return false;
}

}  // namespace

Found find_route(std::string_view method, std::string_view path) {
  Found found;
  for (const Route& route : kRoutes) {
    if (!has_path(route, path)) continue;
    if (takes(route, method)) found.route = &route;
    if (!found.allow.empty()) found.allow += ", ";
    found.allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  if (!found.allow.empty()) found.allow += ", OPTIONS";
  return found;
}

}  // namespace mill::gateway
