#!/usr/bin/env python3
"""The electricity of one day, by hand with Python's fractions and zoneinfo.

  energy.py --write             writes testdata/metering/energy_day.csv (the same file every time)
  energy.py --check             the stored one is what this script writes

The day is 2026-10-25 in Berlin, which has 25 hours: at 03:00 summer time clocks go back to 02:00. Requests were busy for so many
nanoseconds; the machine draws 41.5 W idle and 188.25 W at work. Lines: request;at_ns;busy_ns;tokens;charge;microjoules;cost;co2;band
(overhead;… likewise, of so many nanoseconds idle) and hour;from_ns;requests;tokens;charge;microjoules;cost;co2;margin;tokens_per_kwh;
overhead's microjoules;cost;co2. Money in 1e-9 of a unit, CO2 in micrograms. src/maas/metering/energy_oracle_test.cc compares; no line
of ours is used here.
"""

import pathlib
import random
import sys
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

FILE = pathlib.Path(__file__).resolve().parent.parent.parent / "testdata" / "metering" / "energy_day.csv"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600 * 10**9
BEGIN = int((datetime(2026, 10, 24, 22, tzinfo=timezone.utc) - EPOCH).total_seconds()) * 10**9
IDLE, ACTIVE = Fraction("41.5"), Fraction("188.25")  # watts
# price per kWh and grams of CO2 per kWh
BASE, NIGHT, SUNDAY_NOON = ("0.3217", "363.5"), ("0.2119", "301.25"), ("0.0877", "95.125")


def band_of(at_ns):
    """Night is 22:00 to 06:00 on the wall of Berlin; on Sundays 11:00 to 15:00 is the sun's."""
    wall = (EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(BERLIN)
    if wall.hour >= 22 or wall.hour < 6:
        return "night", NIGHT
    if wall.weekday() == 6 and 11 <= wall.hour < 15:
        return "noon", SUNDAY_NOON
    return "base", BASE


def rounded(exact):
    return round(exact)  # of a Fraction: half to even


def line_of(what, at_ns, span_ns, watts):
    microjoules = rounded(watts * span_ns / 1000)
    band, (price, grams) = band_of(at_ns)
    kwh = Fraction(microjoules, 3_600_000_000_000)
    return {"what": what, "at": at_ns, "ns": span_ns, "uj": microjoules, "cost": rounded(kwh * Fraction(price) * 10**9),
            "co2": rounded(kwh * Fraction(grams) * 10**6), "band": band, "tokens": 0, "charge": 0}


def day():
    rng = random.Random(20261025)
    lines = []
    for hour in range(25):
        begin = BEGIN + hour * HOUR
        for _ in range(rng.choice([0, 3, 12, 40])):
            at = begin + rng.choice([0, HOUR - 1, rng.randrange(HOUR)])
            line = line_of("request", at, rng.choice([0, 1, rng.randrange(10**7), rng.randrange(10**10), rng.randrange(10**11)]), ACTIVE)
            line["tokens"], line["charge"] = rng.randrange(1, 5000), rng.randrange(10**6)
            lines.append(line)
        for tenth in range(6):
            lines.append(line_of("overhead", begin + tenth * HOUR // 6 + 17, rng.randrange(600 * 10**9), IDLE))
    return sorted(lines, key=lambda line: line["at"])


def text():
    hours = defaultdict(lambda: [0] * 9)
    for line in day():
        yield ";".join(str(line[k]) for k in ("what", "at", "ns", "tokens", "charge", "uj", "cost", "co2", "band"))
        of = hours[line["at"] // HOUR * HOUR]
        parts = [1, line["tokens"], line["charge"], line["uj"], line["cost"], line["co2"], 0, 0, 0]
        if line["what"] == "overhead":
            parts = [0, 0, 0, 0, 0, 0, line["uj"], line["cost"], line["co2"]]
        for i, part in enumerate(parts):
            of[i] += part
    for start, (requests, tokens, charge, uj, cost, co2, *over) in sorted(hours.items()):
        rate = int(Fraction(tokens) / Fraction(uj, 3_600_000_000_000)) if uj else "-"
        yield ";".join(str(v) for v in ["hour", start, requests, tokens, charge, uj, cost, co2, charge - cost, rate, *over])


def main():
    made = "".join(line + "\n" for line in text())
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(made)
        return 0
    if sys.argv[1:] != ["--check"]:
        print(__doc__)
        return 2
    if FILE.read_text() != made:
        print("energy: testdata/metering/energy_day.csv is other than what this script writes")
        return 1
    print(f"energy: {made.count(chr(10))} lines are as this script writes them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
