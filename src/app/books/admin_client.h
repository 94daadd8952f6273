// The administrative API of a running server, as the command line speaks it: one request at a time,
// with the key of --admin-key to the server of --url.
//
// Every failure is one sentence: kIo where no server answers, kPermission for a key that may not,
// kInvalid for what the server calls wrong, kNotFound, kUnsupported for an open server.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "app/settings.h"
#include "base/result.h"
#include "net/http_url.h"

namespace mill::net {
struct HttpAnswer;
}

namespace mill::app {

class AdminClient {
 public:
  // kInvalid for no key or a --url that is none.
  static Result<AdminClient> of(const Settings& settings);

  Result<boost::json::object> get(const std::string& target) const;
  Result<boost::json::object> post(const std::string& target,
                                   const boost::json::object& body = {}) const;
  Result<boost::json::object> erase(const std::string& target) const;

  // A list with all its pages in one: {"object":"list","data":[…],"has_more":false}.
  Result<boost::json::object> all(const std::string& target) const;
  // Buckets of time with all their pages in one: {"object":"page","data":[…],"has_more":false,
  // "next_page":null}.
  Result<boost::json::object> all_pages(const std::string& target) const;
  // An answer that is no JSON: an invoice, an export.
  Result<std::string> text(const std::string& target) const;

 private:
  AdminClient(net::HttpUrl server, std::string url, std::string key)
      : server_(std::move(server)), url_(std::move(url)), key_(std::move(key)) {}
  Result<boost::json::object> send(const std::string& method, const std::string& target,
                                   std::string body) const;
  Result<net::HttpAnswer> exchange(const std::string& method, const std::string& target,
                                   std::string body) const;
  // What an answer that is no success says.
  Error failure(const net::HttpAnswer& answer, const std::string& method,
                const std::string& target) const;

  net::HttpUrl server_;
  std::string url_;  // as it was given, for sentences
  std::string key_;
};

// A segment of a path, or a value of a query (RFC 3986).
std::string escaped(std::string_view text);
// `target` with one more parameter; as it is where `value` is empty.
std::string with(std::string target, std::string_view name, std::string_view value);

}  // namespace mill::app
