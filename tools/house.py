#!/usr/bin/env python3
"""Holds the code against the house rules that a machine can check.

Reads the layer table from ARCHITECTURE.md (between ```layers fences), then checks every include and every USES line under src/
against it, and the locks on the doors below. Also the length of files. Exit 1 with one line per breach.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 600

# A door's lock: what may stand in which places only. (pattern, places, what it is)
LOCKS = [
    (r'#include <boost/(?!json)', ("net/", "base/task.h", "base/channel.h", "base/channel_test.cc", "base/watermark.cc", "base/watermark_test.cc", "ledger/book_test.cc"), "Boost.Asio/Beast"),
    (r'#include <boost/json', ("gateway/", "jobs/", "text/", "net/", "load/", "app/"), "JSON"),
    (r'#include <(immintrin|x86intrin|arm_neon|cuda)', ("tensor/",), "intrinsics"),
    (r'#include <curl/', ("net/",), "libcurl"),
    (r'#include <xxh', ("model/",), "XXH3"),
    (r'#include <(sqlite3|libpq-fe)', ("ledger/", "jobs/"), "SQL"),
    (r'#include <(CLI|yaml-cpp)/', ("app/",), "flags and configuration files"),
    (r'\bgetenv\(', ("app/",), "the environment"),
    (r'(steady|system)_clock::now\(', ("base/clock.cc", "base/log.cc"), "the time"),
]
TEST = re.compile(r"_(test|bench|fuzz)\.cc$")


def layers(text):
    block = re.search(r"```layers\n(.*?)```", text, re.S)
    if not block:
        sys.exit("house: ARCHITECTURE.md has no ```layers block")
    table = {}
    for line in block.group(1).strip().splitlines():
        room, _, uses = line.partition("->")
        table[room.strip()] = set(uses.split())
    order = list(table)
    for room, uses in table.items():
        for used in uses - {"everything"}:
            if used not in table:
                sys.exit(f"house: layer table: {room} uses {used}, which has no row")
            if order.index(used) > order.index(room):
                sys.exit(f"house: layer table: {room} uses {used}, which stands below it in the table: no upward calls")
    return table


def breaches_in(table, inside, text):
    """Breaches of one file; `inside` is its path below src/."""
    room = inside.parts[0]
    if room not in table:
        yield f"src/{inside}: no row for '{room}' in the layer table"
        return

    def allowed(other):
        return other == room or "everything" in table[room] or other in table[room]

    if inside.name == "CMakeLists.txt":
        for used in sorted(set(re.findall(r"mill::(\w+)", text))):
            if not allowed(used.split("_")[0]):  # mill::maas_catalog is a part of maas
                yield f"src/{inside}: USES mill::{used}, which the layer table does not give to {room}"
        return
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        yield f"src/{inside}: {len(lines)} lines (at most {MAX_LINES}): split it by noun"
    for number, line in enumerate(lines, 1):
        include = re.match(r'#include "([a-z_]+)/', line)
        if include and not allowed(include.group(1)):
            yield f"src/{inside}:{number}: includes {include.group(1)}/, which the layer table does not give to {room}"
        for pattern, places, what in LOCKS:
            if re.search(pattern, line) and not str(inside).startswith(places) and not TEST.search(inside.name):
                yield f"src/{inside}:{number}: {what} belongs in {', '.join(places)}"


def self_test():
    """The check itself must be able to fail."""
    table = layers("```layers\nbase ->\nnet -> base\nmodel -> base\n```")
    bad = '#include "net/x.h"\n#include <immintrin.h>\nauto t = std::chrono::steady_clock::now();\n'
    found = list(breaches_in(table, Path("model/x.cc"), bad))
    assert len(found) == 3, found
    assert list(breaches_in(table, Path("model/CMakeLists.txt"), "USES mill::base mill::net"))
    assert not list(breaches_in(table, Path("net/x.cc"), '#include "base/x.h"\n'))
    assert list(breaches_in(table, Path("nowhere/x.cc"), ""))


def main():
    self_test()
    table = layers((ROOT / "ARCHITECTURE.md").read_text())
    breaches = []
    rooms = set()
    for path in sorted((ROOT / "src").rglob("*")):
        inside = path.relative_to(ROOT / "src")
        if path.is_file() and (path.suffix in (".h", ".cc") or path.name == "CMakeLists.txt"):
            rooms.add(inside.parts[0])
            breaches += breaches_in(table, inside, path.read_text())
    for breach in breaches:
        print("house:", breach)
    print(f"house: {len(rooms)} rooms, {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
