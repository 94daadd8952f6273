// Usage and costs as tables: what the API answers for each bucket of time, added up by what was
// asked for.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/books/admin_client.h"
#include "base/result.h"

namespace mill::app {

// Something that rows can be of.
struct ReportGroup {
  std::string_view name;    // of --by
  std::string_view title;   // of its column
  std::string_view member;  // of a result; also the API's group_by. Empty: of the bucket's start.
};

// A number of a result that is added up.
struct ReportSum {
  std::string_view title;
  std::string_view member;  // a whole number
};

struct ReportShape {
  std::span<const ReportGroup> groups;
  std::span<const ReportSum> sums;
  std::string_view money;  // the member with the amount: {"exact":…,"currency":…}
  bool energy = false;     // results say what electricity they took
};

// The groups of --by, in its order. kInvalid, param "by", for a name that is none.
Result<std::vector<ReportGroup>> report_groups(const ReportShape& shape,
                                               const std::vector<std::string>& names);

// Names for ids, to show instead of them: of projects and keys whose name is theirs alone.
using ReportNames = std::map<std::string, std::string, std::less<>>;
// Those of an organization (an id, or "" for the only one), as far as the groups show them.
Result<ReportNames> report_names(const AdminClient& client, const std::string& organization,
                                 const std::vector<ReportGroup>& groups);

// A row for each combination of groups and currency, in their order; then, where there are several,
// one for the total of each currency, and one for the electricity that no request answers for, if
// the server says that. Money is added exactly. kCorrupt where `page` is not what the
// API answers.
Result<std::string> report_table(const ReportShape& shape, const std::vector<ReportGroup>& groups,
                                 const boost::json::object& page, const ReportNames& names);

}  // namespace mill::app
