#!/usr/bin/env python3
"""Writes cases.jsonl: small templates and what the reference makes of them.

    pip install jinja2==3.1.6 transformers && python testdata/jinja/make.py

The reference is jinja2 in the environment that Hugging Face transformers makes for chat templates. Each line has
the template, the case's own variables (beside those of variables.json) where it has some, and output or error (any
exception: the text of it is for people). The templates come from this file and, the last few hundred, from the
grammar of tests/oracle/jinja_fuzz.py.
"""
import copy
import json
import random
import sys
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests" / "oracle"))
from jinja_fuzz import BY_DESIGN, Grammar, VARIABLES, representable  # noqa: E402

EXPRESSIONS = r"""
1 + 2 * 3 ** 2
(1 + 2) * 3
2 ** 3 ** 2
-2 ** 2
2 ** -1
7 // 2, -7 // 2, 7 // -2, -7 // -2
7 % 3, -7 % 3, 7 % -3, -7 % -3
7.5 // 2, -7.5 // 2, -7.5 % 2, 7.5 % -2, 5.0 % 5, -5.0 % 5
1 / 2, 4 / 2, 1 / 3, 2 / 3
1 / 0
1 // 0
1 % 0
1.0 % 0
1 if false
1 if false else 2
(1 if false) is undefined
1 if 2 if 0 else 3 else 4
not true, not 0, not '', not []
1 and 2, 0 and 2, 1 or 2, 0 or '', none or 'x'
1 < 2 < 3, 3 > 2 > 2, 1 == 1.0 == true
'a' < 'b', 'B' < 'a', 'é' > 'z', [1, 2] < [1, 3], (1,) < (1, 0)
1 < 'a'
none < none
[none] < [none]
'x' in 'xyz', 'q' not in 'xyz', '' in '', 1 in [1.0], 'a' in d, 1 in d.values()
1 in 'a'
none in none
'a' ~ 1 ~ none ~ 2.0 ~ true ~ [1] ~ missing
'a' + 1
1 + 'a'
'a' * 3, 3 * 'ab', 'a' * -1, [1] * 2, (1,) * 2
[1] + [2], (1,) + (2,)
[1] + (2,)
1e3, 1e16, 1e15, 123456789012345678.0, 1e-4, 1e-5, 0.1 + 0.2, 1.0, -0.0, 1e22, 1.5e300 * 1e10
1e400, -1e400, 1e400 - 1e400
9007199254740993, 9223372036854775807, 18446744073709551615, -9223372036854775807 - 1
9223372036854775807 + 1
0x1F, 0b101, 0o17, 1_000, 0, 00
1_000.5, 1e1_0
true, True, false, False, none, None
true + true, true * 2.5, -true
'\x41\u00e9\U0001F600\n\t\\\'\"\a\b\f\v\r\101\0', 'a\
b', '\q', '\é'
'a' 'b' "c"
'it\'s', ["it's", 'say "x"', 'both \' and "', 'tab\t', '\x00\x1f\x7f\xa0\u200b\u3000é日😀']
'héllo'|length, '日本語'[1], '日本語'[-1], '日本語'[::-1], '😀x'[1:]
'abcdef'[1:4], 'abcdef'[:-1], 'abcdef'[::2], 'abcdef'[::-2], 'abcdef'[10:], 'abcdef'[-100:2], 'abcdef'[4:1:-1], 'abc'[none:none:none]
[1, 2, 3][1:], [1, 2, 3][::-1], (1, 2, 3)[:2], range(10)[2:8:3], range(5)[::-1]
'abc'[::0]
d[1:2]
nil[1:]
'abc'[1.5], 'abc'[9], [1][true], [1]['x'], d[1], d['a'], d.a, d[none], d[[1]]
missing.x
missing[0]
missing.x.y is defined
none.x, none['x'], 1.5.x, i.x
d.missing.x
d.items, d['keys']
l.append, l.append is defined, d.pop is undefined, s.__class__, s['__class__'], d.__len__
l.append(1)
d.update({})
d.pop('a')
d.setdefault('a', 1)
l.sort()
s.__class__()
s.__class__.__mro__
''.__class__.__mro__[1].__subclasses__()
cycler.__init__.__globals__
namespace.__init__
range.__self__
(s.upper).__self__
d._x, {'_x': 1}._x, {'_x': 1}['_x'], {'__x': 1}.__x, {'__x': 1}['__x']
deep.items, deep['items'], deep.x.y.0, deep.x.y.1.z, deep['x']['y'][1]['z']
[1, 2.0, 'a', none, true, [1], (1,), (), {}, {'a': 1}]
{'a': 1, 2: 'b', none: 3, true: 4, 1.0: 5, (1, 2): 6}
{'a': 1, 'b': 2, 'a': 3}
{[1]: 2}
{1: 'a', 1.0: 'b', true: 'c'}
[missing, d.nope], (missing,), {'a': missing}
range(3), range(1, 3), range(5, 0, -2), range(0)
range(3)|list, range(5, 0, -2)|list, range(3, 3)|list
range(0)|list, range(-3)|list, range(100000)|length
range(100001)
range(1, 2, 0)
range(1.5)
range()
dict(), dict(a=1), dict({'x': 1}, b=2), dict([('k', 'v')]), dict(d)
dict(1)
namespace(a=1).a, namespace({'b': 2}).b, namespace(a=1).missing is undefined, namespace(a=1)['a'], namespace(a=1)
namespace(_a=1)
joiner()(), cycler(1, 2).current
cycler()
raise_exception('boom')
raise_exception()
i()
'x'()
(1, 2)(3)
s|nosuchfilter
s is nosuchtest
'x' if true else (s|nosuchfilter)
'x' if true else (s is nosuchtest)
(s|nosuchfilter) if true else 'x'
"""

