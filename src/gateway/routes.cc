#include "gateway/routes.h"

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
};

bool has_path(const Route& route, std::string_view path) {
  const bool open_ended = route.path.size() > 1 && route.path.ends_with('/');
  if (!open_ended) return path == route.path;
  return path.starts_with(route.path) && path.size() > route.path.size();
}

}  // namespace

Found find_route(std::string_view method, std::string_view path) {
  Found found;
  for (const Route& route : kRoutes) {
    if (!has_path(route, path)) continue;
    if (method == route.method || (method == "HEAD" && route.method == "GET")) {
      found.route = &route;
    }
    if (!found.allow.empty()) found.allow += ", ";
    found.allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  if (!found.allow.empty()) found.allow += ", OPTIONS";
  return found;
}

}  // namespace mill::gateway
