// What the routes of projects' keys and of admin keys have in common.
#pragma once

#include <boost/json.hpp>
#include <cstdint>

#include "gateway/desk/desk.h"

namespace mill::gateway::desk {

json::object shown(const Desk& desk, uint64_t key);
// The one time that the secret is seen.
json::value shown_once(const Desk& desk, const maas::MintedKey& minted);

// name, expires_at, models and ip_allow_list of the body; what changes nothing is no act.
Result<json::value> update_key_number(Desk& desk, uint64_t key);
Result<json::value> rotate_key_number(Desk& desk, uint64_t key);

}  // namespace mill::gateway::desk