METHODS = r"""
s.upper(), t.lower(), u.upper(), u.lower(), 'ß'.upper(), 'ŉ'.upper(), 'ﬁx'.title(), 'ǆ'.capitalize(), 'İ'.lower(), 'ΑΣ ΣΑΣ'.lower(), 'Σ'.lower()
'hello wORLD'.title(), "they're bill's".title(), 'hello wORLD'.capitalize(), 'Hello'.swapcase(), 'x1a-b_c'.title()
'  x '.strip(), '  x '.lstrip(), '  x '.rstrip(), '\u3000x\u00a0\x1c'.strip(), 'xxhixx'.strip('x'), 'abcba'.strip('ab'), 'éaé'.strip('é'), 'x'.strip(none), 'x'.strip('')
'x'.strip(1)
'x'.strip(chars='x')
'a b  c'.split(), 'a,b,,c'.split(','), 'a,b,c'.split(',', 1), ''.split(), ''.split(','), ' a b '.split(none, 1), 'a b c'.split(maxsplit=1), 'aXXbXX'.split('XX'), 'a b c'.split(' ', 0)
'a b  c'.rsplit(), 'a,b,,c'.rsplit(','), 'a,b,c'.rsplit(',', 1), ' a b '.rsplit(none, 1), 'aaa'.rsplit('aa'), 'a b c'.rsplit(sep=' ', maxsplit=1)
'a'.split('')
'a'.split(1)
'a\nb\r\nc\rd\x0be\x0cf\x1cg\u2028h\x85i'.splitlines(), 'a\n'.splitlines(), ''.splitlines(), '\n\n'.splitlines(), 'a\nb\n'.splitlines(true)
'a-b-c'.partition('-'), 'a-b-c'.rpartition('-'), 'abc'.partition('-'), 'abc'.rpartition('-')
'abc'.partition('')
'hello'.startswith('he'), 'hello'.startswith(('x', 'h')), 'hello'.startswith('l', 2), 'hello'.startswith(''), 'hello'.startswith('', 6), 'hello'.endswith('lo'), 'hello'.endswith('l', 0, 4), 'hello'.endswith(('o',)), 'hello'.startswith('h', -10)
'hello'.startswith(1)
'hello'.startswith(['h'])
'hello'.find('l'), 'hello'.find('z'), 'hello'.find('l', 3), 'hello'.rfind('l'), 'hello'.find('l', -2), 'hello'.find('', 5), 'hello'.find('', 6), 'héllo'.find('l'), 'héllo'.rfind('l'), 'hello'.find('lo', 0, 4)
'hello'.index('l'), 'hello'.rindex('l')
'hello'.index('z')
'hello'.count('l'), 'hello'.count(''), 'aaaa'.count('aa'), 'héé'.count('é', 2), 'hello'.count('l', 3, 4)
'hello'.replace('l', 'L'), 'hello'.replace('l', 'L', 1), 'abc'.replace('', '-'), 'abc'.replace('', '-', 2), 'aaa'.replace('aa', 'b'), 'x'.replace('y', 'z'), 'hello'.replace('l', '', -1)
'x'.replace('x')
'x'.replace(1, 2)
', '.join(['a', 'b']), ''.join('abc'), '-'.join(d), '-'.join(()), '-'.join(['x'])
','.join([1])
','.join(1)
'{} {}'.format(1, 'a'), '{0}{1}{0}'.format('a', 'b'), '{a}'.format(a=1), '{{}}'.format(), '{:>5}|{:<5}|{:^5}'.format(1, 'a', 'b'), '{:05d}'.format(42), '{:+.2f}'.format(3.14159), '{:,}'.format(1234567), '{:x} {:X} {:#x} {:b} {:o}'.format(255, 255, 255, 5, 8), '{:e}'.format(12345.678), '{:%}'.format(0.25), '{:g}'.format(0.0001), '{:.3}'.format('abcdef'), '{:.3}'.format(3.14159), '{!r} {!s}'.format('a', 'b'), '{:*^9}'.format('x'), '{:{}}'.format('x', 4), '{0.a} {0[b]}'.format({'a': 1, 'b': 2}), '{[0]}'.format([5]), '{:_}'.format(1234567), '{:010,}'.format(1234567), '{:.1f}'.format(2.25), '{:d}'.format(true), '{}'.format(true), '{:5}'.format(true), '{}'.format(none)
'{}'.format()
'{a}'.format()
'{:d}'.format('x')
'{:d}'.format(1.5)
'{'.format()
'}'.format()
'{0}{}'.format(1, 2)
'{:>5}'.format(none)
'{0.__class__}'.format(1)
'{x}'.format_map({'x': 1})
'%s %d %5.1f %r %x %o %e %g %c %%' % ('a', 5, 1.25, 'b', 255, 8, 1234.5, 0.5, 'z')
'%s' % 'x', '%s' % 1, '%s' % [1], '%s' % none, '%s %s' % (1, 2), '%(a)s %(b)03d' % {'a': 'x', 'b': 7}, '%5s|%-5s|%05d|%+d|% d' % ('a', 'b', 42, 1, 2), '%.2s' % 'abc', '%*d' % (5, 1), '%#x %#o' % (255, 8), '%i' % 3.9, '%s' % missing, 'x' % [1], '%%' % ()
'%s %s' % 'x'
'%d' % 'x'
'x' % 1
'%q' % 1
'%s' % (1, 2)
'removeprefix'.removeprefix('remove'), 'x.py'.removesuffix('.py'), 'x'.removesuffix('')
'x'.ljust(3, '.') ~ '|', 'x'.rjust(3) ~ '|', 'x'.center(4, '*'), 'xy'.center(5, '*'), '7'.zfill(3), '-7'.zfill(4), '+7'.zfill(4), 'a\tb'.expandtabs(4), 'a\tb\nc\td'.expandtabs()
'x'.ljust(3, 'ab')
'12'.isdigit(), '²'.isdigit(), '²'.isdecimal(), '½'.isnumeric(), 'é'.isalpha(), 'a1'.isalnum(), ' \t'.isspace(), ''.isspace(), 'AB1'.isupper(), 'ab1'.islower(), '1'.isupper(), 'Ab Cd'.istitle(), 'AB'.istitle(), 'a\n'.isprintable(), ''.isprintable(), 'é'.isascii(), 'a_1'.isidentifier(), '1a'.isidentifier()
d.get('a'), d.get('q'), d.get('q', 5), d.keys()|list, d.values()|list, d.items()|list, d.items(), d.keys(), d.values(), d.copy()
d.get()
d.get([1])
[1, 2, 1].count(1), [1, 2, 1].index(2), (1, 2).count(1), (1, 2).index(2), [1].copy(), range(5).count(3), range(5).index(3)
[1].index(2)
"""

