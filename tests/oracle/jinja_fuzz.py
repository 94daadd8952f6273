#!/usr/bin/env python3
"""Our chat templates against the reference: random small templates, rendered by both.

    python tests/oracle/jinja_fuzz.py --door build/release/src/text/mill_template_lines [--seed N] [--count N]

The reference is jinja2 in the environment that Hugging Face transformers makes for chat templates. A difference
is printed with the template, the variables and both results; the exit code is 1 if there was one. Left out of the
comparison are results that Python itself makes unrepeatable (addresses in a repr), and what we refuse by design:
integers beyond 64 bits and the constructs that we report as unsupported.

With --origins no reference is asked: every letter of the request's strings is a Cyrillic one, which no template
writes, and none of them may come out among the bytes that count as the template's own.
"""
import argparse
import copy
import json
import random
import subprocess
import sys

try:
    from transformers.utils.chat_template_utils import _compile_jinja_template
except ImportError:
    print("jinja_fuzz: skipped, the package transformers is not here")
    sys.exit(77)

VARIABLES = {
    "i": 7, "j": -3, "z": 0, "f": 2.5, "g": -0.125, "big": 9007199254740993, "yes": True, "no": False, "nil": None,
    "s": "hello world", "t": " Mixed Case\n", "u": "Grüße 日本語 😀 ΑΣ", "e": "", "num": "42", "html": "<b>\"a\" & 'b'</b>",
    "lines": "one\ntwo\r\n\nthree", "csv": "a,b,,c", "l": [3, 1, 2], "w": ["b", "A", "c", "a"], "mix": [1, "x", None, 2.0, True],
    "d": {"b": 1, "a": 2, "C": 3}, "deep": {"x": {"y": [10, {"z": "end"}]}, "items": "own"}, "el": [], "ed": {},
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25}, {"name": "Cy", "age": 30, "tags": []}],
    "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi <|im_end|>"},
                 {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"q": "é", "n": 1}}}]},
                 {"role": "tool", "content": [{"type": "text", "text": "21"}]}],
}
STRINGS = ["''", "'a'", "'b,c'", "'%s'", "'{}'", "' '", "'\\n'", "'o'", "'lo'", "'été'", '"it\'s"', "'ab' 'cd'", "'<x>'", "'%5.1f|%d'", "'{0}-{a}'", "'0x1f'"]


