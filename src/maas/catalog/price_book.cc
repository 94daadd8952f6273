#include "maas/catalog/price_book.h"

#include <fmt/format.h>

#include <algorithm>

#include "maas/catalog/civil_time.h"

namespace mill::maas {
namespace {

bool begins_before(int64_t at_ns, const std::shared_ptr<const PriceVersion>& version) {
  return at_ns < version->effective_from_ns();
}

}  // namespace

Result<std::shared_ptr<const PriceVersion>> PriceBook::check(const BookDraft& draft,
                                                             int64_t now_ns) const {
  now_ns = std::max(now_ns, latest_ns_);
  MILL_TRY(auto version, PriceVersion::check(draft, next_number_, now_ns));
  const int64_t begin = version->effective_from_ns();
  if (begin < now_ns)
    return fail(
        Code::kInvalid,
        fmt::format("effective_from: {} is in the past (now {}); prices in effect are never "
                    "changed, a new version begins now or later",
                    format_instant(begin), format_instant(now_ns)),
        "effective_from");
  for (const auto& other : versions_)
    if (other->effective_from_ns() == begin)
      return fail(Code::kInvalid,
                  fmt::format("effective_from: version {} begins at {} too; withdraw it first",
                              other->number(), format_instant(begin)),
                  "effective_from");
  return version;
}

Result<std::shared_ptr<const PriceVersion>> PriceBook::add(const BookDraft& draft, int64_t now_ns) {
  MILL_TRY(auto version, check(draft, now_ns));
  ++next_number_;
  latest_ns_ = std::max(now_ns, latest_ns_);
  const auto later = std::upper_bound(versions_.begin(), versions_.end(),
                                      version->effective_from_ns(), begins_before);
  versions_.insert(later, version);
  return version;
}

Status PriceBook::withdraw(int64_t number, int64_t now_ns) {
  now_ns = std::max(now_ns, latest_ns_);
  const auto found = std::find_if(versions_.begin(), versions_.end(),
                                  [&](const auto& v) { return v->number() == number; });
  if (found == versions_.end())
    return fail(Code::kNotFound, fmt::format("there is no price version {}", number), "version");
  if ((*found)->effective_from_ns() <= now_ns)
    return fail(Code::kPermission,
                fmt::format("price version {} is in effect since {} and stays in the book; a later "
                            "version can take its place",
                            number, format_instant((*found)->effective_from_ns())),
                "version");
  versions_.erase(found);
  latest_ns_ = now_ns;
  return {};
}

std::shared_ptr<const PriceVersion> PriceBook::at(int64_t at_ns) const {
  const auto later = std::upper_bound(versions_.begin(), versions_.end(), at_ns, begins_before);
  return later == versions_.begin() ? nullptr : *(later - 1);
}

std::shared_ptr<const PriceVersion> PriceBook::number(int64_t number) const {
  for (const auto& version : versions_)
    if (version->number() == number) return version;
  return nullptr;
}

}  // namespace mill::maas
