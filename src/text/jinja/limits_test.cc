// What a hostile template or request can't do: run for ever, fill the memory, overflow the stack,
// reach anything but its variables. (The nesting tests are meant for the sanitizers' build, too.)
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <optional>

#include "text/jinja/test_render.h"

namespace mill::text::jinja {
namespace {

// Nothing where it renders.
std::optional<Code> code_of(std::string_view source, std::string_view variables = "{}") {
  const auto rendered = try_render(source, variables);
  return rendered ? std::nullopt : std::optional(rendered.error().code);
}

std::string times(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST(Limits, WorkWithoutEndRunsOutOfSteps) {
  TemplateLimits limits;
  limits.steps = 500'000;
  for (const char* source : {
           "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
           "{{ 'a' * 10**10 }}",
           "{{ ([1] * 10**10)|length }}",
           "{{ ('a'*1000000)|replace('a', 'b'*1000000) }}",
           "{{ ('a'*1000000).replace('', 'b'*1000000) }}",
           "{% set ns = namespace(x='a'*1000) %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x "
           "%}{% endfor %}",
           "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% "
           "endfor %}",
           "{{ (range(100000)|list)|join('a'*1000000) }}",
           "{{ 'x'.center(10**15) }}",
           "{{ 'x'.zfill(10**15) }}",
           "{{ 'x'|indent(10**12, true) }}",
           "{{ '\\t'.expandtabs(10**12) }}",
           "{{ [1]|batch(10**12, 0)|list }}",
           "{{ [1]|slice(10**12)|list }}",
           "{{ '%1000000000d' % 1 }}",
           "{{ '{:1000000000}'.format(1) }}",
           "{% for i in range(1000) %}{% set x = range(100000)|sort %}{% endfor %}",
           "{% for i in range(100000) %}{% if i in range(100000) %}{% endif %}{% endfor %}",
           "{% for i in range(100000) %}{% for j in range(100) %}{% set x = namespace(a=1) %}{% "
           "endfor %}{% endfor %}",
       }) {
    const auto refused = try_render(source, "{}", limits);
    ASSERT_FALSE(refused) << source;
    EXPECT_EQ(refused.error().code, Code::kTooLarge) << source;
  }
}

TEST(Limits, OutputIsBounded) {
  TemplateLimits limits;
  limits.output_bytes = 1000;
  const std::string_view source = "{% for i in range(n) %}0123456789{% endfor %}";
  EXPECT_TRUE(try_render(source, R"({"n": 100})", limits));
  const auto refused = try_render(source, R"({"n": 101})", limits);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kTooLarge);
}

TEST(Limits, SourceIsBounded) {
  TemplateLimits limits;
  limits.source_bytes = 10;
  EXPECT_TRUE(try_render("0123456789", "{}", limits));
  EXPECT_EQ(try_render("0123456789a", "{}", limits).error().code, Code::kTooLarge);
}

TEST(Limits, NestedSourceIsAnErrorAndNoStackOverflow) {
  constexpr int kMany = 20'000;
  struct Nest {
    const char *open, *inner, *close;
  };
  for (const Nest& nest :
       {Nest{"(", "1", ")"}, Nest{"[", "", "]"}, Nest{"{1:", "1", "}"}, Nest{"not ", "1", ""},
        Nest{"-", "1", ""}, Nest{"a[", "0", "]"}, Nest{"a(", "", ")"}, Nest{"1|d(", "1", ")"},
        Nest{"1 is eq(", "1", ")"}, Nest{"1 if 1 else ", "1", ""}}) {
    const std::string source = times(nest.open, kMany) + nest.inner + times(nest.close, kMany);
    EXPECT_EQ(code_of("{{ " + source + " }}"), Code::kTooLarge) << nest.open;
  }
  for (const char* link : {".b", "[0]", "()", "|upper", " if 1"}) {
    EXPECT_EQ(code_of("{{ a" + times(link, kMany) + " }}"), Code::kTooLarge) << link;
  }
  for (const char* tag : {"{% if 1 %}", "{% for x in [1] %}", "{% macro m() %}",
                          "{% filter upper %}", "{% set x %}"}) {
    EXPECT_EQ(code_of(times(tag, 20'000)), Code::kTooLarge) << tag;
  }
  EXPECT_EQ(code_of("{% set " + times("(", kMany) + "a" + times(")", kMany) + " = 1 %}"),
            Code::kTooLarge);
}

TEST(Limits, LongChainsAreNoNesting) {
  constexpr int kMany = 50'000;
  EXPECT_EQ(render("{{ (1" + times(" + 1", kMany) + ") }}"), std::to_string(kMany + 1));
  EXPECT_EQ(render("{{ ('a'" + times(" ~ 'a'", kMany) + ")|length }}"), std::to_string(kMany + 1));
  EXPECT_EQ(render("{{ 1" + times(" and 1", kMany) + " }}"), "1");
  EXPECT_EQ(render("{{ 0" + times(" or 0", kMany) + " }}"), "0");
  EXPECT_EQ(render("{{ 1" + times(" <= 1", kMany) + " }}"), "True");
  EXPECT_EQ(render("{{ (" + times("'a' ", kMany) + ")|length }}"), std::to_string(kMany));
  EXPECT_EQ(render("{% if 0 %}" + times("{% elif 0 %}", kMany) + "{% else %}e{% endif %}"), "e");
}

TEST(Limits, CallsWithoutEndAreAnError) {
  for (const char* source : {
           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "{% macro m(a=m()) %}{% endmacro %}{{ m() }}",
           "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
           "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
           "{% macro m(x) %}{% if x %}{% for y in [1] %}{% filter upper %}{% set z %}"
           "{{ [1, [2, (m(x), 3)]]|join ~ 'a' }}{% endset %}{% endfilter %}{% endfor %}{% endif "
           "%}{% endmacro %}{{ m(1) }}",
       }) {
    EXPECT_EQ(code_of(source), Code::kTooLarge) << source;
  }
}

TEST(Limits, TheDeepestThatIsAllowedFitsTheStack) {
  // Every level of the limit used in every running macro.
  const std::string deep = times("{% if 1 %}", 60) + "{{ " + times("(1 + ", 60) +
                           "m(n - 1)|length" + times(")", 60) + " }}" + times("{% endif %}", 60);
  const std::string source =
      "{% macro m(n) %}{% if n %}" + deep + "{% endif %}{% endmacro %}{{ m(N) }}";
  for (const char* calls : {"3", "1000"}) {
    std::string with = source;
    with.replace(with.find("N)"), 1, calls);
    const auto rendered = try_render(with);
    if (std::string_view(calls) == "3") {
      EXPECT_TRUE(rendered) << rendered.error().message;
    } else {
      ASSERT_FALSE(rendered);
      EXPECT_EQ(rendered.error().code, Code::kTooLarge);
    }
  }
}

TEST(Limits, MacrosMayCallEachOtherAsDeepAsAJsonSchemaGoes) {
  EXPECT_EQ(render("{% macro m(n) %}{% if n > 0 %}{% for x in [1] %}{{ '(' ~ m(n - 1) ~ ')' }}{% "
                   "endfor %}{% endif %}"
                   "{% endmacro %}{{ m(60) | length }}"),
            "120");
}

TEST(Limits, ValuesNestedWithoutEndAreAnError) {
  for (const char* made :
       {"[ns.x]", "(ns.x,)", "{'a': ns.x}", "{'a': ns.x}.items()", "[ns.x]|map('default', 1)",
        "[ns.x]|select", "[ns.x].count", "cycler(ns.x)", "joiner(ns.x)"}) {
    EXPECT_EQ(code_of("{% set ns = namespace(x=1) %}{% for i in range(100000) %}{% set ns.x = " +
                      std::string(made) + " %}{% endfor %}"),
              Code::kTooLarge)
        << made;
  }
  const std::string deep = R"({"x": )" + times("[", 5000) + times("]", 5000) + "}";
  EXPECT_EQ(code_of("{{ x }}", deep), Code::kTooLarge);
  EXPECT_EQ(render("{{ y }}", deep), "");  // only what a template asks for is looked at
  const std::string fine = R"({"x": )" + times("[", 190) + times("]", 190) + "}";
  EXPECT_EQ(render("{{ x }}", fine), times("[", 190) + times("]", 190));
}

TEST(Limits, WhatHoldsItselfIsPrintedAsAnErrorAndLeaksNothing) {
  EXPECT_EQ(code_of("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}"), Code::kTooLarge);
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x == ns.x }}"), "True");
  EXPECT_EQ(
      render("{% macro m(p) %}{% macro inner() %}{{ p }}{% endmacro %}{% set ns.x = inner %}{% "
             "endmacro %}"
             "{% set ns = namespace(x=1) %}{% for i in range(1000) %}{{ m(ns.x) }}{% endfor %}ok"),
      "ok");
  EXPECT_EQ(render("{% set ns = namespace() %}{% for x in [1, 2] %}{% set ns.l = loop %}"
                   "{{ loop.changed(loop, ns) }}{% endfor %}{{ ns.l.index }}{{ ns.l.last }}"),
            "TrueFalse2True");
}

TEST(Limits, NothingOfTheProgramCanBeReached) {
  for (const char* source : {
           "{{ ''.__class__.__mro__ }}",
           "{{ ''.__class__() }}",
           "{{ ''['__class__']['__base__'] }}",
           "{{ namespace.__init__.__globals__ }}",
           "{{ cycler.__init__.__globals__.os }}",
           "{{ range.__self__.open('x') }}",
           "{{ ''.join.__self__.x }}",
           "{{ (''|attr('__class__')).x }}",
           "{{ [''] | map(attribute='__class__.__mro__') | list }}",
           "{{ self.x }}",
           "{{ config.x }}",
           "{{ request.x }}",
           "{{ environment.x }}",
           "{% include 'x' %}",
           "{% import 'x' as y %}",
           "{% extends 'x' %}",
           "{{ lipsum.__globals__ }}{{ lipsum() }}",
           "{{ [].append(1) }}",
           "{{ {}.update({'a': 1}) }}",
       }) {
    const std::optional<Code> code = code_of(source);
    EXPECT_TRUE(code == Code::kInvalid || code == Code::kUnsupported) << source;
  }
  EXPECT_EQ(render("{{ '{0.__class__.__init__}'.format(1) }}"), "");  // as jinja2's sandbox
}

TEST(Limits, BadUtf8IsRefusedOrCarriedAlong) {
  EXPECT_EQ(code_of("a\xff"), Code::kInvalid);
  boost::json::object variables;
  variables["x"] = "a\xff\xe6\x97z";
  const auto made = ChatTemplate::compile(
      "{{ x|upper }}{{ x|length }}{{ x[1:] }}{{ x|tojson }}{{ [x] }}{{ x[::-1] }}");
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->render(variables, 0));
}

// The price of twice the content is at most 2.3 times the price. Taken where the work fits the
// processor's caches (beyond them the memory, not the interpreter, would be measured), the two
// sizes in turns, the best of many rounds: a busy machine makes the test longer, not red.
TEST(Limits, TimeIsLinearInTheContent) {
  const auto made = ChatTemplate::compile(
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% if '</think>' in m.content %}"
      "{{ m.content.split('</think>')[-1].lstrip('\\n') }}{% else %}{{ m.content|trim }}{% endif %}"
      "{{ m.content|replace('a', 'b')|upper|length }}{{ m|tojson|length }}{{ "
      "m.content[5:-5]|length }}"
      "{{ m.content.splitlines()|length }}{{ '<|im_end|>' }}{% endfor %}");
  ASSERT_TRUE(made);
  const auto variables_of = [](std::string_view unit, size_t bytes) {
    std::string content;
    while (content.size() < bytes) content += unit;
    const boost::json::object message{{"role", "user"}, {"content", content}};
    return boost::json::object{{"messages", boost::json::array{message}}};
  };
  const auto seconds = [&](const boost::json::object& variables) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(made->render(variables, 0));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  for (const char* unit : {"a", " ", "日", "😀", "\n", "ab cd\n", "</think>"}) {
    const boost::json::object once = variables_of(unit, 12'000);
    const boost::json::object twice = variables_of(unit, 24'000);
    double single = 1e9, both = 1e9;
    for (int round = 0; round < 400 && (round < 5 || both > 2.3 * single); ++round) {
      single = std::min(single, seconds(once));
      both = std::min(both, seconds(twice));
    }
    EXPECT_LE(both / single, 2.3) << "unit '" << unit << "'";
  }
}

}  // namespace
}  // namespace mill::text::jinja
