// A price book as an operator writes it: what a YAML file or the admin API carries, before anything
// is checked.
//
// Prices are decimal strings in currency units per 1,000,000 tokens ("0.15"), so that no binary
// float touches money. An empty string means "not given". PriceVersion::check (price_version.h)
// turns a draft into prices or names the wrong field; docs/prices.md is the operator's page. Plain
// data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "maas/catalog/band.h"

namespace mill::maas {

// One price per bucket of tokens. The buckets are disjoint: a cached token is not also an input
// token.
struct RatesDraft {
  std::string input;         // fresh input text; required
  std::string cache_read;    // input found in the prefix cache; not given: as input
  std::string cache_write;   // input kept in the cache on the client's order; not given: as input
  std::string input_image;   // not given: requests with images are refused
  std::string output;        // answer text; required
  std::string reasoning;     // hidden reasoning; not given: as output
  std::string output_image;  // not given: requests for images are refused
  std::string request;       // fee per request, in currency units each; not given: none
  bool operator==(const RatesDraft&) const = default;
};

// What a band costs: all base prices times a factor, or prices of its own. Exactly one of the two.
struct BandPriceDraft {
  std::string band;    // a name of BookDraft::bands
  std::string factor;  // "2"
  RatesDraft rates;    // names every bucket that the base prices name
  bool operator==(const BandPriceDraft&) const = default;
};

// What a tier costs: the default tier's prices, in every band, times a factor; or prices of its
// own, with bands of its own.
struct TierPriceDraft {
  std::string tier;  // "priority", "flex", "batch"
  std::string factor;
  RatesDraft rates;
  std::vector<BandPriceDraft>
      bands;  // with own prices only; then every band that the default tier names
  bool operator==(const TierPriceDraft&) const = default;
};

struct PriceDraft {
  std::string currency;               // "USD"
  RatesDraft rates;                   // the default tier outside of all bands
  std::vector<BandPriceDraft> bands;  // of one zone, and without overlap
  std::vector<TierPriceDraft> tiers;  // a tier that is not here is not sold
  std::string batch_factor;           // "0.5"; not given: no batches
  bool operator==(const PriceDraft&) const = default;
};

struct ModelDraft {
  std::string id;
  std::string description;
  std::vector<std::string> aliases;
  std::vector<std::string>
      fallbacks;                  // ids, in the order to try; the model that answers sets the price
  std::string deprecated_at;      // an instant from which answers carry a warning; empty: never
  std::string retires_at;         // an instant from which requests are refused; empty: never
  std::string replacement;        // what a deprecation message recommends
  int64_t context_tokens = 0;     // cap on prompt + output; 0: the model file's own
  int64_t max_output_tokens = 0;  // cap on output; 0: none but the context
  std::vector<PriceDraft> prices;  // one per currency
  bool operator==(const ModelDraft&) const = default;
};

struct BookDraft {
  std::string effective_from;  // an instant; empty: at once
  std::string note;            // why, for the audit log
  std::vector<BandDraft> bands;
  std::vector<ModelDraft> models;
  bool operator==(const BookDraft&) const = default;
};

}  // namespace mill::maas
