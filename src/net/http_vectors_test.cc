// The request vectors of llhttp, a parser that many servers use: what it refuses when strict, this
// server refuses, and what it takes this server takes, but for the cases listed here with the
// reason.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/log.h"
#include "net/http_server.h"
#include "net/raw_client_for_test.h"

namespace mill::net {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct Vector {
  std::string name;   // "file: nearest heading"
  std::string kind;   // "request", "request-lenient-headers", …
  std::string bytes;  // what goes over the wire
  int messages = 0;   // that llhttp reads to their end
};

// Refused here and taken by llhttp, and why.
const std::map<std::string, std::string> kStricter = {
    {"method: CONNECT request", "this is no proxy"},
    {"method: CONNECT request with CAPS", "this is no proxy"},
    {"method: CONNECT with body", "this is no proxy"},
    {"uri: Underscore in hostname", "a CONNECT: this is no proxy"},
    {"method: M-SEARCH request", "its target is *, which only OPTIONS has"},
    {"method: ANNOUNCE request with RTSP", "another protocol"},
    {"method: OPTIONS request with RTSP", "another protocol"},
    {"method: SOURCE request with ICE", "another protocol"},
    {"sample: No HTTP version", "HTTP/0.9"},
    {"uri: Fragment in URI", "a target has no fragment (RFC 9112, 3.2)"},
    {"transfer-encoding: POST with `chunked` as last transfer-encoding",
     "no other coding is known"},
    {"transfer-encoding: POST with `chunked` as last transfer-encoding (multiple headers)",
     "no other coding is known"},
};
// Taken here and refused by llhttp, and why.
const std::map<std::string, std::string> kLooser = {
    {"invalid: HTTP protocol and ANNOUNCE method",
     "an unknown method is the handler's to refuse (405)"},
    {"invalid: Invalid method", "an unknown method is the handler's to refuse (405)"},
};

fs::path data_folder() {
  const char* shared = std::getenv("TOKENMILL_SHARED");
  const fs::path root = shared ? fs::path(shared) : fs::path(MILL_SOURCE_DIR "/../shared");
  return root / "data/http_vectors/test/request";
}

// The notation of the vectors: a line feed stands for CR LF, one behind a backslash for nothing, \r
// \n \t \f \xHH for themselves.
std::string wire_bytes(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (c == '\n') {
      out += "\r\n";
    } else if (c != '\\') {
      out += c;
    } else if (next == '\n') {
      ++i;
    } else if (next == 'r' || next == 'n' || next == 't' || next == 'f') {
      out += next == 'r' ? '\r' : next == 'n' ? '\n' : next == 't' ? '\t' : '\f';
      ++i;
    } else if (next == 'x') {
      out += static_cast<char>(std::stoi(text.substr(i + 2, 2), nullptr, 16));
      i += 3;
    } else {
      out += c;
    }
  }
  return out;
}

// The vectors are older than the rule that there is a Host; each request line gets one behind it.
std::string with_host(std::string bytes) {
  if (bytes.find("\r\nHost:") != std::string::npos ||
      bytes.find("\r\nhost:") != std::string::npos) {
    return bytes;
  }
  constexpr std::string_view kEnd = " HTTP/1.1\r\n";
  for (size_t at = bytes.find(kEnd); at != std::string::npos; at = bytes.find(kEnd, at + 1)) {
    bytes.insert(at + kEnd.size(), "Host: test\r\n");
  }
  return bytes;
}

int count(const std::string& text, std::string_view word) {
  int found = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

std::vector<Vector> vectors_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<Vector> vectors;
  std::string line, heading, kind, block, fence;
  Vector vector;
  while (std::getline(file, line)) {
    if (!fence.empty()) {
      if (line != "```") {
        block += line + "\n";
        continue;
      }
      if (fence == "```http") {
        vector.bytes = with_host(wire_bytes(std::exchange(block, {})));
      } else if (fence == "```log") {
        vector.messages = count(block, "message complete");
        block.clear();
        vectors.push_back(vector);
      }
      fence.clear();
    } else if (line.starts_with("```")) {
      fence = line;
    } else if (line.starts_with("#")) {
      heading = line.substr(line.find_first_not_of("# "));
    } else if (const size_t meta = line.find("\"type\""); meta != std::string::npos) {
      const size_t begin = line.find('"', line.find(':', meta)) + 1;
      vector.kind = line.substr(begin, line.find('"', begin) - begin);
      if (line.find("\"pause\"") != std::string::npos ||
          line.find("skipBody") != std::string::npos) {
        vector.kind += "-paused";
      }
      vector.name = path.stem().string() + ": " + heading;
    }
  }
  return vectors;
}

Task<void> take(HttpExchange& http) {
  HttpReply reply;
  reply.body = "taken";
  const Status sent = co_await http.reply(std::move(reply));
  (void)sent;
}

TEST(HttpVectors, are_read_as_llhttp_reads_them_or_stricter) {
  if (!fs::exists(data_folder())) GTEST_SKIP() << "no " << data_folder();
  set_log_level(LogLevel::kError);
  HttpServerOptions options;
  options.limits.linger_time = 1s;
  auto server = HttpServer::listen(std::move(options), take);
  ASSERT_TRUE(server);
  (*server)->start();
  int strict = 0, lenient = 0;
  for (const auto& entry : fs::directory_iterator(data_folder())) {
    for (const Vector& vector : vectors_of(entry.path())) {
      SCOPED_TRACE(vector.name + "\n" + vector.bytes);
      RawClient client((*server)->port());
      client.send(vector.bytes);
      client.finish_sending();
      const std::string answers = client.receive_all();
      EXPECT_TRUE(client.ended());
      const int taken = count(answers, "HTTP/1.1 200 ");
      if (vector.kind != "request") {
        ++lenient;  // what these do to a strict parser isn't written down: it is enough that the
                    // server lives
        continue;
      }
      ++strict;
      if (kStricter.contains(vector.name)) {
        EXPECT_LT(taken, vector.messages) << "is not stricter: strike it from the list";
      } else if (kLooser.contains(vector.name)) {
        EXPECT_GT(taken, vector.messages) << "is not looser: strike it from the list";
      } else {
        EXPECT_EQ(taken, vector.messages) << answers;
      }
    }
  }
  EXPECT_GT(strict, 100);
  EXPECT_GT(lenient, 30);
  RawClient after((*server)->port());
  after.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_EQ(after.response().status, 200);
}

}  // namespace
}  // namespace mill::net