FILTERS = r"""
'hello world'|upper, 'Hello'|lower, 'hello wORLD-foo (bar'|title, 'hELLO'|capitalize, none|upper, 1|lower, missing|upper
'  x '|trim, 'xxhix'|trim('x'), none|trim, 1|trim
[1, 2]|string, none|string, 1.0|string
'abc'|length, [1, 2]|count, d|length, missing|length, range(3)|length, d.items()|length
none|length
1|length
d|items|length
'abc'|first, [1, 2]|first, []|first is undefined, d|first, 'abc'|last, [1, 2]|last, range(3)|last, d|last
1|first
[1, 2]|select|last
'abc'|list, d|list, missing|list, d.items()|list
1|list
none|list
'abc'|reverse, [1, 2]|reverse|list, d|reverse|list, ('a', 'b')|reverse|list, 'aé日'|reverse
1|reverse
[1, 2]|join, [1, 2]|join(', '), 'abc'|join('-'), people|join(', ', attribute='name'), [none, true, 1.5]|join('|'), missing|join, [1, 2]|join(d=';')
1|join
[3, 1, 2]|sort, ['b', 'A', 'c']|sort, ['b', 'A', 'c']|sort(case_sensitive=true), [3, 1]|sort(reverse=true), people|sort(attribute='age')|map(attribute='name')|list, people|sort(attribute='age,name', reverse=true)|map(attribute='name')|list, 'bca'|sort, d|sort
[1, 'a']|sort
[none, none]|sort
[1, none]|sort
['b', 'A', 'a', 'B']|unique|list, [1, 1.0, true, 2]|unique|list, people|unique(attribute='age')|map(attribute='name')|list, ['b', 'B']|unique(true)|list
[[1]]|unique|list
[3, 1, 2]|min, [3, 1, 2]|max, ['b', 'A']|min, ['b', 'A']|min(true), people|max(attribute='age'), []|min is undefined
[1, 'a']|max
[1, 2.5]|sum, people|sum(attribute='age'), [1]|sum(start=10), []|sum, [[1], [2]]|sum(start=[])
['a']|sum
'42'|int, '4.7'|int, 'x'|int, 'x'|int(5), '0x1F'|int(base=16), '1f'|int(base=16), '101'|int(base=2), none|int, 4.9|int, -4.9|int, true|int, ' 42 '|int, '1_000'|int, ''|int, [1]|int, '1e3'|int, '-7'|int, '+7'|int, '0b11'|int(0, 0)
missing|int
1e400|int
'4.5'|float, 'x'|float, 'x'|float(1.5), 3|float, none|float, 'inf'|float, '-1e3'|float, ' 2.5 '|float, '1_0.5'|float
-3|abs, -2.5|abs, true|abs
'x'|abs
2.5|round, 3.5|round, 2.567|round(2), 2.675|round(2), 2.51|round(1, 'floor'), 2.41|round(1, 'ceil'), 7|round, 1234|round(-2), 1250|round(-2), 2.5|round(0, 'floor'), -2.5|round, 1e20|round(2), 5.015|round(2)
1|round(1, 'up')
'x'|round
missing|default('D'), ''|default('D'), ''|default('D', true), none|default('D'), none|default('D', boolean=true), missing|d, 0|d(5, true), d.q|default('x')
missing.x|default('D')
[1, 'a', none, true, 1.5, {'k': 'é<>&"\''}]|tojson
{'b': 1, 'a': [1, {}], 'c': []}|tojson(indent=2)
{'b': 1, 'a': 2}|tojson(sort_keys=true), {'a': 'é😀\x7f'}|tojson(ensure_ascii=true), [1, 2]|tojson(separators=(',', ':')), {'a': [1]}|tojson(indent='\t'), [1]|tojson(indent=0), {'a': 1}|tojson(indent=none), [1, 2]|tojson(indent=1, separators=(';', '='))
'a\n\t\r\b\f\\"\x00\x1f\x7f\u2028é'|tojson, 1e400|tojson, 1.0|tojson, 1e16|tojson, true|tojson, none|tojson, (1, 2)|tojson, {1: 1, none: 2, true: 3, 1.5: 4}|tojson, 18446744073709551615|tojson
missing|tojson
[missing]|tojson
d.items()|tojson
range(3)|tojson
namespace(a=1)|tojson
{(1, 2): 3}|tojson
(x for x in y)
{'a': 1, 1: 2}|tojson(sort_keys=true)
[1]|select|tojson
d|items|list, missing|items|list
[1]|items|list
{'b': 1, 'A': 2, 'c': 0}|dictsort, {'b': 1, 'A': 2}|dictsort(true), {'b': 1, 'A': 2}|dictsort(by='value'), {'b': 1, 'A': 2}|dictsort(reverse=true)
{1: 1, 'a': 2}|dictsort
[1]|dictsort
missing|dictsort
people|groupby('age')|length, (people|groupby('age'))[0].grouper, (people|groupby('age')|first).list|length, ['b', 'A', 'a']|groupby(attribute=none), people|groupby('city', default='NY')|map(attribute=0)|list
[1, 2, 3]|batch(2)|list, [1, 2, 3]|batch(2, 'x')|list, []|batch(2)|list, [1, 2, 3]|batch(0)|list
[1, 2, 3, 4]|slice(3)|list, [1, 2, 3, 4]|slice(3, 'x')|list, [1]|slice(3)|list
[1]|slice(0)|list
['a', 'b']|map('upper')|list, people|map(attribute='name')|list, people|map(attribute='tags', default='-')|list, people|map(attribute='tags.0', default='-')|list, [[1, 2]]|map('join', '+')|list, [1.6]|map('int')|list, none|map('upper')|list, ['x']|map('replace', 'x', 'y')|list
['a']|map('nosuch')|list
['a']|map('nosuch') is iterable
[1]|map|list
[1]|map(foo=1)|list
[0, 1, 2, '', 'a']|select|list, [1, 2, 3]|select('odd')|list, [1, 2, 3]|select('gt', 1)|list, [1, 2, 3]|select('divisibleby', 2)|list, [1, none]|reject('none')|list, ['a', 1]|select('string')|list, [1, 2]|select('==', 2)|list, none|select|list
people|selectattr('tags')|map(attribute='name')|list, people|selectattr('age', 'equalto', 30)|list|length, people|rejectattr('tags')|map(attribute='name')|list, people|selectattr('tags', 'defined')|list|length, people|selectattr('age', 'in', [25])|first
people|selectattr|list
[1]|select('nosuch')|list
[1, 'a']|map('abs')|first
[1, 'a']|map('abs')|list
'hello'|replace('l', 'L'), 'hello'|replace('l', 'L', 1), 123|replace(2, 'x'), none|replace('N', 'n'), 'a'|replace('', '-')
'a\nb\n\nc'|indent, 'a\nb'|indent(2, true), 'a\n\nb'|indent(2, blank=true), 'a\nb'|indent('> '), ''|indent, 'a\n'|indent, 'a\r\nb'|indent(1), ''|indent(2, true)
1|indent
'foo bar baz qux'|truncate(9), 'foo bar baz qux'|truncate(9, true), 'foo bar baz qux'|truncate(11), 'foo bar baz qux'|truncate(11, false, '...', 0), 'foobarbazqux'|truncate(6), 'x'|truncate
'x'|truncate(1)
'abc'|center(7) ~ '|', 'ab'|center(5) ~ '|'
'hello big world, x_1 é'|wordcount, ''|wordcount, none|wordcount
'a b/ü?&='|urlencode, {'a': 1, 'b c': 'd&e'}|urlencode, [('x', 'y z')]|urlencode, 1|urlencode
'<a href="x">\'&'|escape, '<'|e|e, '<'|e|forceescape, '<'|safe ~ '<', '<'|safe + '<', '<' + ('<'|safe), '<'|safe, ['<'|safe], ('<'|safe)|upper, '%s<'|safe % '<', ('{}<'|safe).format('<'), ('<'|safe).join(['<', '>']), ('<a>'|safe).replace('a', '<'), ('<'|safe) * 2, ('<b'|safe)[0], ('<b'|safe)|string + '<', ('a<'|safe).split('<') + ['<'], ('<'|safe)|trim + '<', ('<'|safe)|replace('<', '>') + '<', ['<'|safe, '<']|join, ('<'|safe) == '<'
'%s-%s'|format('a', 1), '%(x)s'|format(x=2), '%d'|format(3)
'%s'|format(1, x=2)
{'a': 1}|attr('a') is undefined, d|attr('items') is defined, 'x'|attr('upper')
d|attr('pop')
missing|attr('x')
"""

