#!/usr/bin/env python3
"""A month of mixed use, its usage, costs and invoices added up by hand with Python's fractions, decimal and zoneinfo.

  invoice.py --write             writes testdata/metering/entries.csv and expected.csv (the same files every time)
  invoice.py --check             the stored ones are what this script writes, and the stored invoice.csv and focus.csv (written
                                 by our code, tests beside src/maas/metering) add up to the same money

entries.csv is a journal's part: what the gateway, recovery and an administrator booked in and around November 2026. expected.csv
is what must come out; src/maas/metering/month_oracle_test.cc compares. No line of ours is used here: prices, bands, rounding,
months and ids are done again.
"""

import csv
import pathlib
import random
import sys
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal, getcontext
from fractions import Fraction
from zoneinfo import ZoneInfo

HERE = pathlib.Path(__file__).resolve().parent.parent.parent / "testdata" / "metering"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
BUCKETS = ["input", "cache_read", "cache_write", "input_image", "output", "reasoning", "output_image"]
TIERS = ["default", "priority", "flex", "batch"]
STREAM, BATCH, RECOVERED = 1, 2, 4
getcontext().prec = 60


def ns(*date):
    return int((datetime(*date, tzinfo=timezone.utc) - EPOCH).total_seconds()) * 10**9


BEGIN, END = ns(2026, 11, 1), ns(2026, 12, 1)

# Prices per 1,000,000; the fee per request. Versions 1 and 2 of the book; version 2 is in effect from the 16th on.
BOOK = {
    1: {
        "flash": {"USD": {"input": "0.15", "cache_read": "0.003", "cache_write": "0.1875", "output": "0.60", "reasoning": "0.90",
                          "peak": "2", "priority": "1.75", "batch": "0.5"}},
        "pro": {"USD": {"input": "0.66", "cache_read": "0.022", "output": "1.98", "request": "0.0005", "peak": "1", "batch": "0.5"},
                "CREDITS": {"input": "4.7", "cache_read": "0.16", "output": "14.1", "peak": "1"}},
    },
    2: {
        "flash": {"USD": {"input": "0.14", "cache_read": "0.0029", "cache_write": "0.175", "output": "0.57", "reasoning": "0.88",
                          "peak": "1.9", "priority": "1.5", "batch": "0.4"}},
        "pro": {"USD": {"input": "0.67", "cache_read": "0.023", "output": "2.01", "request": "0.0004", "peak": "1", "batch": "0.5"},
                "CREDITS": {"input": "4.8", "cache_read": "0.17", "output": "14.3", "peak": "1"}},
        "gratis": {"USD": {"input": "0", "cache_read": "0", "output": "0", "peak": "1"}},
    },
}
PEAK_ZONE = ZoneInfo("America/New_York")  # its clocks go back on 2026-11-01: the band moves by an hour on that day


