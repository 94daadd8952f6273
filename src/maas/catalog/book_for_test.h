// A price book for tests: DeepSeek's published prices and peak hours, and a house model with every
// dimension.
#pragma once

#include "maas/catalog/draft.h"

namespace mill::maas {

// Peak is 01:00-04:00 and 06:00-10:00 UTC, Monday to Friday, except holidays.
inline BandDraft deepseek_peak() {
  return {.name = "peak",
          .zone = "UTC",
          .days = {"mon", "tue", "wed", "thu", "fri"},
          .hours = {{"01:00", "04:00"}, {"06:00", "10:00"}},
          .except = {"2026-10-01"}};
}

inline BookDraft book_for_test() {
  BookDraft book;
  book.bands = {deepseek_peak(),
                {.name = "night", .zone = "Europe/Berlin", .hours = {{"22:00", "06:00"}}}};
  ModelDraft flash{.id = "flash", .aliases = {"flash-latest"}, .context_tokens = 65536};
  flash.prices = {{.currency = "USD",
                   .rates = {.input = "0.15", .cache_read = "0.003", .output = "0.60"},
                   .bands = {{.band = "peak", .factor = "2"}},
                   .tiers = {{.tier = "priority", .factor = "1.75"}},
                   .batch_factor = "0.5"}};
  ModelDraft pro{.id = "pro", .fallbacks = {"flash"}, .max_output_tokens = 8192};
  pro.prices = {
      {.currency = "USD",
       .rates = {.input = "0.66", .cache_read = "0.022", .output = "1.98"},
       .bands = {{.band = "peak",
                  .rates = {.input = "1.32", .cache_read = "0.044", .output = "3.96"}}}},
      {.currency = "CNY", .rates = {.input = "4.7", .cache_read = "0.16", .output = "14.1"}}};
  ModelDraft house{.id = "house"};
  house.prices = {{.currency = "CREDITS",
                   .rates = {.input = "3",
                             .cache_read = "0.3",
                             .cache_write = "3.75",
                             .input_image = "5.0000002",
                             .output = "15",
                             .reasoning = "12.5",
                             .output_image = "40",
                             .request = "0.000123456"},
                   .bands = {{.band = "night", .factor = "0.7"}},
                   .tiers = {{.tier = "priority",
                              .rates = {.input = "6",
                                        .cache_read = "0.6",
                                        .cache_write = "7.5",
                                        .input_image = "10",
                                        .output = "30",
                                        .reasoning = "25",
                                        .output_image = "80",
                                        .request = "0.001"},
                              .bands = {{.band = "night", .factor = "0.8"}}},
                             {.tier = "flex", .factor = "0.5"}}}};
  book.models = {flash, pro, house};
  return book;
}

}  // namespace mill::maas
