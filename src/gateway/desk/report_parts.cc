#include "gateway/desk/report_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/clock.h"

namespace mill::gateway::desk {
namespace {

using maas::Directory;
using maas::IdKind;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMostSeconds = 253'402'300'799;  // the end of the year 9999
constexpr size_t kMostNames = 1000;                // of one list of a query

}  // namespace

Result<std::vector<std::string>> list_of(const Query& query, const std::string& name) {
  std::vector<std::string> all = query.all(name);
  for (std::string& more : query.all(name + "[]")) all.push_back(std::move(more));
  std::vector<std::string> items;
  for (const std::string& text : all) {
    size_t at = 0;
    while (at <= text.size()) {
      const size_t end = std::min(text.find(',', at), text.size());
      if (end > at) items.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  if (items.size() > kMostNames)
    return fail(Code::kTooLarge, fmt::format("'{}' names more than {}", name, kMostNames), name);
  return items;
}

Result<std::vector<uint64_t>> serials_of(const Desk& desk, uint64_t org, IdKind kind,
                                         const std::string& name) {
  MILL_TRY(const std::vector<std::string> ids, list_of(desk.query, name));
  return desk.read([&](const Directory& d) -> Result<std::vector<uint64_t>> {
    std::vector<uint64_t> serials;
    for (const std::string& id : ids) {
      const auto found = d.find(kind, id);
      const auto owner = [&] {
        return kind == IdKind::kProject ? d.project(*found)->org : d.key(*found)->org;
      };
      const bool own = found && (org == 0 || owner() == org);
      if (!own) {
        return fail(Code::kNotFound,
                    fmt::format("there is no {} '{}'", maas::noun(kind), id.substr(0, 64)), name);
      }
      serials.push_back(*found);
    }
    return serials;
  });
}

Result<std::optional<int64_t>> page_cursor(const Query& query) {
  MILL_TRY(const auto page, query.text("page"));
  if (!page || page->empty()) return std::optional<int64_t>();
  constexpr std::string_view kPrefix = "page_";
  int64_t seconds = 0;
  const char* end = page->data() + page->size();
  const bool good = page->starts_with(kPrefix) &&
                    std::from_chars(page->data() + kPrefix.size(), end, seconds).ptr == end &&
                    seconds >= 0 && seconds <= kMostSeconds;
  if (!good) return fail(Code::kInvalid, "'page' must be a next_page of this list", "page");
  return std::optional(seconds * kSecond);
}

Result<maas::UsageQuery> time_of(const Query& query, maas::Width usual) {
  maas::UsageQuery made;
  MILL_TRY(const auto start, query.integer("start_time", 0, kMostSeconds));
  if (!start) return fail(Code::kInvalid, "'start_time' is missing", "start_time");
  MILL_TRY(const auto end, query.integer("end_time", 0, kMostSeconds));
  MILL_TRY(const auto width, query.text("bucket_width"));
  made.width = usual;
  if (width) {
    MILL_TRY(made.width, maas::parse_width(*width, "bucket_width"));
  }
  made.from_ns = *start * kSecond;
  made.to_ns = end ? *end * kSecond : unix_nanoseconds() + 1;
  return made;
}

Result<Account> account_of(const Desk& desk) {
  return desk.read([&](const Directory& d) -> Result<Account> {
    MILL_TRY(const uint64_t org, find_organization(desk, d));
    const maas::Organization* found = d.organization(org);
    return Account{org, found->currency, maas::to_string(IdKind::kOrganization, found->id)};
  });
}

ledger::Range money_entries(int64_t from_ns, int64_t to_ns) {
  return {.from_ns = from_ns,
          .to_ns = to_ns,
          .kinds = {ledger::Kind::kSettle, ledger::Kind::kReversal}};
}

json::object amount_of(maas::Femto amount, ledger::Currency currency) {
  std::string lower = ledger::to_string(currency);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return static_cast<char>(c + ('a' - 'A')); });
  return {{"value", static_cast<double>(amount) * 1e-15},
          {"currency", lower},
          {"exact", maas::print_femto(amount)}};
}

json::value id_or_null(bool wanted, const maas::Named& named) {
  return wanted ? json::value(named.id) : json::value(nullptr);
}

json::object page_object(json::array data, std::optional<int64_t> next) {
  json::object out{{"object", "page"}, {"data", std::move(data)}, {"has_more", next.has_value()}};
  out["next_page"] =
      next ? json::value(fmt::format("page_{}", *next / kSecond)) : json::value(nullptr);
  return out;
}

json::object bucket_object(int64_t from_ns, int64_t to_ns, json::array results) {
  return {{"object", "bucket"},
          {"start_time", from_ns / kSecond},
          {"end_time", to_ns / kSecond},
          {"results", std::move(results)}};
}

}  // namespace mill::gateway::desk