TESTS = r"""
1 is defined, missing is defined, missing is undefined, d.q is undefined, none is defined
none is none, 0 is none, missing is none
'a' is string, 1 is string, ('a'|safe) is string
1 is number, 1.5 is number, true is number, '1' is number
1 is integer, true is integer, 1.0 is integer, 1.0 is float, 1 is float
true is boolean, 1 is boolean, true is true, 1 is true, false is false, 0 is false
d is mapping, [] is mapping, missing is mapping, namespace() is mapping
[] is iterable, 'a' is iterable, 1 is iterable, none is iterable, missing is iterable, d is iterable, range(2) is iterable, namespace() is iterable
[] is sequence, 'a' is sequence, d is sequence, 1 is sequence, missing is sequence, d.keys() is sequence, range(1) is sequence, ([1]|select) is sequence
1 is callable, range is callable, s.upper is callable, missing is callable, namespace is callable, joiner() is callable
1 is odd, 2 is even, -1 is odd, 1.0 is odd, 2.5 is even, true is odd
'a' is odd
9 is divisibleby 3, 9 is divisibleby(2)
1 is divisibleby 0
1 is eq 1, 1 is equalto 1.0, 1 is ne 2, 1 is lt 2, 2 is gt 1, 2 is ge 2, 2 is le 1, 'a' is lessthan 'b', 2 is greaterthan 1, 1 is sameas 1, true is sameas true, none is sameas none, 1 is sameas true
1 is in [1, 2], 'a' is in 'abc', 1 is not in [2], 'k' is in {'k': 1}
'abc' is lower, 'ABC' is upper, 'aB' is lower, 1 is upper, none is lower
'upper' is filter, 'nosuch' is filter, 'odd' is test, 'nosuch' is test
('<'|e) is escaped, '<' is escaped
1 is not none, not 1 is none, 1 is defined and 2 is defined, missing is defined or 1
1 is odd is even
'a' if missing is defined else 'b'
1 is eq(1) == true
i is number and i > 5 and i is odd
"""

