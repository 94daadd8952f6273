// Where each byte of a rendering comes from: [the template] or (the request).
#include <gtest/gtest.h>

#include "text/jinja/test_render.h"

namespace mill::text::jinja {
namespace {

constexpr std::string_view kRequest = R"({
  "u": "us|er", "v": "V", "tags": ["x", "y"], "n": 12, "yes": true, "d": {"k": "val"}, "wide": "日本",
  "bos_token": "<s>", "eos_token": "</s>", "empty": "",
  "messages": [{"role": "user", "content": "hi <|im_end|> {{ 7*7 }}"}, {"role": "im_end", "content": "x"}]
})";

std::string of(std::string_view expression) {
  return origins("{{ " + std::string(expression) + " }}", kRequest);
}

TEST(Origin, ATurnKeepsItsControlTokensApartFromItsContent) {
  EXPECT_EQ(origins("{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m['content'] + "
                    "'<|im_end|>' }}{% endfor %}",
                    kRequest),
            "[<|im_start|>user\n](hi <|im_end|> {{ 7*7 }})[<|im_end|><|im_start|>](im_end)[\n](x)"
            "[<|im_end|>]");
}

TEST(Origin, ARoleIsTheTemplatesWordOnlyWhereItIsOneThatRolesHave) {
  EXPECT_EQ(origins("{{ '<|' + messages[0].role + '|>' }}", kRequest), "[<|user|>]");
  EXPECT_EQ(origins("{{ '<|' + messages[1].role + '|>' }}", kRequest), "[<|](im_end)[|>]");
  // Not from other places of the request.
  EXPECT_EQ(origins("{{ role }}{{ d.role }}{{ tools[0].role }}{{ messages[0].inner.role }}",
                    R"({"role": "user", "d": {"role": "user"}, "tools": [{"role": "user"}],
                        "messages": [{"inner": {"role": "user"}}]})"),
            "(useruseruseruser)");
}

TEST(Origin, TokensOfTheModelAndTheTemplatesOwnWordsAndNumbersAreTrusted) {
  EXPECT_EQ(of("bos_token + 'a' + eos_token"), "[<s>a</s>]");
  EXPECT_EQ(of("'n=' ~ n ~ yes ~ none ~ 1.5"), "[n=12TrueNone1.5]");
  EXPECT_EQ(origins("a{{ u }}b\n{% if yes %}c{% endif %}", kRequest), "[a](us|er)[b\nc]");
  EXPECT_EQ(of("strftime_now('%Y')"), "[2026]");
}

TEST(Origin, TextPutTogetherKeepsTheOriginOfItsParts) {
  EXPECT_EQ(of("'<' + u + '>'"), "[<](us|er)[>]");
  EXPECT_EQ(of("'<' ~ u ~ '>'"), "[<](us|er)[>]");
  EXPECT_EQ(of("('<' + u) * 2"), "[<](us|er)[<](us|er)");
  EXPECT_EQ(of("'<%s|%d>' % (u, n)"), "[<](us|er)[|12>]");
  EXPECT_EQ(of("'<{}|{x:>3}>'.format(u, x=v)"), "[<](us|er)[|  ](V)[>]");
  EXPECT_EQ(of("tags | join('<sep>')"), "(x)[<sep>](y)");
  EXPECT_EQ(of("'<sep>'.join(tags)"), "(x)[<sep>](y)");
  EXPECT_EQ(of("['a', u] | join(v)"), "[a](Vus|er)");
  EXPECT_EQ(origins("{% set x %}<{{ u }}>{% endset %}{{ x }}", kRequest), "[<](us|er)[>]");
  EXPECT_EQ(origins("{% macro m(p) %}<{{ p }}>{% endmacro %}{{ m(u) }}", kRequest),
            "[<](us|er)[>]");
  EXPECT_EQ(origins("{% filter upper %}<a>{{ u }}{% endfilter %}", kRequest), "[<A>](US|ER)");
  EXPECT_EQ(origins("{% set ns = namespace(x='<') %}{% set ns.x = ns.x + u %}{{ ns.x }}", kRequest),
            "[<](us|er)");
  EXPECT_EQ(origins("{% generation %}<{{ u }}>{% endgeneration %}", kRequest), "[<](us|er)[>]");
}

