"""The invoices of a month that was served, added up by hand from what clients saw, with Python's fractions and zoneinfo.

No line of ours is used: price books are read as they were posted, bands, versions, rounding and months are done again. Of the
journal only that is taken which no client can know: when an entry was booked, and what was milled for clients that left or were
cut off. api/test_month.py makes the month and compares.
"""

from collections import defaultdict
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def ns(text):
    """Of an instant such as 2026-10-14T07:30:00Z."""
    return round((datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH).total_seconds() * 1000) * 10**6


class Prices:
    """The versions of a price book, numbered from 1, each as it was posted and when."""

    def __init__(self):
        self.versions = []  # (from ns, body)

    def add(self, body, posted_ns):
        self.versions.append((ns(body["effective_from"]) if "effective_from" in body else posted_ns, body))

    def number_at(self, at_ns):
        begun = [(begin, number) for number, (begin, _) in enumerate(self.versions, 1) if begin <= at_ns]
        return max(begun)[1]

    def rates(self, number, model, currency, tier, at_ns):
        """(item -> price of one, band); nothing where it isn't sold."""
        body = self.versions[number - 1][1]
        found = [m for m in body["models"] if m["id"] == model]
        prices = [p for m in found for p in m["prices"] if p["currency"] == currency]
        if not prices:
            return None
        (price,) = prices
        tiers = {t["tier"]: Fraction(t["factor"]) for t in price.get("tiers", [])} | {"default": Fraction(1)}
        if tier not in tiers:
            return None
        named = {band["band"]: band for band in price.get("bands", [])}
        band = next((b["name"] for b in body.get("bands", []) if b["name"] in named and holds(b, at_ns)), "base")
        here = named.get(band, {})
        base = here.get("rates", price["rates"])
        base = {"cache_read": base["input"], **base}  # what has no price of its own
        per_million = {item: Fraction(rate) * Fraction(here.get("factor", "1")) for item, rate in base.items()}
        rates = {item: rate * tiers[tier] / (1 if item == "request" else 10**6) for item, rate in per_million.items()}
        return rates, band


def holds(band, at_ns):
    wall = (EPOCH + timedelta(microseconds=at_ns // 1000)).astimezone(ZoneInfo(band["zone"]))
    if DAYS[wall.weekday()] not in band.get("days", DAYS):
        return False
    return any(span["from"] <= wall.strftime("%H:%M") < span["to"] for span in band["hours"])


def bill(prices, charge):
    """(lines, nanos) of one charge: {accepted_ns, model, currency, tier, tokens: item -> count}."""
    number = prices.number_at(charge["accepted_ns"])
    rates, band = prices.rates(number, charge["model"], charge["currency"], charge["tier"], charge["accepted_ns"])
    lines = {}
    for item, count in [*charge["tokens"].items(), ("request", 1)]:
        if count and rates.get(item):
            lines[(charge["model"], item, charge["tier"], band, number, rates[item])] = (count, count * rates[item])
    exact = sum(amount for _, amount in lines.values())
    nanos = round(exact * 10**9)
    return lines, exact, nanos


def invoice(prices, charges, reversals, begin_ns, end_ns):
    """Everything that the invoice of one organization must say, as {key: value} with exact amounts.

    A charge has `booked_ns` and `project` besides what bill() needs; a reversal `booked_ns`, `project`, `nanos` and `charge`.
    """
    items, extras, projects = defaultdict(lambda: [0, Fraction(0)]), defaultdict(Fraction), defaultdict(Fraction)
    here = [charge for charge in charges if begin_ns <= charge["booked_ns"] < end_ns]
    for charge in here:
        lines, exact, nanos = bill(prices, charge)
        for key, (count, amount) in lines.items():
            items[(charge["project"], *key)][0] += count
            items[(charge["project"], *key)][1] += amount
        extras[(charge["project"], "rounding")] += Fraction(nanos, 10**9) - exact
        projects[charge["project"]] += Fraction(nanos, 10**9)
    for back in reversals:
        if begin_ns <= back["booked_ns"] < end_ns:
            late = not begin_ns <= back["charge"]["booked_ns"] < end_ns
            extras[(back["project"], "late_reversal" if late else "reversal")] -= Fraction(back["nanos"], 10**9)
            projects[back["project"]] -= Fraction(back["nanos"], 10**9)
    said = {("item", *key): (count, amount) for key, (count, amount) in items.items()}
    said |= {("extra", *key): amount for key, amount in extras.items() if amount}
    said |= {("subtotal", project): amount for project, amount in projects.items()}
    said[("total",)] = sum(projects.values(), Fraction(0))
    return said


def by_model(prices, charges, reversals, begin_ns, end_ns):
    """What each model brought in, less what was given back of it, in the time in which that was booked."""
    models = defaultdict(Fraction)
    for charge in charges:
        if begin_ns <= charge["booked_ns"] < end_ns:
            models[charge["model"]] += Fraction(bill(prices, charge)[2], 10**9)
    for back in reversals:
        if begin_ns <= back["booked_ns"] < end_ns:
            models[back["charge"]["model"]] -= Fraction(back["nanos"], 10**9)
    return models


def read_invoice(rows):
    """The same from the rows of an invoice's CSV."""
    said = {}
    for row in rows:
        project, amount = row["project_id"], Fraction(row["amount"])
        if row["kind"] == "item":
            assert row["batch"] == "false", row
            each = Fraction(row["unit_price"]) / (1 if row["item"] == "request" else 10**6)
            key = ("item", project, row["model"], row["item"], row["tier"], row["band"], int(row["price_version"]), each)
            assert key not in said, f"a line is there twice: {row}"
            said[key] = (int(row["quantity"]), amount)
        elif row["kind"] == "total":
            said[("total",)] = amount
        elif row["kind"] == "subtotal":
            said[("subtotal", project)] = amount
        elif amount:
            said[("extra", project, row["kind"])] = amount
    return said
