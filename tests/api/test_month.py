#!/usr/bin/env python3
"""October 2026 through the whole server on a clock of its own, and its invoices against a script that adds them up from what clients saw.

mill_clocked_server is the gateway, the office, the till and a journal on SQLite, with simulated models behind and HTTP in front; the
clock of its books is set from here. Tenants with two currencies and three tiers ask three models for streams and whole answers, in
and out of peak hours, around the end of Berlin's summer time (October 25 has an hour twice), around a change of prices in the
middle of the month, and over both ends of the month; some leave, some answers break, one process is killed in an answer, some
requests are sent again under an Idempotency-Key, and some charges are given back, in the month and after it.
tests/oracle/served_month.py then says every line of every invoice, and the CSV of the administrative API must say the same; so must
the sums of /v1/organization/costs and of /v1/organization/usage/completions by model, from which what was given back is taken. MILL_TEST_SEED=n makes the choices of one run again.
"""

import contextlib
import csv
import http.client
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import urllib.parse
from collections import defaultdict
from fractions import Fraction

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "oracle")]
import mill  # noqa: E402
import served_month as oracle  # noqa: E402

SEED = int(os.environ.get("MILL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
BEGIN, END = oracle.ns("2026-10-01T00:00:00Z"), oracle.ns("2026-11-01T00:00:00Z")
SECOND, HOUR = 10**9, 3600 * 10**9
MODELS = ("flash=instant,answer=40", "pro=step=1ms,answer=30", "frail=instant,answer=20,fault=5,every=3")

BANDS = [{"name": "peak", "zone": "Europe/Berlin", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": [{"from": "08:00", "to": "20:00"}]},
         {"name": "sunday", "zone": "Europe/Berlin", "days": ["sun"], "hours": [{"from": "01:30", "to": "03:30"}]}]
FIRST = {"note": "the first", "bands": BANDS, "models": [
    {"id": "flash", "prices": [
        {"currency": "USD", "rates": {"input": "0.15", "cache_read": "0.003", "output": "0.60", "request": "0.0001"},
         "bands": [{"band": "peak", "factor": "2"}, {"band": "sunday", "factor": "0.7"}],
         "tiers": [{"tier": "priority", "factor": "1.75"}, {"tier": "flex", "factor": "0.5"}]},
        {"currency": "CNY", "rates": {"input": "1.07", "cache_read": "0.021", "output": "4.3"},
         "bands": [{"band": "peak", "factor": "2"}, {"band": "sunday", "factor": "0.9"}], "tiers": [{"tier": "flex", "factor": "0.5"}]}]},
    {"id": "pro", "prices": [
        {"currency": "USD", "rates": {"input": "0.66", "cache_read": "0.022", "output": "1.98"},
         "bands": [{"band": "peak", "rates": {"input": "1.32", "cache_read": "0.044", "output": "3.961234567"}}],
         "tiers": [{"tier": "priority", "factor": "2"}]},
        {"currency": "CNY", "rates": {"input": "4.7", "cache_read": "0.16", "output": "14.1"}}]},
    {"id": "frail", "prices": [{"currency": c, "rates": {"input": "0.02", "output": "0.05"}} for c in ("USD", "CNY")]}]}
SECOND_BOOK = json.loads(json.dumps(FIRST)) | {"note": "from the 14th", "effective_from": "2026-10-14T07:30:00Z"}
SECOND_BOOK["models"][0]["prices"][0]["rates"] = {"input": "0.14", "cache_read": "0.0029", "output": "0.57", "request": "0.00007"}
SECOND_BOOK["models"][1]["prices"][1]["rates"]["output"] = "15.000000001"


class Clocked:
    """The server, on its clock."""

    def __init__(self, binary, ledger, at_ns):
        self.binary, self.ledger, self.at_ns = binary, ledger, at_ns
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.binary, self.ledger, str(self.at_ns), *MODELS], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        port = self.process.stdout.readline()
        if not port:
            raise mill.Failed(f"mill_clocked_server ended with {self.process.wait()}")
        self.server = mill.Server("127.0.0.1", int(port), self.process)
        self.key = self.process.stdout.readline().strip()

    def set(self, at_ns):
        self.at_ns = max(self.at_ns, at_ns)
        self.process.stdin.write(f"{self.at_ns}\n")
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != str(self.at_ns):
            raise mill.Failed("the clock does not follow")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.stdin.close()
        if self.process.wait(30) != 0:
            raise mill.Failed("mill_clocked_server did not end well")


class Month:
    def __init__(self, clocked, rng):
        self.clocked, self.rng, self.admin = clocked, rng, clocked.key
        self.prices, self.tenants, self.seen, self.backs, self.replayed = oracle.Prices(), [], [], [], 0

    def call(self, method, path, body=None, org=None):
        headers = {"Authorization": f"Bearer {self.admin}", "Content-Type": "application/json"}
        if org:
            headers["OpenAI-Organization"] = org
        connection = self.clocked.server.connect()
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            text = reply.read().decode()
        if reply.status != 200:
            raise mill.Failed(f"{method} {path} gave {reply.status}: {text[:500]}")
        return text

    def post(self, path, body, org=None):
        return json.loads(self.call("POST", path, body, org))

    def set_prices(self, body):
        self.post("/v1/price_books", body)
        self.prices.add(body, self.clocked.at_ns)

    def found(self):
        self.set_prices(FIRST)
        for name, terms, tiers in (("ada", {"currency": "USD", "credit": "500"}, ("default", "priority")),
                                   ("bao", {"currency": "CNY", "credit_limit": "2000"}, ("default", "flex"))):
            org = self.post("/v1/organizations", {"name": name, **terms})["id"]
            for tier in tiers:
                project = self.post("/v1/organization/projects", {"name": tier, "tier": tier}, org)["id"]
                for key in ("a", "b"):
                    made = self.post(f"/v1/organization/projects/{project}/api_keys", {"name": key}, org)
                    self.tenants.append({"org": org, "project": project, "tier": tier, "currency": terms["currency"], "secret": made["value"]})

    def ask(self, pause_ns=0, long=False):
        """One request; its clock goes on by `pause_ns` in the middle of a stream. `long`: of one that takes its time."""
        rng = self.rng
        tenant = rng.choice([t for t in self.tenants if not long or t["tier"] != "flex"])  # to which "pro" is not sold
        model = "pro" if long else rng.choice(("flash", "flash", "pro", "frail"))
        way = "stream" if long else rng.choice(("whole", "stream", "stream", "leave", "twice"))
        text = rng.choice(("A text that many ask. " * 30, "")) + "".join(rng.choice("abc ") for _ in range(rng.randrange(1, 90)))
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": rng.randrange(1, 60),
                "stream": way in ("stream", "leave")}
        headers = {"Authorization": f"Bearer {tenant['secret']}", "Content-Type": "application/json"}
        if body["stream"]:
            body["stream_options"] = {"include_usage": True}
        if way == "leave" or long:
            body |= {"max_tokens": 500 if way == "leave" else 200 + rng.randrange(50), "ignore_eos": True}
        if way == "twice":
            headers["Idempotency-Key"] = f"k{len(self.seen)}"
        seen = {"tenant": tenant, "model": model, "way": way, "accepted_ns": self.clocked.at_ns, "usage": None, "pieces": 0, "most": body["max_tokens"]}
        self.seen.append(seen)
        for again in range(2 if way == "twice" else 1):
            connection = self.clocked.server.connect()
            with contextlib.closing(connection):
                connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
                reply = connection.getresponse()
                if again and reply.headers.get("Idempotent-Replayed"):
                    self.replayed += 1
                    assert reply.headers["X-Tokenmill-Receipt"] == seen["receipt"]
                    continue
                seen["status"], seen["receipt"] = reply.status, reply.headers.get("X-Tokenmill-Receipt")
                self.read(reply, seen, body["stream"], pause_ns)
            if seen["status"] != 200:
                break

    def read(self, reply, seen, stream, pause_ns):
        if not stream or reply.status != 200:
            text = reply.read().decode()
            if reply.status == 200:
                seen["usage"] = json.loads(text)["usage"]
            return
        for raw in reply:
            data = raw.decode().strip()
            if not data.startswith("data: {"):
                continue
            event = json.loads(data[6:])
            if any(choice["delta"].get("content") for choice in event.get("choices", [])):
                seen["pieces"] += 1
            seen["usage"] = event.get("usage") or seen["usage"]
            if pause_ns:
                self.clocked.set(self.clocked.at_ns + pause_ns)
                pause_ns = 0
            if seen["way"] == "leave" and seen["pieces"] >= 3:
                return

    def give_back(self, seen, amount):
        tenant = seen["tenant"]
        self.post(f"/v1/organizations/{tenant['org']}/reversals",
                  {"request_id": seen["receipt"], **({"amount": amount} if amount else {}), "note": "sorry"})


def wait_for_rest(month):
    """Who has left is settled a moment later, on the clock of then."""
    for _ in range(2000):
        if not month.clocked.server.metrics()["tokenmill_ledger_open_holds"]:
            return
    raise mill.Failed("a hold stays open")


def live(month):
    rng, clocked = month.rng, month.clocked
    days = sorted([rng.randrange(BEGIN, END) for _ in range(330)]
                  + [oracle.ns("2026-10-25T00:00:00Z") + rng.randrange(4 * HOUR) for _ in range(60)]  # the hour that is there twice
                  + [oracle.ns("2026-10-14T07:30:00Z") + d * SECOND // 2 for d in range(-8, 9)]
                  + [BEGIN + d * SECOND for d in (-90000, -7200, -3, -2, -1, 0, 1, 2)]
                  + [END + d * SECOND for d in (-3, -2, -1, 0, 1, 40000)])
    posted = killed = False
    for at_ns in days:
        at_ns -= at_ns % 10**6
        if not posted and at_ns > oracle.ns("2026-10-10T00:00:00Z"):
            clocked.set(oracle.ns("2026-10-10T00:00:00Z"))
            month.set_prices(SECOND_BOOK)
            posted = True
        clocked.set(at_ns)
        # In peak hours, where charges are rounded.
        if not killed and at_ns > oracle.ns("2026-10-20T06:30:00Z"):
            killed = True
            die_in_an_answer(month)
        # Accepted before an edge, booked behind it.
        edge = min((e - at_ns for e in (BEGIN, oracle.ns("2026-10-14T07:30:00Z"), END) if 0 < e - at_ns < 5 * SECOND), default=0)
        month.ask(pause_ns=edge + SECOND if edge else rng.choice((0, 0, 61 * SECOND)), long=edge > 0)
        if month.seen[-1]["way"] == "leave":
            wait_for_rest(month)
        charged = [s for s in month.seen[-60:] if s["usage"]]
        if charged and rng.random() < 0.06:
            with contextlib.suppress(mill.Failed):  # nothing left of it
                month.give_back(rng.choice(charged), rng.choice((None, "0.00000011", "0.000000003")))
    clocked.set(END + 50 * HOUR)
    month.give_back(next(s for s in reversed(month.seen) if s["usage"] and s["accepted_ns"] < END), None)


def die_in_an_answer(month):
    seen = {"tenant": month.tenants[0], "model": "pro", "way": "killed", "accepted_ns": month.clocked.at_ns, "usage": None, "pieces": 0, "most": 400}
    month.seen.append(seen)
    body = {"model": "pro", "messages": [{"role": "user", "content": "on and on"}], "max_tokens": 400, "ignore_eos": True, "stream": True}
    connection = month.clocked.server.connect()
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": f"Bearer {seen['tenant']['secret']}"})
        reply = connection.getresponse()
        seen["status"], seen["receipt"] = reply.status, reply.headers["X-Tokenmill-Receipt"]
        for raw in reply:
            seen["pieces"] += b'"content":"' in raw and b'"content":""' not in raw
            if seen["pieces"] == 120:
                month.clocked.kill()
    month.clocked.start()


def charges_of(month, entries):
    """What clients saw as charges for the oracle. The journal gives when, and what was milled for those who were cut off."""
    ends = {e["id"]: e for e in entries if e["kind"] in ("settle", "void", "expire")}
    charges, free = {}, 0
    for seen in month.seen:
        end = ends.pop(seen.get("receipt"), None)
        what = f"{seen['way']} of {seen['model']} {seen.get('receipt')}"
        if end is None or end["kind"] == "void":
            assert not seen["usage"], f"{what} was answered and is free"
            free += 1
            continue
        tokens = {"input": end["input_uncached"], "cache_read": end["input_cache_read"], "output": end["output_text"]}
        usage = seen["usage"]
        if usage:
            cached = usage["prompt_tokens_details"]["cached_tokens"]
            said = {"input": usage["prompt_tokens"] - cached, "cache_read": cached, "output": usage["completion_tokens"]}
            assert tokens == said, f"{what} said {said} and was charged {tokens}"
        elif seen["way"] == "leave":
            assert seen["pieces"] <= tokens["output"] <= seen["most"], f"{what}: {seen['pieces']} seen, {tokens} charged"
        else:  # cut off by a fault or a crash: no more than what was seen
            assert tokens["output"] <= seen["pieces"], f"{what}: {seen['pieces']} seen, {tokens} charged"
        charges[seen["receipt"]] = {"accepted_ns": seen["accepted_ns"], "booked_ns": end["at_ns"], "model": seen["model"], "tokens": tokens,
                                    "tier": seen["tenant"]["tier"], "currency": seen["tenant"]["currency"], "org": seen["tenant"]["org"],
                                    "project": seen["tenant"]["project"]}
        _, _, nanos = oracle.bill(month.prices, charges[seen["receipt"]])
        assert nanos == Fraction(end["amount"]) * 10**9, f"{what} at {seen['accepted_ns']} costs {nanos} and was charged {end['amount']}"
    assert all(Fraction(e["amount"]) == 0 for e in ends.values()), "something was charged that no client asked for"
    return charges, free


def compare(month, org, charges, reversals):
    rows = csv.DictReader(io.StringIO(month.call("GET", "/v1/organization/invoices/2026-10/csv", org=org)))
    ours = oracle.read_invoice(rows)
    theirs = oracle.invoice(month.prices, charges, reversals, BEGIN, END)
    for key in sorted(ours.keys() | theirs.keys(), key=str):
        assert ours.get(key) == theirs.get(key), f"{key}: the invoice says {ours.get(key)}, the script {theirs.get(key)}"
    models = oracle.by_model(month.prices, charges, reversals, BEGIN, END)
    assert sum(models.values()) == theirs[("total",)], "the script disagrees with itself"
    costs = by_model(month, org, "costs", "line_item", lambda row: (row["line_item"].rsplit(", ", 1)[0], row["amount"]))
    usage = by_model(month, org, "usage/completions", "model", lambda row: (row["model"], row["charged"]))
    for what, ours in (("costs", costs), ("usage", usage)):
        assert ours == models, f"the {what} of the models are {ours}, by the script {models}"
    return theirs


def by_model(month, org, report, group, read):
    """The sums of a report of October, by model, over all its pages; `read` gives the model and the amount of a row."""
    sums, page = defaultdict(Fraction), ""
    while page is not None:
        query = urllib.parse.urlencode({"start_time": BEGIN // SECOND, "end_time": END // SECOND, "limit": 31, "group_by": group} | ({"page": page} if page else {}))
        answer = json.loads(month.call("GET", f"/v1/organization/{report}?{query}", org=org))
        for model, amount in (read(row) for bucket in answer["data"] for row in bucket["results"]):
            sums[model] += Fraction(amount["exact"])
        page = answer["next_page"]
    return sums


def drive(binary, server):
    with tempfile.TemporaryDirectory() as folder:
        ledger = f"{folder}/ledger.db"
        clocked = Clocked(server, ledger, oracle.ns("2026-09-28T12:00:00Z"))
        try:
            month = Month(clocked, random.Random(SEED))
            month.found()
            live(month)
            exported = subprocess.run([binary, "ledger", "export", "--ledger", ledger], capture_output=True, text=True, check=True).stdout
            entries = [json.loads(line) for line in exported.splitlines()]
            charges, free = charges_of(month, entries)
            reversals = [{"booked_ns": e["at_ns"], "nanos": Fraction(e["amount"]) * 10**9, "charge": charges[e["id"]],
                          "project": charges[e["id"]]["project"], "org": charges[e["id"]]["org"]} for e in entries if e["kind"] == "reversal"]
            lines = set()
            for org in sorted({t["org"] for t in month.tenants}):
                said = compare(month, org, [c for c in charges.values() if c["org"] == org], [r for r in reversals if r["org"] == org])
                lines |= said.keys()
            clocked.end()
        finally:
            if clocked.process.poll() is None:
                clocked.kill()
    bands = {key[5] for key in lines if key[0] == "item"}
    versions = {key[6] for key in lines if key[0] == "item"}
    tiers = {key[4] for key in lines if key[0] == "item"}
    crossed = sum(c["accepted_ns"] < e <= c["booked_ns"] for c in charges.values() for e in (BEGIN, END))
    print(f"{len(month.seen)} requests ({free} free, {month.replayed} sent again), {len(reversals)} reversals, {len(lines)} lines of two invoices, "
          f"each as the script adds it; {crossed} accepted in one month and booked in the next")
    assert bands == {"base", "peak", "sunday"} and versions == {1, 2} and tiers == {"default", "priority", "flex"}, (bands, versions, tiers)
    assert free and month.replayed and reversals and crossed, "too little happened"
    assert any(seen["way"] == "killed" and seen["receipt"] in charges for seen in month.seen), "the killed answer had no progress"


@mill.ends_with_a_sentence
def main():
    binary = os.environ.get("TOKENMILL_BINARY", "")
    server = pathlib.Path(binary).parents[2] / "tests/mill_clocked_server" if binary else None
    if not server or not server.exists():
        print("mill_clocked_server is not built beside TOKENMILL_BINARY")
        sys.exit(77)
    print(f"MILL_TEST_SEED={SEED}")
    try:
        drive(binary, server)
    except AssertionError as wrong:
        raise mill.Failed(f"FAIL: {wrong}") from wrong


if __name__ == "__main__":
    main()