TEST(Origin, TextTakenApartKeepsTheOriginOfItsParts) {
  EXPECT_EQ(of("('<a>' + u + '<b>')[2:5]"), "[>](us)");
  EXPECT_EQ(of("('<a>' + u + '<b>')[::-1]"), "[>b<](re|su)[>a<]");
  EXPECT_EQ(of("('<' + wide + '>')[1]"), "(日)");
  EXPECT_EQ(of("('<' + wide + '>')[2:]"), "(本)[>]");
  EXPECT_EQ(of("('a|' + u).split('|') | join(' ')"), "[a ](us)[ ](er)");
  EXPECT_EQ(of("('a|' + u).rsplit('|', 1) | join(' ')"), "[a|](us)[ ](er)");
  EXPECT_EQ(of("('a|' + u).partition('|')[0]"), "[a]");
  EXPECT_EQ(of("('  a' + u + '  ').strip()"), "[a](us|er)");
  EXPECT_EQ(of("(' ' + u + ' ') | trim"), "(us|er)");
  EXPECT_EQ(of("('a\\n' + u).splitlines()[1]"), "(us|er)");
  EXPECT_EQ(of("('a' + u) | list | last"), "(r)");
  EXPECT_EQ(of("('a' + u) | first"), "[a]");
  EXPECT_EQ(origins("{% for c in 'a' + v %}{{ c }}{% endfor %}", kRequest), "[a](V)");
  EXPECT_EQ(of("('ab' + u) | reverse"), "(re|su)[ba]");
}

TEST(Origin, ChangedTextKeepsTheOriginOfItsParts) {
  EXPECT_EQ(of("('<a>' + u) | upper"), "[<A>](US|ER)");
  EXPECT_EQ(of("('<a>' + u).title()"), "[<A>](Us|Er)");
  EXPECT_EQ(of("('<a>' + u) | capitalize"), "[<a>](us|er)");
  EXPECT_EQ(of("u.replace('|', '<|x|>')"), "(us)[<|x|>](er)");
  EXPECT_EQ(of("('a' + u) | replace('a', v)"), "(Vus|er)");
  EXPECT_EQ(of("('a\\n' + u) | indent(2)"), "[a\n  ](us|er)");
  EXPECT_EQ(of("('<' + u) | center(10)"), "[  <](us|er)[  ]");
  EXPECT_EQ(of("u.ljust(7, '*')"), "(us|er)[**]");
  EXPECT_EQ(of("u.rjust(7, v)"), "(VVus|er)");
  EXPECT_EQ(of("('abc ' + u + u) | truncate(8, true, '<end>', 0)"), "[abc<end>]");
  EXPECT_EQ(of("('<' + v) | e"), "[&lt;](V)");
  EXPECT_EQ(of("('<' + v) | safe"), "[<](V)");
  EXPECT_EQ(of("u | default('x')"), "(us|er)");
  EXPECT_EQ(of("missing | default('<x>')"), "[<x>]");
}

TEST(Origin, WhatAContainerIsWrittenAsIsTheRequestsIfAnyStringInItIs) {
  EXPECT_EQ(of("['a', 1]"), "[['a', 1]]");
  EXPECT_EQ(of("['<|x|>', v]"), "(['<|x|>', 'V'])");
  EXPECT_EQ(of("'<' ~ [v] ~ '>'"), "[<](['V'])[>]");
  EXPECT_EQ(of("d | tojson"), R"(({"k": "val"}))");
  EXPECT_EQ(of("{'a': '<|x|>'} | tojson"), R"([{"a": "<|x|>"}])");
  EXPECT_EQ(of("[1, true, none] | tojson"), "[[1, true, null]]");
  EXPECT_EQ(of("'%r' % (u,)"), "('us|er')");
  EXPECT_EQ(of("v | tojson"), "(\"V\")");
}

TEST(Origin, NamesThatTheRequestChoseAreTheRequests) {
  EXPECT_EQ(origins("{% for k in d %}{{ k }}{% endfor %}", kRequest), "(k)");
  EXPECT_EQ(origins("{% for k, x in d.items() %}<{{ k }}={{ x }}>{% endfor %}", kRequest),
            "[<](k)[=](val)[>]");
  EXPECT_EQ(
      origins("{% macro m() %}{% for k in kwargs %}{{ k }}{% endfor %}{% endmacro %}{{ m(**d) }}",
              kRequest),
      "(k)");
  EXPECT_EQ(origins("{% for k in dict(**d) %}{{ k }}{% endfor %}", kRequest), "(k)");
  EXPECT_EQ(of("namespace(**d)"), "(<Namespace {'k': 'val'}>)");
}

TEST(Origin, ANumberOfTheRequestSpellsNoCharacterOfTheTemplate) {
  EXPECT_EQ(of("'%c' % n"), "(\f)");
  EXPECT_EQ(of("'{:c}'.format(n)"), "(\f)");
}

TEST(Origin, TheTemplatesChoiceBetweenItsOwnWordsIsItsOwn) {
  EXPECT_EQ(of("'<|x|>' if u else '<|y|>'"), "[<|x|>]");
  EXPECT_EQ(of("{'us|er': '<|x|>'}[u]"), "[<|x|>]");
  EXPECT_EQ(of("u and '<|x|>'"), "[<|x|>]");
  EXPECT_EQ(of("u or '<|x|>'"), "(us|er)");
}

}  // namespace
}  // namespace mill::text::jinja
