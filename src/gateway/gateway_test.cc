#include "gateway/gateway.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "gateway/mill_for_test.h"

namespace mill::gateway {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

// "" when `actual` has all that `expected` asks for, else where it hasn't. In strings, "<string>",
// "<integer>", "<number>" and
// "<absent>" stand for what they say.
std::string mismatch(const json::value& expected, const json::value* actual,
                     const std::string& at) {
  const auto differ = [&] {
    return at + ": expected " + json::serialize(expected) + ", got " +
           (actual ? json::serialize(*actual) : "nothing");
  };
  if (const auto* text = expected.if_string()) {
    if (*text == "<absent>") return actual ? differ() : "";
    if (!actual) return differ();
    if (*text == "<string>")
      return actual->is_string() && !actual->get_string().empty() ? "" : differ();
    if (*text == "<integer>") return actual->is_int64() ? "" : differ();
    if (*text == "<number>") return actual->is_number() ? "" : differ();
    return *actual == expected ? "" : differ();
  }
  if (!actual) return differ();
  if (const auto* object = expected.if_object()) {
    if (!actual->is_object()) return differ();
    for (const auto& [key, value] : *object) {
      const std::string found =
          mismatch(value, actual->get_object().if_contains(key), at + "." + std::string(key));
      if (!found.empty()) return found;
    }
    return "";
  }
  if (const auto* array = expected.if_array()) {
    if (!actual->is_array() || actual->get_array().size() != array->size()) return differ();
    for (size_t i = 0; i < array->size(); ++i) {
      const std::string found =
          mismatch((*array)[i], &actual->get_array()[i], at + "[" + std::to_string(i) + "]");
      if (!found.empty()) return found;
    }
    return "";
  }
  if (expected.is_number() && actual->is_number()) {
    const double difference = expected.to_number<double>() - actual->to_number<double>();
    return std::abs(difference) < 1e-6 ? "" : differ();
  }
  return *actual == expected ? "" : differ();
}

Script script_of(const json::value& from) {
  Script script;
  const json::object& fields = from.as_object();
  if (const auto* say = fields.if_contains("say")) script.say = std::string(say->as_string());
  if (const auto* forever = fields.if_contains("forever")) script.forever = forever->as_bool();
  if (const auto* fault = fields.if_contains("fault_at"))
    script.fault_at = static_cast<size_t>(fault->as_int64());
  if (const auto* usage = fields.if_contains("usage")) {
    const json::object& counts = usage->as_object();
    script.usage.cached_tokens = counts.at("cached").as_int64();
    script.usage.accepted_drafts = counts.at("accepted").as_int64();
    script.usage.rejected_drafts = counts.at("rejected").as_int64();
  }
  if (const auto* refuse = fields.if_contains("refuse")) {
    script.refuse = Error{*refuse == "overloaded" ? Code::kOverloaded : Code::kInvalid,
                          "the script refuses", ""};
  }
  return script;
}

void check_answer(const json::object& expect, const net::RawResponse& response) {
  EXPECT_EQ(response.status, expect.at("status").as_int64()) << response.body;
  EXPECT_TRUE(response.whole);
  EXPECT_NE(response.header("X-Request-Id"), "");
  if (const auto* headers = expect.if_contains("headers")) {
    for (const auto& [name, value] : headers->as_object()) {
      EXPECT_EQ(response.header(std::string(name)), value.as_string()) << name;
    }
  }
  if (const auto* body = expect.if_contains("body")) {
    const json::value actual = json::parse(response.body);
    EXPECT_EQ(mismatch(*body, &actual, "body"), "");
  }
  if (const auto* events = expect.if_contains("events")) {
    const std::vector<std::string> actual = events_of(response.body);
    const json::array& expected = events->as_array();
    ASSERT_EQ(actual.size(), expected.size()) << response.body;
    for (size_t i = 0; i < actual.size(); ++i) {
      const json::value event =
          actual[i] == "[DONE]" ? json::value("[DONE]") : json::parse(actual[i]);
      EXPECT_EQ(mismatch(expected[i], &event, "event " + std::to_string(i)), "");
    }
  }
}

// Every file of testdata/api is an array of cases: {name, script, request: {method, path, headers,
// body or raw}, expect: {status, headers, body, events}, prompt}. `prompt`: what the worker must
// have been asked, as text.
class ApiCases : public testing::TestWithParam<fs::path> {};

TEST_P(ApiCases, answer_as_the_file_says) {
  const json::value file = json::parse(read_file(GetParam()));
  Script script;
  MillForTest mill([&](const work::Order&) { return script; });
  for (const json::value& value : file.as_array()) {
    const json::object& one = value.as_object();
    SCOPED_TRACE(std::string(one.at("name").as_string()));
    script =
        one.contains("script") ? script_of(one.at("script")) : script_of({{"say", "Hello world"}});
    const json::object& request = one.at("request").as_object();
    std::string body;
    if (const auto* raw = request.if_contains("raw")) body = std::string(raw->as_string());
    if (const auto* object = request.if_contains("body")) body = json::serialize(*object);
    if (const auto* repeat = request.if_contains("repeat")) {
      for (int64_t i = 0; i < repeat->at(1).as_int64(); ++i) body += repeat->at(0).as_string();
    }
    std::string headers;
    if (const auto* extra = request.if_contains("headers")) {
      for (const auto& [name, text] : extra->as_object()) {
        headers += std::string(name) + ": " + std::string(text.as_string()) + "\r\n";
      }
    }
    const std::string method(request.at("method").as_string());
    net::RawClient client = mill.client();
    client.send(
        MillForTest::request(method, std::string(request.at("path").as_string()), body, headers));
    check_answer(one.at("expect").as_object(), client.response(method == "HEAD"));
    if (const auto* prompt = one.if_contains("prompt")) {
      std::string asked;
      const std::vector<work::Order> orders = mill.worker.orders();
      for (const TokenId id : orders.back().prompt) {
        asked +=
            mill.tokenizer.is_control(id) ? mill.tokenizer.piece(id) : mill.tokenizer.bytes(id);
      }
      EXPECT_EQ(asked, prompt->as_string());
    }
  }
}

std::vector<fs::path> case_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(MILL_SOURCE_DIR "/testdata/api")) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

INSTANTIATE_TEST_SUITE_P(Files, ApiCases, testing::ValuesIn(case_files()),
                         [](const auto& file) { return file.param.stem().string(); });

}  // namespace
}  // namespace mill::gateway