def band_of(at_ns):
    """Peak is 09:00 to 17:00 on New York's wall, Monday to Friday; Sunday's band is 01:00 to 02:00, which November 1 has twice."""
    wall = (EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(PEAK_ZONE)
    if wall.weekday() < 5 and 9 <= wall.hour < 17:
        return "peak"
    return "sunday" if wall.weekday() == 6 and wall.hour == 1 else "base"


def rates_of(entry):
    """item -> price per unit as a fraction, and the band; nothing where the book does not sell it"""
    price = BOOK.get(entry["version"], {}).get(entry["model"], {}).get(entry["currency"])
    if price is None:
        return None, ""
    tier = TIERS[entry["tier"]]
    batch = bool(entry["flags"] & BATCH) or tier == "batch"
    if (batch and "batch" not in price) or (tier == "priority" and "priority" not in price) or tier == "flex":
        return None, ""
    band = band_of(entry["id_ms"] * 10**6)
    has_peak = entry["model"] == "flash"
    factor = Fraction(price["peak"]) if band != "base" and has_peak else Fraction(1)
    factor *= Fraction(price["priority"]) if tier == "priority" else 1
    factor *= Fraction(price["batch"]) if batch else 1
    base = {"reasoning": price["output"], "cache_write": price["input"], "cache_read": price["input"], **price}
    rates = {item: Fraction(base[item]) * factor / 10**6 for item in BUCKETS if item in base}
    rates["request"] = Fraction(price.get("request", "0")) * factor
    return rates, band if has_peak else "base"


def price_it(entry):
    """-> exact amount, rounded one in 1e-9; both None where it is not sold"""
    rates, _ = rates_of(entry)
    if rates is None:
        return None, None
    exact = sum(count * rates[item] for item, count in entry["tokens"].items() if count) + rates["request"]
    return exact, round(exact * 10**9)


def make_entries():
    rng = random.Random(20261129)
    tenants = [  # organization, its currency, project, key
        (1, "USD", 11, 101), (1, "USD", 11, 102), (1, "USD", 12, 103), (1, "USD", 0, 0), (2, "CREDITS", 21, 201), (3, "USD", 31, 301),
    ]
    times = sorted([rng.randrange(BEGIN, END) for _ in range(330)]
                   + [rng.randrange(BEGIN, BEGIN + 8 * 3600 * 10**9) for _ in range(60)]  # around the clocks' change
                   + [BEGIN - 1, BEGIN, BEGIN + 1, END - 1, END, END + 1]
                   + [BEGIN - d * 7919 * 10**9 for d in range(1, 20)] + [END + d * 104729 * 10**9 for d in range(1, 12)])
    entries, settled = [], []
    for seq, at_ns in enumerate(times, 1):
        org, currency, project, key = rng.choice(tenants)
        entry = {"seq": seq, "at_ns": at_ns, "kind": "settle", "org": org, "currency": currency, "project": project, "key": key,
                 "tokens": dict.fromkeys(BUCKETS, 0), "model": "", "version": 0, "tier": 0, "flags": 0, "amount": 0, "residue": 0,
                 "microjoules": 0, "energy_cost": 0, "co2": 0}
        entry["id_ms"] = (at_ns - rng.randrange(1, 90 * 10**9)) // 10**6
        entry["tail"] = rng.randbytes(10).hex()
        what = rng.random()
        if what < 0.05 and len(settled) > 5:
            make_reversal(rng, entry, settled)
        elif what < 0.08:
            entry.update(kind="credit", amount=rng.choice([50, 100, -5]) * 10**9, project=0, key=0)
        elif what < 0.09:
            entry.update(kind="write_off", amount=rng.randrange(1, 10**9), project=0, key=0)
        elif what < 0.12:
            entry.update(kind="void", model="flash", version=1)
        else:
            make_settle(rng, entry)
            settled.append(entry)
        entries.append(entry)
    return entries


def make_settle(rng, entry):
    entry["version"] = 1 if entry["id_ms"] * 10**6 < ns(2026, 11, 16) else 2
    models = ["pro"] if entry["currency"] == "CREDITS" else ["flash", "flash", "pro"] + ["gratis"] * (entry["version"] == 2)
    entry["model"] = rng.choice(models)
    most = rng.choice([5, 2000, 200_000])
    tokens = entry["tokens"]
    for item in ["input", "cache_read", "output"]:
        tokens[item] = rng.randrange(most)
    if entry["model"] == "flash":
        tokens["cache_write"], tokens["reasoning"] = rng.choice([0, rng.randrange(most)]), rng.choice([0, rng.randrange(most)])
        entry["tier"] = rng.choice([0, 0, 1, 3])
    entry["flags"] = rng.choice([0, STREAM])
    if entry["model"] in ("flash", "pro") and entry["currency"] == "USD" and entry["tier"] != 1 and rng.random() < 0.2:
        entry["flags"] |= BATCH
    entry["microjoules"] = rng.randrange(10**9)
    entry["energy_cost"], entry["co2"] = rng.randrange(10**5), rng.randrange(10**5)
    exact, amount = price_it(entry)
    entry["amount"], entry["residue"] = amount, int((exact * 10**9 - amount) * 10**6)
    luck = rng.random()
    if luck < 0.04 and amount > 1000:  # more than its hold
        entry["amount"], entry["residue"] = amount - rng.randrange(1, amount // 2), 0
    elif luck < 0.08:  # by recovery, which does not know the residue
        entry["flags"] |= RECOVERED
        entry["residue"] = 0
    elif luck < 0.10:
        entry["version"] = 99  # of a book that is lost
    elif luck < 0.11:
        entry["amount"] += 7_000  # nobody knows why


def make_reversal(rng, entry, settled):
    of = rng.choice(settled[-40:])
    left = of["amount"] - of.get("reversed", 0)
    if left <= 0:
        entry.update(kind="void")
        return
    amount = left if rng.random() < 0.5 else rng.randrange(1, left + 1)
    of["reversed"] = of.get("reversed", 0) + amount
    for field in ["org", "currency", "project", "key", "id_ms", "tail"]:
        entry[field] = of[field]
    entry.update(kind="reversal", amount=amount)
    if rng.random() < 0.5:  # the others are as journals of before have them
        entry.update(model=of["model"], version=of["version"], tier=of["tier"], flags=of["flags"] & BATCH)
    entry["of_seq"] = of["seq"]


def text(fraction):
    """Exactly, as a decimal; there is always one here."""
    value = Decimal(fraction.numerator) / Decimal(fraction.denominator)
    assert Fraction(value) == fraction
    return f"{value.normalize():f}" if value else "0"


def lines_of(entry, settled_here):
    """(what it is, unit price, quantity, exact amount) of one entry; together they are its amount"""
    if entry["kind"] == "reversal":
        late = entry["of_seq"] not in settled_here
        return [("late_reversal" if late else "reversal", None, 0, -Fraction(entry["amount"], 10**9))], ""
    amount = Fraction(entry["amount"], 10**9)
    rates, band = rates_of(entry)
    exact, rounded = price_it(entry)
    if rates is None or entry["amount"] > rounded:
        return [("other", None, 0, amount)] if amount else [], ""
    lines = [(item, rates[item], count, count * rates[item]) for item, count in entry["tokens"].items() if count]
    if rates["request"]:
        lines.append(("request", rates["request"], 1, rates["request"]))
    lines.append(("rounding", None, 0, Fraction(rounded, 10**9) - exact))
    lines.append(("capped", None, 0, amount - Fraction(rounded, 10**9)))
    return [line for line in lines if line[1] is not None or line[3]], band


def expect(entries):
    november = [e for e in entries if BEGIN <= e["at_ns"] < END and e["kind"] in ("settle", "reversal")]
    settled_here = {e["seq"] for e in november if e["kind"] == "settle"}
    invoice, costs, usage = defaultdict(lambda: [0, Fraction(0)]), defaultdict(Fraction), defaultdict(lambda: [0] * 12)
    for e in november:
        lines, band = lines_of(e, settled_here)
        assert sum(line[3] for line in lines) == Fraction(e["amount"] if e["kind"] == "settle" else -e["amount"], 10**9)
        batch = int(bool(e["flags"] & BATCH) or e["tier"] == 3)
        day = (EPOCH + timedelta(days=(e["at_ns"] // 10**9) // 86400)).strftime("%Y-%m-%d")
        for what, rate, quantity, amount in lines:
            if rate is None:
                key = ("extra", e["org"], e["currency"], e["project"], what)
            else:
                unit = text(rate if what == "request" else rate * 10**6)
                key = ("line", e["org"], e["currency"], e["project"], e["model"], what, TIERS[e["tier"]], batch, band, e["version"], unit)
            invoice[key][0] += quantity
            invoice[key][1] += amount
            invoice[("subtotal", e["org"], e["currency"], e["project"])][1] += amount
            invoice[("total", e["org"], e["currency"])][1] += amount
            item = "reversal" if what == "late_reversal" else what
            costs[(day, e["org"], e["project"], f"{e['model']}, {item}" if e["model"] else item)] += amount
        hour = e["at_ns"] // 10**9 // 3600 * 3600
        into = usage[(hour, e["org"], e["project"], e["key"], e["model"], e["tier"], batch, e["currency"])]
        settle = e["kind"] == "settle"
        row = [*e["tokens"].values(), int(settle), e["amount"] if settle else -e["amount"], e["microjoules"], e["energy_cost"], e["co2"]]
        for i, value in enumerate(row):
            into[i] += value
    return invoice, costs, usage


def entries_csv(entries):
    yield "# seq,at_ns,kind,id,org,project,key,currency,amount,seven buckets,model,price_version,tier,flags,residue,microjoules,energy_cost,co2"
    for e in entries:
        identity = e["id_ms"].to_bytes(6, "big").hex() + e["tail"]
        yield ",".join(str(v) for v in [
            e["seq"], e["at_ns"], e["kind"], identity, e["org"], e["project"], e["key"], e["currency"], e["amount"], *e["tokens"].values(),
            e["model"], e["version"], e["tier"], e["flags"], e["residue"], e["microjoules"], e["energy_cost"], e["co2"]])


def expected_csv(entries):
    invoice, costs, usage = expect(entries)
    yield "# line|extra|subtotal|total: of November's invoices; cost: day,org,project,line item; usage: hour,org,project,key,model,tier,batch,currency"
    for key in sorted(invoice, key=lambda k: tuple(str(v) for v in k)):
        quantity, amount = invoice[key]
        if key[0] == "extra" and amount == 0:
            continue
        yield ";".join(str(v) for v in [*key, *([quantity] if key[0] == "line" else []), text(amount)])
    for key in sorted(costs):
        yield ";".join(str(v) for v in ["cost", *key, text(costs[key])])
    for key in sorted(usage):
        yield ";".join(str(v) for v in ["usage", *key, *usage[key]])


def check_files(entries):
    """Our own files: every line multiplied, all of them added, against the journal's amounts."""
    booked = sum(e["amount"] * (1 if e["kind"] == "settle" else -1) for e in entries
                 if e["org"] == 1 and e["currency"] == "USD" and BEGIN <= e["at_ns"] < END and e["kind"] in ("settle", "reversal"))
    booked = Decimal(booked) / 10**9
    rows = list(csv.DictReader((HERE / "invoice.csv").open(newline="")))
    parts = [r for r in rows if r["kind"] not in ("subtotal", "total")]
    for row in parts:
        if row["kind"] == "item":
            per = 1 if row["item"] == "request" else 10**6
            assert Decimal(row["unit_price"]) * int(row["quantity"]) / per == Decimal(row["amount"]), row
    for project in {r["project_id"] for r in parts}:
        mine = sum(Decimal(r["amount"]) for r in parts if r["project_id"] == project)
        (subtotal,) = [r for r in rows if r["kind"] == "subtotal" and r["project_id"] == project]
        assert mine == Decimal(subtotal["amount"]), project
    (total,) = [r for r in rows if r["kind"] == "total"]
    assert Decimal(total["amount"]) == booked == sum(Decimal(r["amount"]) for r in parts)
    focus = list(csv.DictReader((HERE / "focus.csv").open(newline="")))
    assert sum(Decimal(r["BilledCost"]) for r in focus) == booked
    assert {r["InvoiceId"] for r in focus} == {total["invoice_id"]}
    for row in focus:
        if row["ChargeCategory"] == "Usage":
            for cost, price in [("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")]:
                assert Decimal(row[price]) * Decimal(row["PricingQuantity"]) == Decimal(row[cost]) == Decimal(row["BilledCost"]), row
    print(f"invoice: {len(rows)} rows of invoice.csv and {len(focus)} of focus.csv add up to the journal's {booked} USD")


def main():
    entries = make_entries()
    files = {"entries.csv": entries_csv(entries), "expected.csv": expected_csv(entries)}
    made = {name: "".join(line + "\n" for line in lines) for name, lines in files.items()}
    if sys.argv[1:] == ["--write"]:
        for name, content in made.items():
            (HERE / name).write_text(content)
        return 0
    if sys.argv[1:] != ["--check"]:
        print(__doc__)
        return 2
    wrong = [name for name, content in made.items() if (HERE / name).read_text() != content]
    if wrong:
        print("invoice: other than what this script writes:", ", ".join(wrong))
        return 1
    check_files(entries)
    return 0


if __name__ == "__main__":
    sys.exit(main())
