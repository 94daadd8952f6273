#include "load/plot.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <limits>

#include "load/chart.h"

namespace mill::load {
namespace {

// Why `text` is no well-formed XML (of the kind written here: no comments, no CDATA), or "".
std::string xml_fault(std::string_view text) {
  const auto known_entity = [](std::string_view from) {
    for (const std::string_view entity : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
      if (from.starts_with(entity)) return true;
    }
    return false;
  };
  std::vector<std::string> open;
  size_t at = 0, elements = 0;
  while (at < text.size()) {
    if (text[at] != '<') {
      if (text[at] == '>') return "a bare > in text";
      if (text[at] == '&' && !known_entity(text.substr(at))) return "a bare &";
      if (open.empty() && !std::isspace(static_cast<unsigned char>(text[at])))
        return "text outside";
      ++at;
      continue;
    }
    const size_t end = text.find('>', at);
    if (end == std::string_view::npos) return "a tag without its end";
    std::string_view tag = text.substr(at + 1, end - at - 1);
    at = end + 1;
    if (tag.starts_with('?')) continue;
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != tag.substr(1)) return "</" + std::string(tag) + ">";
      open.pop_back();
      continue;
    }
    const bool closed = tag.ends_with('/');
    if (closed) tag.remove_suffix(1);
    const std::string name(tag.substr(0, tag.find(' ')));
    if (open.empty() && elements++ > 0) return "a second root";
    std::string_view rest = tag.substr(name.size());
    while (rest.find_first_not_of(' ') != std::string_view::npos) {
      rest.remove_prefix(rest.find_first_not_of(' '));
      const size_t equals = rest.find("=\"");
      if (equals == std::string_view::npos || rest.substr(0, equals).find(' ') != rest.npos) {
        return "an attribute without its value: " + std::string(rest);
      }
      const size_t quote = rest.find('"', equals + 2);
      if (quote == std::string_view::npos) return "a value without its end";
      const std::string_view value = rest.substr(equals + 2, quote - equals - 2);
      if (value.find("nan") != value.npos || value.find("inf") != value.npos) return "nan";
      rest.remove_prefix(quote + 1);
    }
    if (!closed) open.push_back(name);
  }
  return open.empty() && elements == 1 ? "" : "something is left open";
}

TEST(XmlFault, can_find_one) {
  EXPECT_EQ(xml_fault("<a b=\"c\"><d/>x &amp; y</a>"), "");
  for (const std::string_view wrong : {"", "<a>", "<a></b>", "<a b=c/>", "<a b=\"c/>", "<a/><a/>",
                                       "<a>&x</a>", "x<a/>", "<a x=\"nan\"/>"}) {
    EXPECT_NE(xml_fault(wrong), "") << wrong;
  }
}

TEST(Svg, escapes_what_would_break_it) {
  EXPECT_EQ(escape_xml("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escape_xml("é 世 \xF0\x9F\x98\x80"), "é 世 \xF0\x9F\x98\x80");
  EXPECT_EQ(escape_xml(std::string("\0\x1b\n\x7f", 4)), "????");
  EXPECT_EQ(escape_xml("\xff\xc0\x80\xed\xa0\x80\xe4\xb8"), "????????");
  EXPECT_EQ(escape_xml("\xef\xbf\xbf"), "???");
}

TEST(Chart, marks_are_round_and_within) {
  EXPECT_EQ(marks_between(0, 100, 5, false), (std::vector<double>{0, 20, 40, 60, 80, 100}));
  EXPECT_EQ(marks_between(0, 1.05, 5, false).back(), 1.0);
  EXPECT_EQ(marks_between(1, 100, 5, true), (std::vector<double>{1, 2, 5, 10, 20, 50, 100}));
  EXPECT_LE(marks_between(1e-9, 1e9, 5, true).size(), 20);
  EXPECT_FALSE(marks_between(3.1, 3.2, 5, true).empty());
  for (const double high : {1e-7, 0.3, 7.0, 1234.0, 1e12}) {
    const auto marks = marks_between(0, high, 6, false);
    EXPECT_GE(marks.size(), 3) << high;
    EXPECT_LE(marks.size(), 9) << high;
  }
}

TEST(Chart, draws_any_figures_into_well_formed_files) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinite = std::numeric_limits<double>::infinity();
  for (const std::vector<Point>& points : {std::vector<Point>{},
                                           {{1, 1}},
                                           {{0, 0}, {0, 0}},
                                           {{-5, 3}, {1e300, 1e-300}},
                                           {{nan, 1}, {1, infinite}},
                                           {{2, 2}, {3, 2}}}) {
    for (const bool logarithmic : {false, true}) {
      Svg svg(400, 300);
      draw(svg,
           {.title = "<&>",
            .x = {"x", logarithmic},
            .y = {"y", logarithmic},
            .curves = {{.name = "c", .points = points, .marks = true}},
            .bounds = {{"b", 2, true}, {"c", 0, false}}},
           {.width = 400, .height = 300});
      EXPECT_EQ(xml_fault(svg.finish()), "");
    }
  }
}

RunLog some_run() {
  RunLog run{.begun = Instant{} + std::chrono::hours(1)};
  for (int i = 0; i < 40; ++i) {
    Record record{
        .index = i, .intended = run.begun + std::chrono::milliseconds(50 * i), .ok = true};
    record.started = record.intended;
    for (int t = 1; t <= 20; ++t) {
      record.reply.pieces.push_back(record.intended + std::chrono::milliseconds(100 + 10 * t + i));
    }
    record.reply.completion_tokens = 20;
    record.ended = record.reply.pieces.back();
    run.ended = std::max(run.ended, record.ended);
    run.records.push_back(std::move(record));
  }
  return run;
}

TEST(Plot, of_a_run_and_of_a_sweep_are_well_formed_and_named) {
  const RunLog run = some_run();
  Report report{.target = "http://x?a&b",
                .model = "m<1>",
                .shape = "s",
                .slo = {.ttft_seconds = 0.15, .itl_seconds = 0.02},
                .points = {summarise(run, {})}};
  const std::string one = plot_run(report, run);
  EXPECT_EQ(xml_fault(one), "");
  for (const std::string_view name : {"m&lt;1&gt;", "TTFT", "E2E", "ITL", "TPOT", "In flight"}) {
    EXPECT_NE(one.find(name), std::string::npos) << name;
  }
  report.points.push_back(report.points.front());
  report.points[0].load = 1;
  report.points[1].load = 2;
  const std::string sweep = plot_sweep(report);
  EXPECT_EQ(xml_fault(sweep), "");
  EXPECT_NE(sweep.find("What throughput costs"), std::string::npos);
  EXPECT_EQ(xml_fault(plot_run(report, RunLog{})), "") << "of a run without requests";
}

}  // namespace
}  // namespace mill::load