class Grammar:
    def __init__(self, rng):
        self.rng = rng
        self.names = list(VARIABLES)
        self.macros = []
        self.loops = 0

    def pick(self, *choices):
        return self.rng.choice(choices)

    def number(self):
        return self.pick("0", "1", "2", "3", "-1", "-2", "10", "1.5", "0.1", "2.0", "1e3", "1_000", "0x1F", "true", "i", "j", "f", "g", "z", "big", "num|int")

    def small(self):
        return self.pick("0", "1", "2", "3", "-1", "-2", "none", "i", "j", "true")

    def string(self):
        r = self.rng.random()
        if r < 0.45:
            return self.rng.choice(STRINGS)
        return self.pick("s", "t", "u", "e", "num", "html", "lines", "csv", "people[0].name", "messages[1].content", "messages[0]['role']")

    def sequence(self, depth):
        r = self.rng.random()
        if r < 0.5 or depth <= 0:
            return self.pick("l", "w", "mix", "el", "people", "messages", "[1,2,3]", "['x','Y']", "(1,'a')", "range(4)", "range(5,0,-2)", "deep.x.y", "d", "'abc'", "u", "d.items()", "d.values()")
        return self.pick("[%s]", "[%s, %s]", "(%s, %s)", "[%s, 2, %s]") .replace("%s", "{}").format(self.expr(depth - 1), self.expr(depth - 1))

    def mapping(self, depth):
        if depth <= 0 or self.rng.random() < 0.6:
            return self.pick("d", "deep", "ed", "people[0]", "messages[2]", "{'k': 1}", "{'k': 'v', 'n': none}", "dict(a=1, b='x')")
        return "{%s: %s, 'z': %s}" % (self.pick("'k'", "1", "s", "(1,2)", "none"), self.expr(depth - 1), self.expr(depth - 1))

    def name(self):
        return self.rng.choice(self.names + ["missing", "loop", "caller", "x", "y", "ns"])

    def expr(self, depth):
        if depth <= 0:
            return self.pick(self.number, self.string, self.name, lambda: self.sequence(0), lambda: self.mapping(0))()
        kind = self.rng.random()
        a = lambda: self.expr(depth - 1)
        if kind < 0.10:
            return self.pick(self.number, self.string, self.name)()
        if kind < 0.22:
            op = self.pick("+", "-", "*", "/", "//", "%", "~", "+", "~")
            left, right = (a(), a()) if op in "+-~%" else (self.pick(a, self.number)(), self.number())
            if op == "*":
                right = self.pick("2", "3", "0", "1.5", "j")
            return "%s %s %s" % (left, op, right)
        if kind < 0.25:
            return "%s ** %s" % (self.pick("2", "i", "f", "-2", "0", "num"), self.pick("2", "3", "0", "-1", "0.5"))
        if kind < 0.33:
            return "%s %s %s" % (a(), self.pick("==", "!=", "<", "<=", ">", ">=", "in", "not in"), a())
        if kind < 0.35:
            return "%s < %s <= %s" % (self.number(), self.number(), self.number())
        if kind < 0.40:
            return "%s %s %s" % (a(), self.pick("and", "or"), a())
        if kind < 0.43:
            return self.pick("not %s", "-%s", "+%s", "(%s)") % a()
        if kind < 0.47:
            return self.pick("%s if %s else %s" % (a(), a(), a()), "%s if %s" % (a(), a()), "(%s if %s else %s)" % (a(), a(), a()))
        if kind < 0.57:
            return self.subscript(depth)
        if kind < 0.68:
            return self.method(depth)
        if kind < 0.88:
            return self.filtered(depth)
        if kind < 0.96:
            return self.tested(depth)
        if self.macros and self.rng.random() < 0.7:
            return "%s(%s)" % (self.rng.choice(self.macros), self.pick("", a(), "p=" + a(), a() + ", " + a(), a() + ", q=" + a(), "*l", "**d"))
        return self.pick("range(%s)" % self.small(), "dict(%s)" % self.mapping(depth - 1), "namespace(a=%s).a" % a(), "cycler(1,2).next()", "joiner('|')()", "loop.cycle(1, 2)",
                         "loop.index", "loop.previtem", "loop.nextitem", "loop.last", "loop.length", "loop.revindex0", "loop.changed(%s)" % a(), "loop.depth")

    def subscript(self, depth):
        r = self.rng.random()
        if r < 0.35:
            target = self.pick(self.string, lambda: self.sequence(depth - 1))()
            bounds = [self.pick("", self.small()) for _ in range(2)]
            step = self.pick("", "", ":" + self.pick("2", "-1", "-2", "1", "none"))
            return "%s[%s:%s%s]" % (target, bounds[0], bounds[1], step)
        if r < 0.55:
            return "%s[%s]" % (self.pick(self.string, lambda: self.sequence(depth - 1))(), self.expr(depth - 1))
        if r < 0.75:
            return "%s%s" % (self.mapping(depth - 1), self.pick("['a']", ".a", ".missing", "['items']", ".b", "[s]", ".x.y.1.z", "['x']['y'][0]", ".name", ".items", "[1]", ".get"))
        return "%s%s" % (self.name(), self.pick(".x", "[0]", ".0", "[-1]", ".content", ".append", ".__class__", "['upper']", ".name", "._x", ".pop"))

    def method(self, depth):
        s, a = self.string, lambda: self.pick(self.string, lambda: self.expr(depth - 1))()
        r = self.rng.random()
        if r < 0.75:
            call = self.pick(
                "upper()", "lower()", "title()", "capitalize()", "swapcase()", "strip()", "lstrip()", "rstrip()", "strip(%s)" % a(), "lstrip('he ')", "rstrip('\\n d')",
                "split()", "split(%s)" % a(), "split(',', 1)", "rsplit(',', 1)", "split(none, 1)", "rsplit(none, 1)", "rsplit()", "rsplit('l')", "splitlines()", "splitlines(true)", "split(maxsplit=1)",
                "partition(',')", "rpartition('l')", "startswith(%s)" % a(), "endswith(%s)" % a(), "startswith(('h','a'))", "startswith('l', 2)", "endswith('l', 0, -1)",
                "find(%s)" % a(), "rfind('l')", "index('l')", "rindex('o')", "count('l')", "count('')", "find('l', 3)", "find('l', -3, -1)", "find('', 5)", "count('l', 1, 4)",
                "replace(%s, %s)" % (a(), a()), "replace('l', 'L', 1)", "replace('', '-')", "replace('l', 'LL')", "join(w)", "join(%s)" % self.sequence(depth - 1),
                "format(%s)" % a(), "format(i, a=s)", "format(*l)", "removeprefix('he')", "removesuffix('ld')", "ljust(8, '.')", "rjust(8)", "center(9, '*')", "center(12)", "zfill(6)", "expandtabs(4)",
                "isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "istitle()", "isnumeric()", "isdecimal()", "isprintable()", "isascii()", "isidentifier()")
            return "%s.%s" % (self.pick(s, lambda: "(%s)" % self.expr(depth - 1))(), call)
        if r < 0.9:
            return "%s.%s" % (self.mapping(depth - 1), self.pick("get('a')", "get('q', 'none')", "get(%s)" % a(), "keys()|list", "values()|list", "items()|list", "items()", "keys()", "copy()", "update({})", "pop('a')"))
        return "%s.%s" % (self.pick("l", "w", "mix", "(1,2,1)", "range(4)", "people"), self.pick("count(1)", "index(2)", "copy()", "append(1)", "index('x')", "pop()", "index(1, 1)"))

    def filtered(self, depth):
        a = lambda: self.expr(depth - 1)
        value = self.pick(a, a, self.string, lambda: self.sequence(depth - 1), lambda: self.mapping(depth - 1))()
        if self.rng.random() < 0.8 and not value.replace("_", "a").isalnum():
            value = "(%s)" % value
        name = self.pick(
            "upper", "lower", "title", "capitalize", "trim", "trim('h \\n')", "string", "length", "count", "list", "first", "last", "reverse", "reverse|list", "join", "join(', ')", "join('-', attribute='name')",
            "sort", "sort(reverse=true)", "sort(attribute='age')", "sort(attribute='age,name')", "sort(case_sensitive=true)", "unique|list", "unique(attribute='age')|list", "min", "max", "max(attribute='age')", "min(case_sensitive=true)",
            "sum", "sum(attribute='age')", "sum(start=10)", "int", "int(5)", "int(base=16)", "float", "float(1.5)", "abs", "round", "round(1)", "round(1, 'floor')", "round(0, 'ceil')", "round(-1)",
            "default('D')", "default('D', true)", "d(%s)" % a(), "tojson", "tojson(indent=2)", "tojson(sort_keys=true)", "tojson(ensure_ascii=true)", "tojson(separators=(',', ':'))", "tojson(indent=1, separators=('; ', '='))", "tojson|safe",
            "items|list", "dictsort", "dictsort(true)", "dictsort(false, 'value')", "dictsort(reverse=true)", "groupby('age')", "groupby('age')|list|length", "groupby('tags', default='none')", "batch(2)|list", "batch(2, 'F')|list", "slice(2)|list", "slice(3, 0)|list",
            "map('upper')|list", "map(attribute='name')|list", "map(attribute='tags', default=[])|list", "map('default', 'x')|list", "map('string')|join(',')", "map('length')|list", "map('int')|sum",
            "select|list", "select('odd')|list", "select('string')|list", "select('gt', 1)|list", "reject|list", "reject('none')|list", "reject('equalto', 1)|list", "selectattr('tags')|list", "selectattr('age', 'gt', 26)|map(attribute='name')|list", "selectattr('role', 'equalto', 'user')|first",
            "rejectattr('tags')|list", "rejectattr('age', 'lt', 30)|list|length", "selectattr('tags', 'defined')|list|count", "select('in', [1, 'x'])|list",
            "replace('l', 'L')", "replace('l', %s)" % a(), "replace('o', '0', 1)", "indent", "indent(2, true)", "indent('> ', blank=true)", "truncate(7)", "truncate(8, true)", "truncate(9, true, '…', 0)", "center(20)", "wordcount", "urlencode", "escape", "e", "safe", "safe ~ '<'", "forceescape",
            "format(1, 2)", "format('x')", "attr('name')", "attr('upper')", "string|length", "list|length", "nosuch" if self.rng.random() < 0.05 else "string")
        return "%s|%s" % (value, name)

    def tested(self, depth):
        value = self.expr(depth - 1)
        if self.rng.random() < 0.5:
            value = "(%s)" % value
        name = self.pick("defined", "undefined", "none", "string", "number", "integer", "float", "mapping", "iterable", "sequence", "boolean", "true", "false", "callable", "odd", "even", "divisibleby(3)", "divisibleby 2", "eq(%s)" % self.expr(depth - 1),
                         "equalto 7", "ne 'a'", "lt 5", "gt(2)", "ge 1", "le 3", "in [1, 2, 'x']", "in('abc')", "upper", "lower", "escaped", "filter", "test", "sameas none", "sameas true", "greaterthan 1", "==7")
        if name.startswith("=="):
            name = "eq 7"
        return "%s is %s%s" % (value, self.pick("", "", "not "), name)

    def tag(self, inside):
        return "{%%%s %s %s%%}" % (self.pick("", "", "-", "-", "+"), inside, self.pick("", "", "-", "-", "+"))

    def space(self):
        return self.pick("", "", "\n", "  ", "\n  ", " \n", "\n\n", "\t")

    def text(self):
        return self.pick("A", "b c", "\n", "  x\n", "{", "%}", "日", "<|im_start|>", "}}", " - ", "#")

    def body(self, depth):
        return "".join(self.statement(depth) for _ in range(self.rng.randint(1, 3)))

    def statement(self, depth):
        r = self.rng.random()
        if depth <= 0 or r < 0.35:
            return self.space() + self.pick("{{ %s }}", "{{- %s }}", "{{ %s -}}", "{{%s}}") % self.expr(self.rng.randint(0, 3)) + self.space()
        if r < 0.43:
            return self.text()
        if r < 0.55:
            out = self.tag("if " + self.expr(2)) + self.body(depth - 1)
            if self.rng.random() < 0.3:
                out += self.tag("elif " + self.expr(2)) + self.body(depth - 1)
            if self.rng.random() < 0.5:
                out += self.tag("else") + self.body(depth - 1)
            return self.space() + out + self.tag("endif") + self.space()
        if r < 0.70:
            return self.loop(depth)
        if r < 0.80:
            name = self.pick("x", "y", "i", "s", "ns")
            if self.rng.random() < 0.2:
                return self.space() + self.tag("set %s%s" % (name, self.pick("", "|upper", "|trim|length"))) + self.body(depth - 1) + self.tag("endset")
            if self.rng.random() < 0.1:
                return self.tag("set x, y = %s" % self.pick("1, 2", "l", "(s, t)", self.sequence(1)))
            value = "namespace(a=1, b=%s)" % self.expr(1) if name == "ns" else self.expr(2)
            return self.space() + self.tag("set %s = %s" % (name, value)) + self.space()
        if r < 0.84:
            return self.tag("set ns.%s = %s" % (self.pick("a", "b", "new"), self.expr(2)))
        if r < 0.90:
            return self.macro(depth)
        if r < 0.92:
            return self.tag("with x = %s, q = x" % self.expr(1)) + self.body(depth - 1) + self.tag("endwith")
        if r < 0.94:
            return self.tag("filter %s" % self.pick("upper", "trim", "replace('a', 'b')|title", "indent(2)", "length")) + self.body(depth - 1) + self.tag("endfilter")
        if r < 0.96:
            return self.pick("{#- note -#}", "{# {{ x }} #}", "{#+ a +#}") + self.space()
        if r < 0.98:
            return self.tag("raw") .replace("+%}", "%}") + self.text() + "{{ x }}" + self.tag("endraw")
        return self.tag("generation") + self.body(depth - 1) + self.tag("endgeneration")

    def loop(self, depth):
        target = self.pick("x", "x", "x", "x, y", "k, v", "x", "(x, y)")
        source = self.sequence(1) if "," not in target else self.pick("d.items()", "d|items", "d|dictsort", "[(1,2),(3,4)]", "people|groupby('age')", self.sequence(1), "[['a', 'b']]")
        head = "for %s in %s" % (target, source)
        if self.rng.random() < 0.25:
            head += " if %s" % self.pick("x", "loop", "x is string", "x != 1", "loop.index", self.expr(1).replace(" if ", " or "))
        recursive = self.rng.random() < 0.08
        if recursive:
            head += " recursive"
        self.loops += 1
        body = self.body(depth - 1)
        if self.rng.random() < 0.3:
            body += "{{ %s }}" % self.pick("loop.index", "loop.first", "loop.last", "loop.length", "loop.nextitem", "loop.previtem", "loop.revindex", "loop.cycle('a','b')", "loop.index0 ~ loop.revindex0", "x", "loop.changed(x)")
        if self.rng.random() < 0.2:
            body += self.tag("if " + self.expr(1)) + self.tag(self.pick("break", "continue")) + self.tag("endif")
        if recursive and self.rng.random() < 0.6:
            body += "{{ loop(%s) if loop.depth < 3 }}" % self.pick("[x]", "x", "[1]", "el")
        self.loops -= 1
        out = self.tag(head) + body
        if self.rng.random() < 0.25:
            out += self.tag("else") + self.body(depth - 1)
        return self.space() + out + self.tag("endfor") + self.space()

    def macro(self, depth):
        name = self.pick("m", "m2", "m3")
        signature = self.pick("", "p", "p, q=2", "p=i, q=p", "p, q=s", "x")
        inside = self.body(depth - 1) + self.pick("", "{{ p }}", "{{ q }}", "{{ caller() if caller }}", "{{ varargs }}", "{{ kwargs }}", "{{ caller(1) if caller }}", "{{ %s.name }}" % name)
        out = self.space() + self.tag("macro %s(%s)" % (name, signature)) + inside + self.tag("endmacro")
        self.macros.append(name)
        if self.rng.random() < 0.3:
            out += self.tag("call%s %s(%s)" % (self.pick("", "(x)", "(x=3)"), name, self.pick("", "1", "q=2"))) + self.body(depth - 1) + self.tag("endcall")
        return out + self.pick("", "{{ %s(%s) }}" % (name, self.pick("", "1", "s, t", "p=l", "1, 2, 3", "zz=1")))


def reference(source, variables):
    try:  # a copy: the reference's filter indent changes a list that it is given
        return "output", _compile_jinja_template(source).render(**copy.deepcopy(variables))
    except RecursionError:
        return "skip", "recursion"
    except Exception as error:  # the reference raises whatever Python does
        return "error", "%s: %s" % (type(error).__name__, error)


def representable(text):
    return all(mark not in text for mark in (" at 0x", "<class ", "<built-in", "<module")) and not any(0xD800 <= ord(c) < 0xE000 for c in text)


CYRILLIC = str.maketrans({c: chr(0x410 + i) for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")})


def in_cyrillic(value):
    if isinstance(value, str):
        return value.translate(CYRILLIC)
    if isinstance(value, list):
        return [in_cyrillic(item) for item in value]
    if isinstance(value, dict):
        return {key: in_cyrillic(item) for key, item in value.items()}
    return value


def leaks(result):
    """The trusted stretches of a result that hold a letter of the request, spelled out or escaped."""
    output = result.get("output", "").encode("utf-8")
    for start, end in result.get("trusted", []):
        text = output[start:end].decode("utf-8", "replace")
        if any(0x400 <= ord(c) < 0x500 for c in text) or "\\u04" in text or "%D0" in text or "%D1" in text:
            yield text


BY_DESIGN = ("64 bits", "a power is too large", "<function", "<generator object", "object>")


def check_origins(ask, source, number):
    for text in leaks(ask(source, in_cyrillic(VARIABLES))):
        print("\n--- number %d\n%s\ntrusted: %r" % (number, source, text))
        return 1
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--door", required=True)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--origins", action="store_true")
    options = parser.parse_args()
    print("seed", options.seed)
    door = subprocess.Popen([options.door], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def ask(source, variables):
        door.stdin.write(json.dumps({"template": source, "variables": variables, "now": 0}) + "\n")
        door.stdin.flush()
        line = door.stdout.readline()
        if not line:
            print("the door died on", repr(source))
            sys.exit(2)
        return json.loads(line)

    tally = {"same": 0, "both refuse": 0, "left out": 0, "unsupported": 0, "different": 0}
    for number in range(options.count):
        grammar = Grammar(random.Random("%d/%d" % (options.seed, number)))
        source = grammar.body(3) if grammar.rng.random() < 0.5 else "{{ %s }}" % grammar.expr(3)
        if options.origins:
            tally["different"] += check_origins(ask, source, number)
            tally["same"] += 1
            continue
        kind, want = reference(source, VARIABLES)
        if kind == "skip" or (kind == "output" and not representable(want)):
            tally["left out"] += 1
            continue
        ours = ask(source, VARIABLES)
        if kind == "error" and "error" in ours:
            tally["both refuse"] += 1
        elif kind == "output" and ours.get("output") == want:
            tally["same"] += 1
        elif ours.get("code") == "unsupported":
            tally["unsupported"] += 1
        elif any(mark in str(ours) for mark in BY_DESIGN):
            tally["left out"] += 1
        else:
            tally["different"] += 1
            if tally["different"] <= options.show:
                print("\n--- number %d\n%s\nwant %s: %r\nours %r" % (number, source, kind, want, ours.get("output", ours.get("error"))))
    print(tally)
    return 1 if tally["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
