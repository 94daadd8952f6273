// Turns a BookDraft into a PriceVersion, or names the field that is wrong. Used by
// PriceVersion::check alone.
#pragma once

#include <string>

#include "maas/catalog/price_version.h"

namespace mill::maas {

// A price or factor as written, in 1e-9: at least 0 and at most `most`. Fails with kInvalid for
// anything that is not plain decimal digits (NaN, inf, signs, exponents, more than nine decimals);
// `param` is `field`.
Result<int64_t> parse_price(std::string_view text, const std::string& field, int64_t most);

class VersionBuilder {
 public:
  VersionBuilder(const BookDraft& draft, int64_t number);
  Status build(int64_t now_ns);
  std::shared_ptr<const PriceVersion> take() { return std::move(version_); }

 private:
  Status add_bands();
  Status add_names();
  Status add_model(const ModelDraft& draft, size_t index, const std::string& field);
  Status check_fallbacks(const ModelDraft& draft, const std::string& field) const;
  Result<ModelPrice> price(const PriceDraft& draft, const std::string& field) const;
  Result<std::vector<Band>> bands_of(const PriceDraft& draft, const std::string& field) const;
  Status add_tier(const TierPriceDraft& draft, const std::string& field, const PriceDraft& base,
                  ModelPrice& into) const;

  const BookDraft& draft_;
  std::shared_ptr<PriceVersion> version_;
  std::vector<Band> bands_;
};

}  // namespace mill::maas
