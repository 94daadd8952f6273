#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "text/jinja/test_render.h"

namespace mill::text {
namespace {

namespace json = boost::json;

constexpr int64_t kNow = jinja::kTestNow;

std::filesystem::path shared_data() {
  const char* set = std::getenv("TOKENMILL_SHARED");
  return std::filesystem::path(set ? set : MILL_SOURCE_DIR "/../shared") / "data";
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

json::object variables_of(std::string_view text) {
  return json::parse(text).as_object();
}

TEST(ChatTemplate, RendersTheCollectedTemplatesAsJinja2Does) {
  const auto folder = shared_data() / "chat_templates";
  if (!std::filesystem::exists(folder / "golden_jinja2.jsonl")) {
    GTEST_SKIP() << "no golden renderings in " << folder << " (set TOKENMILL_SHARED)";
  }
  const json::object cases = variables_of(read_file(folder / "golden_cases.json"));
  std::istringstream goldens(read_file(folder / "golden_jinja2.jsonl"));
  int checked = 0;
  for (std::string line; std::getline(goldens, line); ++checked) {
    const json::object golden = variables_of(line);
    const std::string file(golden.at("template").as_string());
    const std::string name(golden.at("case").as_string());
    json::object variables = cases.at(name).as_object();
    variables["bos_token"] = "<s>";
    variables["eos_token"] = "</s>";
    const auto made = ChatTemplate::compile(read_file(folder / file));
    ASSERT_TRUE(made) << file << ": " << made.error().message;
    const auto rendered = made->render(variables, kNow);
    if (golden.contains("error")) {
      ASSERT_FALSE(rendered) << file << " " << name;
      EXPECT_EQ(rendered.error().code, Code::kInvalid) << file << " " << name;
      // The reference puts the kind of exception in front; messages of Jinja's own agree with ours.
      const std::string error(golden.at("error").as_string());
      const std::string said = error.substr(error.find(": ") + 2);
      EXPECT_NE(rendered.error().message.find(said), std::string::npos)
          << file << " " << name << ": " << rendered.error().message;
      continue;
    }
    ASSERT_TRUE(rendered) << file << " " << name << ": " << rendered.error().message;
    EXPECT_EQ(rendered->text(), std::string(golden.at("output").as_string()))
        << file << " " << name;
  }
  EXPECT_GE(checked, 400);
}

// testdata/jinja: made by its make.py with the jinja2 package.
TEST(ChatTemplate, RendersSmallTemplatesAsJinja2Does) {
  const std::filesystem::path folder = MILL_SOURCE_DIR "/testdata/jinja";
  const json::object variables = variables_of(read_file(folder / "variables.json"));
  std::istringstream cases(read_file(folder / "cases.jsonl"));
  int checked = 0;
  for (std::string line; std::getline(cases, line); ++checked) {
    const json::object wanted = variables_of(line);
    const std::string source(wanted.at("template").as_string());
    const auto made = ChatTemplate::compile(source);
    const auto rendered =
        made ? made->render(variables, kNow) : Result<Rendered>(fail(made.error()));
    if (wanted.contains("error")) {
      EXPECT_FALSE(rendered) << source << "\nwanted " << wanted.at("error") << "\ngot "
                             << rendered->text();
    } else if (rendered) {
      EXPECT_EQ(rendered->text(), std::string(wanted.at("output").as_string())) << source;
    } else {
      ADD_FAILURE() << source << "\n" << rendered.error().message;
    }
  }
  EXPECT_GE(checked, 1000);
}

TEST(ChatTemplate, ReportsTheLineOfAMistake) {
  const auto made = ChatTemplate::compile("a\n{% if x %}\n{{ 1 + }}{% endif %}");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kInvalid);
  EXPECT_NE(made.error().message.find("line 3"), std::string::npos) << made.error().message;
  EXPECT_EQ(jinja::render("a\n\n{{ raise_exception('no ' ~ 'way') }}"),
            "error: chat template, line 3: no way");
}

TEST(ChatTemplate, ManyThreadsRenderOneTemplate) {
  const auto made = ChatTemplate::compile(
      "{% macro m(x) %}<{{ x }}>{% endmacro %}{% for m_ in messages %}{{ m(m_.content) }}{{ [1, "
      "'a']|join }}{% endfor %}");
  ASSERT_TRUE(made);
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string content = "c" + std::to_string(t);
      const json::object variables{{"messages", json::array{json::object{{"content", content}}}}};
      for (int i = 0; i < 200; ++i) {
        const auto rendered = made->render(variables, kNow);
        if (rendered && rendered->text() == "<" + content + ">1a") ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 800);
}

TEST(ChatTemplate, TellsTheTimeInUtc) {
  EXPECT_EQ(jinja::render("{{ strftime_now('%d %b %Y|%Y-%m-%d %H:%M:%S|%j|%A|%-d|%f|%z%Z|%%') }}"),
            "15 Jan 2026|2026-01-15 08:30:00|015|Thursday|15|000000||%");
}

TEST(ChatTemplate, NamesWhatItDoesNotSupport) {
  const auto block = ChatTemplate::compile("a\n{% block b %}{% endblock %}");
  ASSERT_FALSE(block);
  EXPECT_EQ(block.error().code, Code::kUnsupported);
  EXPECT_NE(block.error().message.find("line 2: the tag 'block'"), std::string::npos);
  const auto made = ChatTemplate::compile("{{ 'x'|pprint }}");
  ASSERT_TRUE(made);
  const auto rendered = made->render({}, kNow);
  ASSERT_FALSE(rendered);
  EXPECT_EQ(rendered.error().code, Code::kUnsupported);
  EXPECT_NE(rendered.error().message.find("'pprint'"), std::string::npos);
}

TEST(ChatTemplate, VariablesComeBeforeTheFunctionsOfTheSameName) {
  EXPECT_EQ(jinja::render("{{ range }}", R"({"range": 5})"), "5");
}

TEST(Rendered, JoinsNeighboursOfOneOrigin) {
  Rendered rendered;
  rendered.append("a", true);
  rendered.append("", false);
  rendered.append("b", true);
  rendered.append("c", false);
  EXPECT_EQ(rendered.text(), "abc");
  ASSERT_EQ(rendered.spans().size(), 2U);
  EXPECT_EQ(rendered.spans()[0].text, "ab");
  EXPECT_TRUE(rendered.spans()[0].trusted);
  EXPECT_EQ(rendered.spans()[1].text, "c");
}

}  // namespace
}  // namespace mill::text
