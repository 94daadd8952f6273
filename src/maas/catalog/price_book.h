// All versions of the price book over time, as acts of the journal made them.
//
// A version is immutable, and once in effect it stays what was in effect. One that lies in the
// future may be withdrawn. The book is built by applying acts in the journal's order with the
// journal's time, so a replay gives the same book. Not locked: its owner guards it; the versions it
// hands out are shared and safe on any thread. A clock that was set back does not reach into the
// past: the book's now never runs backwards.
#pragma once

#include <limits>
#include <memory>
#include <vector>

#include "base/result.h"
#include "maas/catalog/price_version.h"

namespace mill::maas {

class PriceBook {
 public:
  // What `add` would say, without adding: the version that would be, for a preview.
  Result<std::shared_ptr<const PriceVersion>> check(const BookDraft& draft, int64_t now_ns) const;

  // Adds a version, numbered one more than the last. Fails as PriceVersion::check does, and with
  // kInvalid (`param` "effective_from") where it would begin in the past or at the same instant as
  // another.
  Result<std::shared_ptr<const PriceVersion>> add(const BookDraft& draft, int64_t now_ns);

  // Takes back a version that is not yet in effect; its number is not used again. Fails with
  // kNotFound, or kPermission where it is or was in effect.
  Status withdraw(int64_t number, int64_t now_ns);

  // The version in effect at an instant; nullptr before the first.
  std::shared_ptr<const PriceVersion> at(int64_t at_ns) const;
  // By number; nullptr for none. Withdrawn ones are gone.
  std::shared_ptr<const PriceVersion> number(int64_t number) const;
  // In the order of their beginning.
  const std::vector<std::shared_ptr<const PriceVersion>>& versions() const { return versions_; }

 private:
  std::vector<std::shared_ptr<const PriceVersion>> versions_;
  int64_t next_number_ = 1;
  int64_t latest_ns_ = std::numeric_limits<int64_t>::min();  // the latest now of an act
};

}  // namespace mill::maas
