#!/usr/bin/env python3
"""Writes src/text/split/unicode_ranges.inc: the general category of every code point, as runs.

    pip install unicodedata2==15.1.0 && python3 tools/unicode_ranges.py > src/text/split/unicode_ranges.inc

The version is that of the peer whose ids we follow; a code point assigned later counts as unassigned (Cn).
"""
import unicodedata2

VERSION = "15.1.0"
SPACES = {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85}  # White_Space that is not of category Z


def category(code):
    # Wc is ours: a control character that is white space.
    return "Wc" if code in SPACES else unicodedata2.category(chr(code))


def main():
    assert unicodedata2.unidata_version == VERSION, unicodedata2.unidata_version
    runs = []
    for code in range(0x110000):
        if not runs or runs[-1][1] != category(code):
            runs.append((code, category(code)))
    print(f"// Made by tools/unicode_ranges.py from Unicode {VERSION}: first code point of a run, its general category.")
    for i in range(0, len(runs), 8):
        print(" ".join(f"R(0x{code:X}, {name})" for code, name in runs[i:i + 8]))


main()
