// A price book as JSON: the members are those of maas/catalog/draft.h, and of the YAML file of
// docs/prices.md. Prices are decimal text.
#pragma once

#include <boost/json.hpp>

#include "base/result.h"
#include "maas/catalog/draft.h"

namespace mill::gateway::desk {

// kInvalid names the member by its path: of another type, or unknown. Whether the prices make sense
// is PriceVersion::check's to say.
Result<maas::BookDraft> read_book(const boost::json::object& body);
boost::json::object show_book(const maas::BookDraft& book);

}  // namespace mill::gateway::desk
