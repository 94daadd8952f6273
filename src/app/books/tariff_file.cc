#include "app/books/tariff_file.h"

#include <fmt/format.h>

#include <vector>

#include "app/books/price_file.h"
#include "app/yaml.h"

namespace mill::app {
namespace {

constexpr size_t kMostBytes = 64 << 10;
constexpr size_t kMostBands = 100;

struct Reader {
  const std::string& name;

  tl::unexpected<Error> wrong(const YamlField& field, std::string_view what) const {
    return fail(Code::kInvalid, fmt::format("{}:{}: {} {}", name, field.line, field.key, what),
                field.key);
  }
  tl::unexpected<Error> unknown(const YamlField& field, std::string_view known) const {
    return wrong(field, fmt::format("is not understood here; there are: {}", known));
  }
  Result<std::string> text(const YamlField& field) const {
    if (!field.value.IsScalar())
      return wrong(field, "must be a plain value, not " + shape_of(field.value));
    return field.value.Scalar();
  }
  Result<std::vector<std::string>> texts(const YamlField& field) const {
    if (!field.value.IsSequence())
      return wrong(field, "must be a list, not " + shape_of(field.value));
    std::vector<std::string> all;
    for (const YAML::Node& item : field.value) {
      MILL_TRY(std::string one, text({field.key, item, line_of(item)}));
      all.push_back(std::move(one));
    }
    return all;
  }
};

Result<maas::SpanDraft> span_of(const Reader& reader, const YAML::Node& node) {
  MILL_TRY(const std::vector<YamlField> fields, yaml_fields(node, reader.name, "a span of hours"));
  maas::SpanDraft span;
  for (const YamlField& field : fields) {
    if (field.key == "from") {
      MILL_TRY(span.from, reader.text(field));
    } else if (field.key == "to") {
      MILL_TRY(span.to, reader.text(field));
    } else {
      return reader.unknown(field, "from, to");
    }
  }
  return span;
}

Result<maas::TariffBandDraft> band_of(const Reader& reader, const YAML::Node& node) {
  MILL_TRY(const std::vector<YamlField> fields, yaml_fields(node, reader.name, "a band"));
  maas::TariffBandDraft draft;
  for (const YamlField& field : fields) {
    if (field.key == "name") {
      MILL_TRY(draft.band.name, reader.text(field));
    } else if (field.key == "days") {
      MILL_TRY(draft.band.days, reader.texts(field));
    } else if (field.key == "except") {
      MILL_TRY(draft.band.except, reader.texts(field));
    } else if (field.key == "hours") {
      if (!field.value.IsSequence())
        return reader.wrong(field, "must be a list, not " + shape_of(field.value));
      for (const YAML::Node& item : field.value) {
        MILL_TRY(maas::SpanDraft span, span_of(reader, item));
        draft.band.hours.push_back(std::move(span));
      }
    } else if (field.key == "price_per_kwh") {
      MILL_TRY(draft.price_per_kwh, reader.text(field));
    } else if (field.key == "grams_co2_per_kwh") {
      MILL_TRY(draft.grams_co2_per_kwh, reader.text(field));
    } else {
      return reader.unknown(field, "name, days, hours, except, price_per_kwh, grams_co2_per_kwh");
    }
  }
  return draft;
}

Result<std::vector<maas::TariffBandDraft>> bands_of(const Reader& reader, const YamlField& field) {
  if (!field.value.IsSequence() || field.value.size() > kMostBands)
    return reader.wrong(field, fmt::format("must be a list of {} bands at most", kMostBands));
  std::vector<maas::TariffBandDraft> bands;
  for (const YAML::Node& item : field.value) {
    MILL_TRY(maas::TariffBandDraft band, band_of(reader, item));
    bands.push_back(std::move(band));
  }
  return bands;
}

Result<maas::TariffDraft> draft_of(const Reader& reader, const YAML::Node& document) {
  MILL_TRY(const std::vector<YamlField> fields, yaml_fields(document, reader.name, "a tariff"));
  maas::TariffDraft draft;
  std::string zone = "UTC";
  draft.currency.clear();
  for (const YamlField& field : fields) {
    if (field.key == "currency") {
      MILL_TRY(draft.currency, reader.text(field));
    } else if (field.key == "zone") {
      MILL_TRY(zone, reader.text(field));
    } else if (field.key == "price_per_kwh") {
      MILL_TRY(draft.price_per_kwh, reader.text(field));
    } else if (field.key == "grams_co2_per_kwh") {
      MILL_TRY(draft.grams_co2_per_kwh, reader.text(field));
    } else if (field.key == "bands") {
      MILL_TRY(draft.bands, bands_of(reader, field));
    } else {
      return reader.unknown(field, "currency, zone, price_per_kwh, grams_co2_per_kwh, bands");
    }
  }
  for (maas::TariffBandDraft& band : draft.bands) band.band.zone = zone;
  return draft;
}

// "tariff.bands[0].band.hours" is "bands[0].hours" in the file, and the zone is that of all.
std::string as_in_file(std::string text) {
  const auto replace = [&](std::string_view what, std::string_view by) {
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
      text.replace(at, what.size(), by);
  };
  replace("tariff.", "");
  replace("].band.", "].");
  replace("bands[0].zone", "zone");
  return text;
}

}  // namespace

Result<maas::Tariff> parse_tariff(const std::string& text, const std::string& name) {
  MILL_TRY(const YAML::Node document, parse_yaml(text, name));
  MILL_TRY(const maas::TariffDraft draft, draft_of({name}, document));
  auto tariff = maas::Tariff::check(draft, "tariff");
  if (tariff) return tariff;
  const Error& error = tariff.error();
  const std::string field = as_in_file(error.param);
  return fail(
      error.code,
      fmt::format("{}:{}: {}", name, line_of_path(document, field), as_in_file(error.message)),
      field);
}

Result<maas::Tariff> read_tariff(const std::filesystem::path& path) {
  MILL_TRY(const std::string text, read_small_file(path, kMostBytes));
  return parse_tariff(text, path.string());
}

}  // namespace mill::app