TEMPLATES = [
    # White space.
    "a\n{% if true %}\nb\n{% endif %}\nc\n", "a\n  {% if true %}\n  b\n  {% endif %}\nc", "a {% if true %} b {% endif %} c", "  {%- if true -%}  x  {%- endif -%}  y",
    "a\n  {%+ if true %}x{% endif %}", "{% if true +%}\nx{% endif %}", "a\n{{ 1 }}\nb", "a\n  {{ 1 }}\nb", "a \n {{- 1 -}} \n b", "x\n\n{%- if true %}\n\ny{% endif %}",
    "a\n{# c #}\nb", "a\n  {# c #}  \nb", "a {#- c -#} b", "a\n{#+ c +#}\nb", "{# a {{ b }} {% c %} #}x", "{# unclosed", "a\n\n", "a\n", "\n", "", "\r\na\r\nb\rc\r\n", "a\r\n{% if true %}\r\nb{% endif %}",
    "{% raw %}{{ x }}{% endraw %}", "{%- raw -%}  {% if %} {{ }}  {%- endraw -%}  x", "{% raw %}\n{{ x }}\n{% endraw %}\ny", "{% raw %}{% endraw %}", "{% raw %}", " {% raw %} a {% endraw %} b",
    "{{ '{{' }}{{ '}}' }}{{ \"%}\" }}", "{{ {'a': {'b': 1}}['a']['b'] }}", "{ { x } }", "{", "{{ 1 }}{", "%}", "}}", "#}", "{{ 1 }}}}", "日本{{ '語' }}",
    "\t{% if true %}x{% endif %}", "\u3000{% if true %}x{% endif %}", "x\u00a0{%- if true %}y{% endif %}", "a{% if true %}\n\nb{% endif %}", "{{ 1 }}\n{% set x = 1 %}\n{{ x }}\n",
    "  {% set x = 1 %}  \n  {{ x }}", "{%if true%}a{%endif%}", "{%-if true-%} a {%-endif-%}", "{% if true -%}\n  a\n{%- else -%}\n b\n{%- endif %}",
    # Mistakes in the source.
    "{{ }}", "{{ 1 + }}", "{{ (1 }}", "{{ [1 }}", "{{ 1) }}", "{{ [1) }}", "{{ 'a }}", "{{ a b }}", "{{ 1 2 }}", "{{ a..b }}", "{{ a. }}", "{{ |upper }}", "{{ a| }}", "{{ a is }}", "{{ @ }}", "{{ a ? b }}", "{{ $ }}", "{{ 1; 2 }}", "{{ a!b }}",
    "{% %}", "{% if %}{% endif %}", "{% if true %}", "{% endif %}", "{% nosuch %}", "{% if true %}{% endfor %}", "{% for x in %}{% endfor %}", "{% for in l %}{% endfor %}", "{% for x l %}{% endfor %}", "{% set %}", "{% set x = %}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{% set x.y.z = 2 %}", "{% set x[0] = 2 %}", "{% for true in l %}{% endfor %}",
    "{% macro %}{% endmacro %}", "{% macro m %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m(a, a) %}{% endmacro %}", "{% break %}", "{% continue %}", "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", "{% call 1 %}{% endcall %}", "{{ f(a=1, 2) }}", "{{ f(**d, *l) }}", "{{ f(a=1, a=2) }}", "{{ {1} }}", "{{ {1: } }}", "{{ x = 1 }}",
    "{% else %}", "{% for x in l %}{% elif true %}{% endfor %}", "{% if true %}{% else %}{% else %}{% endif %}", "{{ x if }}", "{{ not }}", "{{ 'a' 'b' + }}", "{{ -}}", "{{- -1 -}}", "{{ --1 }}", "{{ - - 1 }}", "{{ 1 -}}", "{% if true: %}x{% endif %}", "{{ a[1:2, 3] }}",
    # If.
    "{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}", "{% if 0 %}a{% elif 0 %}b{% elif 0 %}c{% endif %}", "{% if missing %}a{% else %}b{% endif %}", "{% if 1, 2 %}a{% endif %}", "{% if l and d %}y{% endif %}", "{% if not missing %}y{% endif %}",
    # For.
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in [] %}a{% else %}b{% endfor %}", "{% for x in missing %}a{% else %}b{% endfor %}", "{% for x in none %}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% for c in 'aé日' %}{{ c }}|{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k, v in d|items %}{{ loop.last }}{% endfor %}",
    "{% for a, b in [[1, 2], 'xy'] %}{{ a }}{{ b }}{% endfor %}", "{% for a, b in [[1]] %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for a, in [(1,)] %}{{ a }}{% endfor %}", "{% for x in 1, 2 %}{{ x }}{% endfor %}", "{% for (a, b) in [(1, 2)] %}{{ a }}{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in l %}{{ loop.cycle() }}{% endfor %}", "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}", "{% for x in l %}{{ loop }}{% endfor %}", "{% for x in l %}{{ loop.nope }}{{ loop._x }}{% endfor %}", "{% for x in l %}{{ loop|length }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{{ loop.length }}{% else %}none{% endfor %}", "{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}", "{% for x in l if loop %}{% endfor %}", "{% for x in l if x is odd %}{{ loop.last }}{{ loop.nextitem }}{% endfor %}", "{% for x in range(5) if x % 2 %}{{ loop.length }}{{ x }}{{ loop.revindex }}{% endfor %}",
    "{% set ns = namespace(on=true) %}{% for x in range(4) if ns.on %}{{ x }}{% if x == 1 %}{% set ns.on = false %}{% endif %}{% endfor %}", "{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}", "{% for x in l %}{% set o = loop %}{% for y in [1] %}{{ o.index }}{{ loop.index }}{% endfor %}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% continue %}{% else %}e{% endfor %}", "{% for x in l %}{% break %}{% else %}e{% endfor %}", "{% for x in l %}{{ x }}{% break %}{% else %}e{% endfor %}", "{% for x in [1,2] %}{% for y in [1,2] %}{% break %}{% endfor %}{{ x }}{% endfor %}", "{% for x in l %}{% set y %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% endset %}{{ y }}{% endfor %}", "{% for x in l %}{% filter upper %}a{% continue %}{% endfilter %}b{% endfor %}",
    "{% for x in [1, [2, [3]]] recursive %}{{ loop.depth }}{% if x is number %}{{ x }}{% else %}({{ loop(x) }}){% endif %}{% endfor %}", "{% for x in l %}{{ loop([1]) }}{% endfor %}", "{% for x in [[1], []] recursive %}{{ loop(x) if x is sequence else x }}{% else %}E{% endfor %}", "{% for loop in l %}{% endfor %}", "{% for x in l %}{% set loop = 1 %}{% endfor %}", "{{ loop }}", "{% for x in l %}{% else %}{{ loop }}{% endfor %}",
    "{% for x in l|reverse %}{{ x }}{{ loop.length }}{% endfor %}", "{% for x in people|selectattr('tags') %}{{ x.name }}{% endfor %}", "{% set g = l|select %}{{ g|list }}{{ g|list }}{{ 1 if g }}", "{% set g = l|map('string') %}{{ '1' in g }}{{ g|list }}", "{% for g in people|groupby('age') %}{{ g.grouper }}:{{ g.list|length }} {% endfor %}", "{% for age, group in people|groupby('age') %}{{ age }}:{{ group|map(attribute='name')|join(',') }} {% endfor %}",
    # Scopes.
    "{% set x = 1 %}{% for y in l %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}", "{% for y in l %}{% set q = y %}{% endfor %}{{ q }}", "{% if true %}{% set q = 5 %}{% endif %}{{ q }}", "{% if false %}{% set i = 5 %}{% endif %}{{ i }}", "{% for y in [1, 2] %}{{ q }}{% set q = y %}{% endfor %}", "{% for y in [1, 2] %}{{ i }}{% set i = y %}{{ i }}{% endfor %}{{ i }}", "{% for i in l %}{% endfor %}{{ i }}", "{% set i = i %}{{ i }}", "{% for y in [1, 2] %}{% if y == 1 %}{% set i = 'new' %}{% endif %}{{ i }}{% endfor %}",
    "{% macro m() %}{{ q }}{% endmacro %}{% set q = 5 %}{{ m() }}", "{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% set i = 5 %}{{ m() }}", "{% macro m() %}{% set i = 9 %}{{ i }}{% endmacro %}{{ m() }}{{ i }}", "{% for y in l %}{% macro m() %}{{ y }}{{ loop.index }}{% endmacro %}{{ m() }}{% endfor %}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set x, y = [1] %}", "{% set (x, y), z = (1, 2), 3 %}{{ x }}{{ y }}{{ z }}", "{% set x = 1, 2 %}{{ x }}", "{% set x = y = 1 %}",
    "{% set ns = namespace(a=1) %}{% for y in l %}{% set ns.a = ns.a + y %}{% endfor %}{{ ns.a }}", "{% set ns = namespace() %}{% set ns.a = 1 %}{% set ns.a, ns.b = 2, 3 %}{{ ns.a }}{{ ns.b }}", "{% set d.a = 1 %}", "{% set missing.a = 1 %}", "{% set ns = namespace() %}{% set ns._a = 1 %}", "{% set ns = namespace(a=1) %}{% macro m(n) %}{% set n.a = 5 %}{% endmacro %}{{ m(ns) }}{{ ns.a }}", "{% set ns = namespace(a=[]) %}{% set ns.a = ns.a + [1] %}{{ ns.a }}{{ ns }}", "{% set ns = namespace() %}{% set ns.x %}a{{ 1 }}{% endset %}{{ ns.x }}",
    "{% set x %}a{{ 1 }}{% endset %}{{ x }}|{{ x|length }}", "{% set x|upper %}a{{ s }}{% endset %}{{ x }}", "{% set x|replace('a', 'b')|length %}aa{% endset %}{{ x }}", "{% set x %}{% set y = 1 %}{% endset %}{{ y }}", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with i = 1, b = i %}{{ i }}{{ b }}{% endwith %}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}", "{% filter upper %}a{{ s }}{% set q = 1 %}{% endfilter %}{{ q }}", "{% filter replace('a', 'b')|upper %}aa{% endfilter %}", "{% filter length %}aa{% endfilter %}", "{% print 1, 'a' %}", "{% generation %}a{% set q = 1 %}{{ q }}{% endgeneration %}{{ q }}", "{% for x in l %}{% generation %}{{ x }}{% endgeneration %}{% endfor %}",
    "{% set range = 5 %}{{ range }}", "{% for x in l %}{% if loop.first %}{% set f = x %}{% endif %}{{ f }}{% endfor %}", "{{ x }}{% set x = 1 %}", "{% if missing %}{% set q = 1 %}{% else %}{% set w = 2 %}{% endif %}{{ q }}{{ w }}", "{% if false %}{{ q }}{% elif true %}{% set q = 3 %}{% endif %}{{ q }}",
    # Macros.
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(c='z', a=0) }}|{{ m(*[1, 2, 3]) }}|{{ m(**{'a': 7}) }}", "{% macro m(a) %}[{{ a }}]{{ a is undefined }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(b=1) }}", "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}", "{% macro m(b=c, c=1) %}{{ b }}{% endmacro %}{{ m() }}", "{% macro m(i=i) %}{{ i }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ kwargs }}{% endmacro %}{{ m(1, b=2) }}{{ m(b=2) }}",
    "{% macro m(n) %}{{ n }}{{ m(n - 1) if n }}{% endmacro %}{{ m(3) }}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m() %}x{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}", "{% macro m(a, b) %}{% endmacro %}{{ m.arguments }}", "{% macro m() %}  x  {% endmacro %}{{ m()|trim ~ '|' }}", "{% macro m() -%}  x  {%- endmacro %}{{ m() }}", "{% if true %}{% macro m() %}x{% endmacro %}{% endif %}{{ m() }}", "{% macro m(x) %}{% for y in x %}{{ y }}{% endfor %}{% endmacro %}{{ m(l) }}", "{% macro m() %}{% macro inner() %}I{% endmacro %}{{ inner() }}{% endmacro %}{{ m() }}{{ inner is defined }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}body {{ i }}{% endcall %}", "{% macro m() %}{{ caller(1, b=2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}{{ caller is defined }}{{ caller }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{% call m() %}{% endcall %}", "{% macro m(caller=none) %}{{ caller is none }}{% endmacro %}{{ m() }}", "{% macro m(caller) %}{{ caller() }}{% endmacro %}", "{% macro m(x) %}{{ caller(x) }}{% endmacro %}{% for y in l %}{% call(z) m(y) %}{{ y * z }},{% endcall %}{% endfor %}", "{% call missing() %}{% endcall %}", "{% call dict() %}{% endcall %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{% set f = m %}{{ f('x') }}{{ {'f': m}.f(2) }}{{ [m][0](3) }}", "{% macro _m() %}x{% endmacro %}{{ _m() }}", "{% macro m(a=[]) %}{{ a }}{% endmacro %}{{ m() }}{{ m(none) }}", "{% macro upper(x) %}M{% endmacro %}{{ upper('x') }}{{ 'x'|upper }}", "{% macro m() %}{{ loop }}{% endmacro %}{% for x in [1] %}{{ m() }}{% endfor %}",
    # What hub templates do.
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}", "{% set j = joiner('|') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}", "{{ messages[0]['role'] }}{{ messages[-1].content[0].text }}", "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% elif m.content is iterable and m.content is not none %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{% endfor %}", "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}{% endfor %}",
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ system }}{{ rest|length }}", "{% for m in messages %}{% if m.tool_calls is defined and m.tool_calls is iterable %}{% for t in m.tool_calls %}{{ t.function|tojson }}{{ t.function.arguments|tojson(indent=2) }}{% endfor %}{% endif %}{% endfor %}", "{% set content = '<think>a</think>b' %}{{ content.split('</think>')[-1].lstrip('\\n') }}{{ content.split('</think>')[0].split('<think>')[-1] }}", "{% if tools is defined and tools %}T{% elif not tools %}none{% endif %}", "{% if enable_thinking is defined and enable_thinking is false %}off{% endif %}", "{%- for m in messages -%}\n{{- '<|im_start|>' + m['role'] + '\\n' }}\n{%- endfor -%}", "{{ messages|map(attribute='role')|join(',') }}", "{{ (messages|selectattr('role', 'equalto', 'user')|list)[-1].content }}", "{{ messages|rejectattr('role', 'in', ['system', 'tool'])|map(attribute='role')|list }}", "{% set ns = namespace(i=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.i = loop.index0 %}{% endif %}{% endfor %}{{ ns.i }}", "{% for m in messages[::-1] %}{{ loop.index }}{{ m.role }}{% endfor %}", "{% for m in messages %}{{ loop.previtem.role if loop.previtem }}>{{ m.role }};{% endfor %}", "{{ messages[0].get('name', 'none') }}{{ 'content' in messages[0] }}{{ messages[0].name is defined }}", "{{ messages[2].content or '' }}{{ messages[2]['content'] is none }}",
]


