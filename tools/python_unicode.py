#!/usr/bin/env python3
"""Writes src/text/jinja/python_unicode.inc: what Python's str methods know of the code points.

    python3.11 tools/python_unicode.py > src/text/jinja/python_unicode.inc

The reference renderings come from Python 3.11 (Unicode 14.0), so the tables do too.
"""
import textwrap
import unicodedata

LAST = 0x10FFFF


def boundaries(test):
    """Where `test` changes its answer, from false at 0; each as the distance from the one before."""
    out, at, inside = [], 0, False
    for code in range(LAST + 1):
        if test(chr(code)) != inside:
            inside = not inside
            out.append(code - at)
            at = code
    return out


def case_runs(convert):
    """(distance from the last run's first, count, stride, shift) of the one-to-one conversions."""
    runs = []
    for code in range(LAST + 1):
        to = convert(chr(code))
        if len(to) != 1 or ord(to) == code:
            continue
        shift = ord(to) - code
        if runs:
            first, count, stride, known = runs[-1]
            gap = code - (first + (count - 1) * stride)
            if known == shift and (gap == stride or (count == 1 and gap <= 2)):
                runs[-1] = (first, count + 1, gap, known)
                continue
        runs.append((code, 1, 1, shift))
    flat, last = [], 0
    for first, count, stride, shift in runs:
        flat += [first - last, count, stride, shift]
        last = first
    return flat


def expansions(convert):
    """(code, up to three codes, 0-filled) of the conversions to several characters."""
    flat = []
    for code in range(LAST + 1):
        to = convert(chr(code))
        if len(to) > 1:
            flat += [code] + [ord(c) for c in to] + [0] * (3 - len(to))
    return flat


def ignorable(c):
    return ("A" + c + "\u03a3").lower()[-1] == "\u03c2" and (c + "\u03a3").lower()[-1] == "\u03c3"


SETS = [
    ("kAlpha", str.isalpha),
    ("kNumeric", str.isnumeric),
    ("kDigit", str.isdigit),
    ("kDecimal", str.isdecimal),
    ("kUpper", str.isupper),
    ("kLower", str.islower),
    ("kTitle", lambda c: unicodedata.category(c) == "Lt"),
    ("kCaseIgnorable", ignorable),
    ("kPrintable", str.isprintable),
]
CASES = [("Upper", str.upper), ("Lower", str.lower), ("Title", str.title)]


def array(name, numbers):
    print(f"const int32_t {name}[] = {{")
    print(textwrap.fill(", ".join(map(str, numbers)), 99) + "};")


print("// Made by tools/python_unicode.py from Unicode " + unicodedata.unidata_version + ".")
for name, test in SETS:
    array(name, boundaries(test))
for name, convert in CASES:
    array("kTo" + name, case_runs(convert))
    array("kTo" + name + "Expansions", expansions(convert))
