// The members that bodies of several routes have in common. All fail with kInvalid and the member's
// name; a member that is null counts as absent, but for those of which it says otherwise.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/money.h"
#include "maas/tenancy/acts.h"

namespace mill::gateway::desk {

namespace json = boost::json;

// A member that must be there.
Result<std::string> need_text(const json::object& body, std::string_view name);
Result<std::string> text_or(const json::object& body, std::string_view name, std::string otherwise);

// Decimal text such as "12.50"; a number is refused, for it would be a binary fraction.
Result<std::optional<ledger::Nano>> amount_of(const json::object& body, std::string_view name);
Result<ledger::Nano> need_amount(const json::object& body, std::string_view name);

// "expires_at": seconds since 1970; null: never.
Status read_expiry(const json::object& body, int64_t& expires_ns);
// "models" and "ip_allow_list"; null: everything.
Status read_restrictions(const json::object& body, maas::Restrictions& only);

// Whether the member is there at all, null or not.
bool has(const json::object& body, std::string_view name);

}  // namespace mill::gateway::desk
