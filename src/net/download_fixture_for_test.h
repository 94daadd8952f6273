// A folder, a server of one file, and short patience: what the tests of downloads share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/rng.h"
#include "net/checksum.h"
#include "net/download.h"
#include "net/tls_server_for_test.h"

namespace mill::net {

using Exchange = TlsServerForTest::Exchange;
using std::chrono::milliseconds;

inline std::string random_bytes(size_t count, uint32_t stream) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<char>(philox({static_cast<uint32_t>(i), stream, 0, 0}, {1, 2})[0]);
  return bytes;
}

inline const std::string& the_file() {
  static const std::string bytes = random_bytes(1'500'000, 0);
  return bytes;
}

// Answers as an honest server of the_file() would, ranges included, sending at most `most` bytes
// before it cuts the line.
inline void serve_honestly(Exchange& http, size_t most = SIZE_MAX,
                           const std::string& etag = "\"v1\"") {
  const bool same = http.header("If-Range").empty() || http.header("If-Range") == etag;
  const size_t from = same ? http.range_from() : 0;
  const std::string rest = the_file().substr(from);
  std::string head = from > 0
                         ? "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " +
                               std::to_string(from) + "-" + std::to_string(the_file().size() - 1) +
                               "/" + std::to_string(the_file().size()) + "\r\n"
                         : "HTTP/1.1 200 OK\r\n";
  if (!etag.empty()) head += "ETag: " + etag + "\r\n";
  http.send(head + "Connection: close\r\nContent-Length: " + std::to_string(rest.size()) +
            "\r\n\r\n");
  http.send(std::string_view(rest).substr(0, most));
  if (most < rest.size()) http.cut();
}

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() {
    char pattern[] = "/tmp/tokenmill_download_XXXXXX";
    folder_ = ::mkdtemp(pattern);
    target_ = folder_ / "model.gguf";
    watch_.note = [this](std::string_view sentence) { notes_.append(sentence).append("\n"); };
  }
  ~DownloadTest() override { std::filesystem::remove_all(folder_); }

  // Downloads /file from a server that answers by `handler`, with quick retries.
  Result<Downloaded> get(const TlsServerForTest& server, bool with_sum = true,
                         bool with_size = true) {
    DownloadRequest request = base_request(server);
    if (with_sum) request.sha256 = sha256_of(the_file());
    if (with_size) request.size = the_file().size();
    return get(request);
  }
  Result<Downloaded> get(const DownloadRequest& request) {
    auto file = PartialFile::open(target_);
    if (!file) return fail(file.error());
    auto done = download(request, *file, watch_);
    EXPECT_FALSE(std::filesystem::exists(target_));
    if (done) MILL_TRY_DO(file->commit());
    return done;
  }
  DownloadRequest base_request(const TlsServerForTest& server) const {
    DownloadRequest request;
    request.url = server.url("/file");
    request.ca_file = server.ca_file();
    request.attempts = 4;
    request.first_pause = milliseconds(1);
    request.longest_pause = milliseconds(1500);
    request.stall_timeout = milliseconds(300);
    return request;
  }

  void expect_whole() const {
    EXPECT_EQ(read(target_), the_file());
    EXPECT_FALSE(std::filesystem::exists(partial()));
    EXPECT_FALSE(std::filesystem::exists(partial() + ".note"));
  }
  void expect_nothing_usable() const { EXPECT_FALSE(std::filesystem::exists(target_)); }
  std::string partial() const { return target_.string() + ".partial"; }
  uintmax_t kept() const {
    std::error_code none;
    const uintmax_t size = std::filesystem::file_size(partial(), none);
    return none ? 0 : size;
  }
  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::filesystem::path folder_;
  std::filesystem::path target_;
  DownloadWatch watch_;
  std::string notes_;
};

}  // namespace mill::net
