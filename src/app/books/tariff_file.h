// What electricity costs, in YAML, as docs/usage-and-invoices.md describes it.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "maas/metering/tariff.h"

namespace mill::app {

// kNotFound, kPermission, kIo and kTooLarge for the file; kInvalid with name:line and the field.
Result<maas::Tariff> read_tariff(const std::filesystem::path& path);
// `name` is what errors call the text.
Result<maas::Tariff> parse_tariff(const std::string& text, const std::string& name);

}  // namespace mill::app
