// Whose cached prefixes a request may use: a salt for each tenant, made of the key that the request
// came with.
//
// A tenant's cached prompts would otherwise tell their presence to any other by the time to the
// first token. So the salt is made here, with a key that nobody else has; what the client adds
// (`cache_salt`) can divide its own cache further and never reach another's.
#pragma once

#include <string_view>

#include "net/http.h"
#include "net/keyed_hash.h"
#include "work/order.h"

namespace mill::gateway {

class CacheSalts {
 public:
  CacheSalts() : key_(net::random_hash_key()) {}

  // `credentials` as of credentials_of(): requests without share one salt. `of_client` is empty
  // where the request has none. Any thread.
  work::CacheSalt of(std::string_view credentials, std::string_view of_client) const;

 private:
  const net::HashKey key_;
};

// The credentials of a request: what follows "Bearer ", or all of Authorization in another scheme;
// the value of x-api-key, as Anthropic's clients send it, where there is no Authorization; "" where
// there are none.
std::string_view credentials_of(const net::HttpRequest& request);

}  // namespace mill::gateway
