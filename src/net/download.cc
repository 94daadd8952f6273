#include "net/download.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <sstream>
#include <thread>

#include "base/rng.h"
#include "net/checksum.h"
#include "net/https_get.h"

namespace mill::net {
namespace {

constexpr int kKnocks = 3;  // tries at a host that cannot be reached at all
constexpr uint64_t kWorthwhile = 256
                                 << 10;  // a try that brought less than this has not got further

// What the note beside a partial file remembers of where its bytes come from.
struct Trail {
  std::string identity;  // "sha256 …" or "url …": two tries with the same identity may share bytes
  std::string url;       // the address that gave the validator
  std::string validator;  // see GetHead
};

std::string to_note(const Trail& trail) {
  return fmt::format("{}\n{}\n{}\n", trail.identity, trail.url, trail.validator);
}

Trail from_note(const std::string& note) {
  std::istringstream in(note);
  Trail trail;
  std::getline(in, trail.identity);
  std::getline(in, trail.url);
  std::getline(in, trail.validator);
  return trail;
}

std::string megabytes(uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

bool worth_retrying(int status) {
  return status == 408 || status == 425 || status == 429 ||
         (status >= 500 && status != 501 && status != 505);
}

// The error for an answer that is no file.
Error refusal(int status, const std::string& host, bool with_token) {
  if (status == 401 || status == 403) {
    return {Code::kPermission,
            fmt::format("{} does not give this file to us (HTTP {}): {}", host, status,
                        with_token ? "the access token does not allow it"
                                   : "it may ask for an access token or a licence to accept"),
            {}};
  }
  if (status == 404 || status == 410)
    return {Code::kNotFound, fmt::format("{} has no such file (HTTP {})", host, status), {}};
  if (status == 429)
    return {Code::kOverloaded,
            fmt::format("{} turns us away for asking too often (HTTP 429): try later", host),
            {}};
  if (status == 503)
    return {Code::kOverloaded, fmt::format("{} is too busy (HTTP 503): try later", host), {}};
  return {Code::kIo, fmt::format("{} answers with HTTP {}", host, status), {}};
}

class Fetch {
 public:
  Fetch(const DownloadRequest& request, PartialFile& file, const DownloadWatch& watch)
      : request_(request),
        file_(file),
        watch_(watch),
        identity_(request.sha256.empty() ? "url " + request.url : "sha256 " + request.sha256),
        jitter_seed_((uint64_t{std::random_device{}()} << 32) | std::random_device{}()) {}

  Result<Downloaded> run() {
    MILL_TRY_DO(take_up());
    for (int round = 0;; ++round) {
      MILL_TRY_DO(fill());
      Result<Downloaded> done = check();
      // Bytes of an earlier try may be what is wrong; a file that came in one piece and is wrong
      // stays wrong.
      if (done || !patched_ || round > 0) return done;
      note(done.error().message + "; starting afresh");
      MILL_TRY_DO(restart());
      best_ = 0;
    }
  }

 private:
  // Decides whether the bytes that are there already are ours to go on with.
  Status take_up() {
    trail_ = from_note(file_.note());
    const bool too_long = request_.size && file_.size() > *request_.size;
    if (file_.size() == 0 || trail_.identity != identity_ || too_long) return restart();
    if (trail_.url != request_.url) trail_.validator.clear();
    if (request_.sha256.empty() && trail_.validator.empty())
      return restart();  // nothing would vouch for the seam
    resumed_from_ = file_.size();
    patched_ = true;
    note(fmt::format("going on at {}", megabytes(resumed_from_)));
    return {};
  }

  Status restart() {
    patched_ = false;
    resumed_from_ = 0;
    total_ = request_.size;
    trail_ = {identity_, request_.url, {}};
    complete_ = false;
    return file_.clear();
  }

  // Asks again and again until the file is there, or there is no point in asking.
  Status fill() {
    complete_ = request_.size && file_.size() == *request_.size;
    int failures = 0;
    while (!complete_) {
      const GetOutcome outcome = attempt();
      if (outcome.end == GetEnd::kComplete) complete_ = true;
      if (complete_) break;
      if (outcome.end == GetEnd::kRefused) return fail(outcome.error);
      if (outcome.end == GetEnd::kStopped && !again_) return fail(outcome.error);
      if (file_.size() >= best_ + kWorthwhile) failures = 0;
      best_ = std::max(best_, file_.size());
      const int attempts =
          outcome.unreachable ? std::min(request_.attempts, kKnocks) : request_.attempts;
      if (++failures >= attempts) return fail(outcome.error);
      MILL_TRY_DO(pause(failures, attempts, outcome));
    }
    return {};
  }

  GetOutcome attempt() {
    again_ = false;
    GetRequest get;
    get.url = request_.url;
    get.from = file_.size();
    get.validator = trail_.validator;
    get.bearer = request_.bearer;
    get.ca_file = request_.ca_file;
    get.connect_timeout = request_.connect_timeout;
    get.stall_timeout = request_.stall_timeout;
    get.max_redirects = request_.max_redirects;
    return https_get(
        get, [this](const GetHead& head) { return begin(head); },
        [this](std::span<const std::byte> bytes) { return take(bytes); });
  }

  // An error after which another try makes sense.
  Status retry(Error error) {
    again_ = true;
    return fail(std::move(error));
  }

  Status begin(const GetHead& head) {
    const std::string host = host_of(request_.url);
    if (head.status == 416 && file_.size() > 0) {
      complete_ =
          head.range_total == file_.size();  // an earlier try had got everything but the name
      if (complete_) return fail(Code::kCancelled, "nothing more to fetch");
      MILL_TRY_DO(restart());
      return retry({Code::kCorrupt,
                    fmt::format("{} has no bytes after what we have; starting afresh", host),
                    {}});
    }
    if (head.status != 200 && head.status != 206) {
      Error error = refusal(head.status, host, !request_.bearer.empty());
      return worth_retrying(head.status) ? retry(std::move(error)) : Status(fail(std::move(error)));
    }
    linked_sha256_ = head.linked_sha256;
    if (!request_.sha256.empty() && !linked_sha256_.empty() && linked_sha256_ != request_.sha256) {
      return fail(Code::kCorrupt,
                  fmt::format("{} now has another file there: its SHA-256 is {} and should be {}",
                              host, linked_sha256_, request_.sha256));
    }
    MILL_TRY_DO(head.status == 206 ? begin_rest(head, host) : begin_whole(head));
    if (total_ && request_.size && *total_ != *request_.size) {
      return fail(
          Code::kCorrupt,
          fmt::format("{} offers a file of {} bytes, and {} are expected: it is another file", host,
                      *total_, *request_.size));
    }
    trail_.url = request_.url;
    trail_.validator = head.validator;
    if (total_ && *total_ > file_.size()) MILL_TRY_DO(file_.check_room(*total_ - file_.size()));
    return file_.set_note(to_note(trail_));
  }

  Status begin_rest(const GetHead& head, const std::string& host) {
    const bool fits = head.range_first == file_.size() &&
                      (!total_ || !head.range_total || total_ == head.range_total);
    const bool same =
        trail_.validator.empty() || head.validator.empty() || trail_.validator == head.validator;
    if (!fits || !same) {
      MILL_TRY_DO(restart());
      return retry({Code::kCorrupt,
                    fmt::format("{} sends another part or another file than we asked for", host),
                    {}});
    }
    if (file_.size() > 0) patched_ = true;
    if (head.range_total) total_ = head.range_total;
    return {};
  }

  // The server sends everything, because we asked for it, because it knows no ranges, or because
  // its file has changed.
  Status begin_whole(const GetHead& head) {
    if (file_.size() > 0) {
      note(fmt::format("{} starts from the beginning again", host_of(request_.url)));
      MILL_TRY_DO(restart());
    }
    if (head.length) total_ = head.length;
    return {};
  }

  Status take(std::span<const std::byte> bytes) {
    if (total_ && file_.size() + bytes.size() > *total_) {
      MILL_TRY_DO(restart());
      return retry({Code::kCorrupt,
                    fmt::format("{} sends more bytes than it announced", host_of(request_.url)),
                    {}});
    }
    MILL_TRY_DO(file_.append(bytes));
    if (watch_.progress) watch_.progress(file_.size(), total_);
    return {};
  }

  Status pause(int failures, int attempts, const GetOutcome& outcome) {
    Duration wait = request_.first_pause * (int64_t{1} << std::min(failures - 1, 20));
    wait = std::min(wait, request_.longest_pause);
    const double share = 0.5 + 0.5 * uniform_at(jitter_seed_, 0, jitter_position_++);
    wait = std::chrono::duration_cast<Duration>(wait * share);
    if (outcome.retry_after && worth_retrying(outcome.status)) {
      if (*outcome.retry_after > request_.longest_pause) {
        return fail(outcome.error.code,
                    fmt::format("{} (it asks for {:.0f} seconds of patience)",
                                outcome.error.message, to_seconds(*outcome.retry_after)));
      }
      wait = std::max(wait, *outcome.retry_after);
    }
    note(fmt::format("{}; trying again in {:.1f} s ({} of {})", outcome.error.message,
                     to_seconds(wait), failures, attempts - 1));
    std::this_thread::sleep_for(wait);
    return {};
  }

  // Compares what is on the disk with what was promised.
  Result<Downloaded> check() {
    if (request_.size && file_.size() != *request_.size) {
      return wrong(fmt::format("{} bytes came and {} are expected", file_.size(), *request_.size));
    }
    MILL_TRY(const std::string sum, sha256_of_file(file_.path()));
    const std::string& expected = request_.sha256.empty() ? linked_sha256_ : request_.sha256;
    if (!expected.empty() && sum != expected) {
      return wrong(fmt::format("what {} sent is wrong: its SHA-256 is {} and should be {}",
                               host_of(request_.url), sum, expected));
    }
    const uint64_t bytes = file_.size();
    return Downloaded{bytes, sum, linked_sha256_, resumed_from_};
  }

  // Wrong bytes are of no use to anybody.
  Result<Downloaded> wrong(std::string sentence) {
    MILL_TRY_DO(file_.clear());
    return fail(Code::kCorrupt, std::move(sentence));
  }

  void note(const std::string& sentence) const {
    if (watch_.note) watch_.note(sentence);
  }

  const DownloadRequest& request_;
  PartialFile& file_;
  const DownloadWatch& watch_;
  const std::string identity_;
  const uint64_t jitter_seed_;
  uint64_t jitter_position_ = 0;
  Trail trail_;
  std::optional<uint64_t> total_;  // bytes of the whole file, once known
  std::string linked_sha256_;
  uint64_t resumed_from_ = 0;
  uint64_t best_ = 0;     // the most bytes that any try has brought
  bool patched_ = false;  // the file is made of more than one answer
  bool complete_ = false;
  bool again_ = false;  // the error of the last attempt is worth another
};

}  // namespace

Result<Downloaded> download(const DownloadRequest& request, PartialFile& file,
                            const DownloadWatch& watch) {
  if (request.url.rfind("https://", 0) != 0) {
    return fail(Code::kInvalid, fmt::format("'{}' is no https address", request.url));
  }
  if (!request.sha256.empty() && !is_sha256(request.sha256)) {
    return fail(Code::kInvalid,
                fmt::format("'{}' is no SHA-256: 64 lower-case hex digits are", request.sha256));
  }
  return Fetch(request, file, watch).run();
}

}  // namespace mill::net