def split(text):
    """The lines of a block; a line that ends in a backslash goes on."""
    return [line for line in text.replace("\\\n", "\\\0").strip().split("\n") if line]


def sources():
    for block in (EXPRESSIONS, METHODS, FILTERS, TESTS):
        for line in split(block):
            yield "{{ %s }}" % line.replace("\0", "\n")
    yield from TEMPLATES
    for number in range(1500):
        grammar = Grammar(random.Random("testdata/%d" % number))
        yield grammar.body(3) if number % 2 else "{{ %s }}" % grammar.expr(3)


def main():
    lines, seen, errors = [], set(), 0
    for source in sources():
        if source in seen or len(source) > 600:
            continue
        seen.add(source)
        case = {"template": source}
        try:
            case["output"] = _compile_jinja_template(source).render(**copy.deepcopy(VARIABLES))
        except Exception as error:
            case["error"] = "%s: %s" % (type(error).__name__, error)
            errors += 1
            if len(lines) > 500 and errors % 4:
                continue  # of the random ones most are mistakes: keep some
        text = case.get("output", "")
        if not representable(text + case.get("error", "")) or any(mark in text for mark in BY_DESIGN) or len(text) > 1500:
            continue
        lines.append(json.dumps(case, ensure_ascii=False))
    (HERE / "cases.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (HERE / "variables.json").write_text(json.dumps(VARIABLES, ensure_ascii=False) + "\n", encoding="utf-8")
    print(len(lines), "cases")


main()
