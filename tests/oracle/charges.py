#!/usr/bin/env python3
"""Ten thousand random charges, computed with Python's fractions, decimal and zoneinfo.

  charges.py > testdata/prices/charges.csv     (the same file every time; src/maas/catalog/price_oracle_test.cc reads it)
  charges.py --check                           the stored file is what this script writes

A line P is a price: zone, the eight prices as text, then the factors of the band "peak" (01:00-04:00 and 06:00-10:00 on the
zone's wall, Monday to Friday), of the tier priority, and of batches. The lines C after it are charges: tier, in a batch or not,
the instant in nanoseconds, the seven buckets, and what must come out: the band, the exact amount in 1e-15, the amount in 1e-9
rounded half to even, and the residue in 1e-15.
"""

import decimal
import pathlib
import random
import sys
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

STORED = pathlib.Path(__file__).resolve().parent.parent.parent / "testdata" / "prices" / "charges.csv"
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham"]
EDGES = [  # instants near which clocks of those zones jump
    datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1), datetime(2026, 3, 8, 7), datetime(2026, 11, 1, 6),
    datetime(2026, 10, 3, 15, 30), datetime(2026, 4, 4, 15), datetime(2026, 9, 26, 14), datetime(2027, 3, 28, 1),
]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
decimal.getcontext().prec = 60


def price_text(rng, decimals, most):
    return f"{decimal.Decimal(rng.randrange(most * 10**decimals)).scaleb(-decimals):f}"


def make_price(rng, number):
    # At most six decimals of a price and one of each factor: no product has more than nine.
    kind = number % 4
    if kind == 0:  # halves of a nano-unit per token, so that ties are common
        prices = [f"{decimal.Decimal(rng.randrange(1, 4000) * 5).scaleb(-4):f}" for _ in range(7)]
    elif kind == 1:
        prices = [price_text(rng, 6, 100) for _ in range(7)]
    elif kind == 2:
        prices = [price_text(rng, 2, 100) for _ in range(7)]
    else:
        prices = [price_text(rng, 6, 1_000_000) for _ in range(7)]
    fee = rng.choice(["0", "0.000001", "0.0005", price_text(rng, 6, 2)])
    factors = [f"{decimal.Decimal(rng.randrange(1, 40)).scaleb(-1):f}" for _ in range(3)]
    return {"zone": rng.choice(ZONES), "prices": prices + [fee], "factors": factors}


def make_instant(rng):
    if rng.random() < 0.5:
        at = rng.choice(EDGES).replace(tzinfo=timezone.utc) + timedelta(minutes=rng.randrange(-300, 300))
    else:
        at = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=rng.randrange(4 * 365 * 86400))
    return int((at - EPOCH).total_seconds()) * 10**9 + rng.randrange(10**9)


def is_peak(zone, at_ns):
    wall = (EPOCH + timedelta(seconds=at_ns // 10**9)).astimezone(ZoneInfo(zone))
    return wall.weekday() < 5 and (1 <= wall.hour < 4 or 6 <= wall.hour < 10)


def charge(price, tier, batch, at_ns, buckets):
    """-> band, exact (in 1e-15), rounded (in 1e-9), residue (in 1e-15)"""
    peak, priority, batch_factor = (Fraction(f) for f in price["factors"])
    band = "peak" if is_peak(price["zone"], at_ns) else "base"
    factor = (peak if band == "peak" else 1) * (priority if tier == "priority" else 1)
    factor *= batch_factor if batch or tier == "batch" else 1
    exact = sum(count * Fraction(p) / 10**6 for count, p in zip(buckets, price["prices"])) * factor
    exact += Fraction(price["prices"][7]) * factor
    amount = round(exact * 10**9)  # Fraction rounds half to even
    whole = decimal.Decimal(exact.numerator) / decimal.Decimal(exact.denominator)
    assert amount == int(whole.scaleb(9).quantize(decimal.Decimal(1), rounding=decimal.ROUND_HALF_EVEN))
    femto = exact * 10**15
    assert femto.denominator == 1
    return band, int(femto), amount, int(femto - amount * 10**6)


def lines():
    rng = random.Random(20261128)
    for number in range(100):
        price = make_price(rng, number)
        yield "P," + ",".join([price["zone"], *price["prices"], *price["factors"]])
        for _ in range(100):
            tier = rng.choice(["default", "default", "priority", "batch"])
            batch = rng.random() < 0.3
            at_ns = make_instant(rng)
            most = rng.choice([3, 1000, 200_000, 10**10])
            buckets = [rng.randrange(most) if rng.random() < 0.7 else 0 for _ in range(7)]
            if number % 4 == 3 and most == 10**10:
                buckets = [b // 10**6 for b in buckets]  # keep the amount within 9.2 billion units
            made = charge(price, tier, batch, at_ns, buckets)
            yield ",".join(str(v) for v in ["C", tier, int(batch), at_ns, *buckets, *made])


def main():
    text = "".join(line + "\n" for line in lines())
    if sys.argv[1:] != ["--check"]:
        sys.stdout.write(text)
        return 0
    same = STORED.read_text() == text
    print("charges: the stored file is", "the same" if same else "another")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
