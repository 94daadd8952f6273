#!/usr/bin/env python3
"""The whole server, killed (-9) at random moments while tenants ask it, and what its books say afterwards.

One journal lives through many processes of `tokenmill serve`. In each life clients of three tenants ask for streams and whole
answers, some under an Idempotency-Key, some leave in the middle; then the process is killed, sometimes while it recovers from the
kill before. The books are read by `tokenmill ledger verify` and `ledger export` alone, and added up again here:

- the journal verifies right after the kill and after recovery, and no hold is open when the server is ready again;
- an answer that its client got to the last byte has one settle, with the tokens that the client read in `usage`, at the price of
  the list to the nano;
- no request ends twice, none is charged more than it held, and nothing available is ever negative, at any entry;
- what was asked under an Idempotency-Key is charged once, however often it was sent and whatever was killed in between;
- over a life that nobody disturbs, the worker's counters in /metrics equal the sums of the ledger.

On SQLite and on PostgreSQL (skipped, with the reason, where no server is installed). Needs the binary in $TOKENMILL_BINARY.
MILL_TEST_STEPS=n lives n times as often, MILL_TEST_SEED=n makes the choices of one run again (not its timing).
"""

import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from fractions import Fraction

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import mill  # noqa: E402
import postgres  # noqa: E402

BINARY = os.environ.get("TOKENMILL_BINARY", "")
STEPS = int(os.environ.get("MILL_TEST_STEPS", "1"))
SEED = int(os.environ.get("MILL_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
MODEL = "sim:step=1ms,per_sequence=0.02ms,prefill=200000,answer=30"
RATES = {"USD": {"input": "0.15", "cache_read": "0.03", "output": "0.60"},
         "CNY": {"input": "1.1", "cache_read": "0.113", "output": "4.37"}}
ENDS = ("settle", "void", "expire")
WAYS = ("whole", "stream", "leave", "long", "keyed")


def nano(text):
    return int(Fraction(text) * 10**9)


def price(currency, entry):
    """Of the tokens of an entry, in nanos, rounded once, half to even."""
    rates = RATES[currency]
    exact = sum(Fraction(rates[name]) * entry[bucket]
                for name, bucket in (("input", "input_uncached"), ("cache_read", "input_cache_read"), ("output", "output_text")))
    return round(exact * 1000)  # per million tokens, in 1e-9


class Asked:
    """One request and what its client has seen of it."""

    def __init__(self, tenant, way, body, idempotency=None):
        self.tenant, self.way, self.body, self.idempotency = tenant, way, body, idempotency
        self.status = self.receipt = self.usage = self.text = None
        self.whole = self.replayed = False


def talk(server, asked, rng):
    """Sends one request and reads until the end, or until this client has had enough. OSError, HTTPException: the server is gone."""
    headers = {"Authorization": f"Bearer {asked.tenant['secret']}", "Content-Type": "application/json"}
    if asked.idempotency:
        headers["Idempotency-Key"] = asked.idempotency
    connection = server.connect(timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/chat/completions", json.dumps(asked.body), headers)
        reply = connection.getresponse()
        asked.status, asked.receipt = reply.status, reply.headers.get("X-Tokenmill-Receipt")
        asked.replayed = reply.headers.get("Idempotent-Replayed") == "true"
        if not asked.body["stream"] or reply.status != 200:
            asked.text = reply.read().decode()
            if reply.status == 200:
                asked.usage, asked.whole = json.loads(asked.text)["usage"], True
            return
        lines, leave_after = [], rng.randrange(2, 12) if asked.way == "leave" else None
        for raw in reply:
            lines.append(raw.decode())
            data = lines[-1].strip()
            if data.startswith("data: {"):
                event = json.loads(data[6:])
                if "error" in event:
                    return
                asked.usage = event.get("usage") or asked.usage
            if data == "data: [DONE]":
                asked.whole = True
            if leave_after is not None and len(lines) > leave_after:
                return
        asked.text = "".join(lines)


class Clients:
    """Threads that ask until they are told to stop or the server is gone; `done` has what they saw."""

    def __init__(self, stand, server, seed, threads, each=None):
        self.done, self.wrong, self.over = [], [], threading.Event()
        self.stand, self.server, self.each = stand, server, each
        self.threads = [threading.Thread(target=self.run, args=(f"{seed}/{i}", i)) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, seed, number):
        rng = random.Random(seed)
        left = self.each
        try:
            while not self.over.is_set() and left != 0:
                asked = self.stand.again() if number == 0 else None
                asked = asked or self.stand.draw(rng, "keyed" if number == 0 else None)
                self.done.append(asked)
                talk(self.server, asked, rng)
                left = None if left is None else left - 1
        except (OSError, http.client.HTTPException, ValueError):
            pass  # killed, or about to be
        except Exception as wrong:  # noqa: BLE001 - a fault of this script must not look like a kill
            self.wrong.append(repr(wrong))

    def join(self):
        for thread in self.threads:
            thread.join(60)
            if thread.is_alive():
                raise mill.Failed("a client waits for ever")
        if self.wrong:
            raise mill.Failed(f"a client failed: {self.wrong[0]}")
        return self.done


class Stand:
    """A journal, the tenants in it, and the process that serves them at present."""

    def __init__(self, folder, ledger, rng):
        self.folder, self.ledger, self.rng = pathlib.Path(folder), ledger, rng
        self.asked, self.tenants, self.admin = [], [], None
        self.keyed, self.serial, self.kills = {}, 0, 0
        self.process = None

    # Its processes.

    def launch(self):
        self.log = self.folder / "log"
        with self.log.open("wb") as sink:
            self.process, self.port_file = mill.launch(BINARY, MODEL, self.folder, "--ledger", self.ledger, sink=sink, open=False)

    def ready(self):
        return mill.wait_until_ready(self.process, self.port_file, 60)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def end(self):
        self.process.terminate()
        code = self.process.wait(30)
        if code != 0:
            raise mill.Failed(f"tokenmill serve exited with {code} after SIGTERM: {self.log.read_text()[-2000:]}")

    def command(self, *words):
        done = subprocess.run([BINARY, *words, "--ledger", self.ledger, "--json"], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise mill.Failed(f"tokenmill {' '.join(words)} exited with {done.returncode}: {done.stdout[-1000:]} {done.stderr[-1000:]}")
        return done.stdout

    def verify(self):
        return json.loads(self.command("ledger", "verify"))

    def entries(self):
        return [json.loads(line) for line in self.command("ledger", "export").splitlines()]

    # Its tenants.

    def post(self, server, path, body, org=None):
        headers = {"Authorization": f"Bearer {self.admin}", "Content-Type": "application/json"}
        if org:
            headers["OpenAI-Organization"] = org
        connection = server.connect()
        with contextlib.closing(connection):
            connection.request("POST", path, json.dumps(body), headers)
            reply = connection.getresponse()
            text = reply.read().decode()
        if reply.status != 200:
            raise mill.Failed(f"POST {path} gave {reply.status}: {text[:500]}")
        return json.loads(text)

    def found(self, server):
        self.admin = re.search(r"sk-admin-\w+", self.log.read_text())[0]
        models = [{"id": "sim", "prices": [{"currency": c, "rates": r} for c, r in RATES.items()]}]
        connection = server.connect()
        with contextlib.closing(connection):
            connection.request("GET", "/admin/models", headers={"Authorization": f"Bearer {self.admin}"})
            models[0]["id"] = self.model = json.loads(connection.getresponse().read())["data"][0]["id"]
        self.post(server, "/v1/price_books", {"models": models})
        # One that pays ahead, one that owes, and one that has hardly anything: 120 requests or so.
        for name, terms in (("ahead", {"currency": "USD", "credit": "50"}), ("owes", {"currency": "CNY", "credit_limit": "75.5"}),
                            ("poor", {"currency": "USD", "credit": "0.004"})):
            org = self.post(server, "/v1/organizations", {"name": name, **terms})["id"]
            for project in ("one", "two"):
                made = self.post(server, "/v1/organization/projects", {"name": project}, org)["id"]
                key = self.post(server, f"/v1/organization/projects/{made}/api_keys", {"name": "k"}, org)
                self.tenants.append({"name": name, "secret": key["value"], "key": key["id"], "currency": terms["currency"]})

    # What they ask.

    def draw(self, rng, way=None):
        way = way or rng.choices(WAYS[:4], (45, 30, 15, 10))[0]
        # What is asked under a key comes from a key of its own, so that its charges can be counted.
        tenant = self.tenants[0] if way == "keyed" else rng.choice(self.tenants[1:])
        stream = way in ("stream", "leave", "long") or way == "keyed" and rng.random() < 0.5
        text = rng.choice(("Tell me of mills. " * 8, "")) + "".join(rng.choice("abcdefgh ") for _ in range(rng.randrange(1, 60)))
        body = {"model": self.model, "messages": [{"role": "user", "content": text}], "stream": stream,
                "max_tokens": rng.randrange(1, 60) if way != "long" else 1600}
        if way in ("leave", "long"):
            body["ignore_eos"] = True
        if way == "leave":
            body["max_tokens"] = 400
        if stream:
            body["stream_options"] = {"include_usage": True}
        idempotency = None
        if way == "keyed":
            self.serial += 1
            idempotency = f"order-{self.serial}"
        asked = Asked(tenant, way, body, idempotency)
        if idempotency:
            self.keyed[idempotency] = asked
        return asked

    def again(self):
        """A request under an Idempotency-Key whose answer did not come, or, now and then, one whose answer did. One thread asks it."""
        for key, first in self.keyed.items():
            if not first.whole:
                asked = Asked(first.tenant, first.way, first.body, key)
                self.keyed[key] = asked
                return asked
        return None


def check_journal(entries):
    """What holds for any journal: one end for a hold, never more than it held, nothing available negative at any entry."""
    holds, ends, credit, limit, held = {}, {}, collections.Counter(), collections.Counter(), collections.Counter()
    for entry in entries:
        org, kind, amount = entry["payer"][0], entry["kind"], nano(entry["amount"])
        purse = (org, entry["currency"])
        if kind == "hold":
            assert entry["id"] not in holds, f"{entry['id']} is held twice"
            holds[entry["id"]] = amount
            held[purse] += amount
        elif kind == "extend":
            holds[entry["id"]] += amount
            held[purse] += amount
        elif kind in ENDS:
            assert entry["id"] not in ends, f"{entry['id']} ends twice"
            ends[entry["id"]] = entry
            assert amount <= holds[entry["id"]] == nano(entry["held"]), f"{entry['id']} is charged more than it held"
            held[purse] -= holds[entry["id"]]
            credit[purse] -= amount
        elif kind == "credit":
            credit[purse] += amount
        elif kind == "limit":
            limit[purse] = amount
        available = credit[purse] + limit[purse] - held[purse]
        assert available >= 0, f"entry {entry['seq']} leaves {available} available to organization {org}"
    return holds, ends


def check_answers(asked, ends):
    """What clients saw against what was charged."""
    seen = collections.Counter()
    for one in asked:
        if not one.whole:
            continue
        entry = ends.get(one.receipt)
        what = f"{one.way} answer {one.receipt} of {one.tenant['name']}"
        assert entry and entry["kind"] == "settle", f"{what} came whole and is not charged"
        if not one.replayed:
            seen[one.receipt] += 1
        read = (one.usage["prompt_tokens"], one.usage["prompt_tokens_details"]["cached_tokens"], one.usage["completion_tokens"])
        booked = (entry["input_uncached"] + entry["input_cache_read"], entry["input_cache_read"], entry["output_text"])
        assert read == booked, f"{what} said {read} and was charged {booked}"
        assert nano(entry["amount"]) == price(one.tenant["currency"], entry), f"{what} is charged {entry['amount']}"
        assert entry["key_id"] == one.tenant["key"], f"{what} is charged to another key"
        assert "recovered" not in entry["flags"], f"{what} was ended by recovery"
    twice = [receipt for receipt, count in seen.items() if count > 1]
    assert not twice, f"two answers have one receipt: {twice}"
    return len(seen)


def check_keyed(stand, ends):
    """Each key of a client that was answered is charged once, whatever came between."""
    mine = stand.tenants[0]["key"]
    charged = [e for e in ends.values() if e["key_id"] == mine and nano(e["amount"]) > 0]
    answered = [one for one in stand.keyed.values() if one.whole]
    receipts = {one.receipt for one in answered}
    assert len(receipts) == len(answered), "two Idempotency-Keys have one receipt"
    stray = [e["id"] for e in charged if e["id"] not in receipts]
    assert not stray, f"{len(stray)} charges under an Idempotency-Key are beside those of its answer: {stray[:3]}"
    firsts = {}
    for one in stand.asked:
        if one.idempotency and one.whole:
            first = firsts.setdefault(one.idempotency, one)
            assert one.text == first.text and one.receipt == first.receipt, f"{one.idempotency} was answered in two ways"
    return len(answered)


def live_and_die(stand, number):
    """One life: start, traffic, kill; now and then the kill comes while it starts."""
    stand.launch()
    if stand.rng.random() < 0.25:
        time.sleep(stand.rng.uniform(0, 0.08))
        stand.kill()
        stand.verify()
        stand.launch()
    server = stand.ready()
    found = stand.verify()
    assert found["open_holds"] == 0, f"{found['open_holds']} holds are open after recovery"
    clients = Clients(stand, server, f"{SEED}/{number}", 10)
    time.sleep(stand.rng.uniform(0.02, 0.5) if stand.rng.random() < 0.7 else stand.rng.uniform(1.1, 1.5))
    stand.kill()
    clients.over.set()
    stand.asked += clients.join()
    stand.verify()


def undisturbed(stand):
    """A life in which clients come and leave and nobody kills: its counters against the ledger, to the token."""
    stand.launch()
    server = stand.ready()
    before = len(stand.entries())
    stand.asked += Clients(stand, server, f"{SEED}/calm", 10, each=25).join()
    # Answers sent again after all that: from before the kills, too.
    firsts = {one.idempotency: one for one in stand.asked if one.idempotency and one.whole and not one.replayed}
    for first in stand.rng.sample(sorted(firsts.values(), key=lambda one: one.idempotency), min(20, len(firsts))):
        again = Asked(first.tenant, "keyed", first.body, first.idempotency)
        talk(server, again, stand.rng)
        assert again.replayed, f"{first.idempotency} was answered before a restart and is not known any more: {again.status} {again.text}"
        stand.asked.append(again)
    end = time.monotonic() + 20
    while (now := server.metrics())["tokenmill_ledger_open_holds"] or now["tokenmill_ledger_queued"]:
        if time.monotonic() > end:
            raise mill.Failed("a hold stays open though no client is there")
        time.sleep(0.02)
    sums = collections.Counter()
    for entry in stand.entries()[before:]:
        if entry["kind"] == "settle":
            sums["cached"] += entry["input_cache_read"]
            sums["computed"] += entry["input_uncached"]
            sums["generated"] += entry["output_text"]
            sums["requests"] += 1
    label = f'{{model="{stand.model}"}}'
    for name, sum_of in (("tokenmill_generated_tokens_total", "generated"), ("tokenmill_computed_prompt_tokens_total", "computed"),
                         ("tokenmill_prefix_cache_hit_tokens_total", "cached"), ("tokenmill_completion_tokens_total", "generated"),
                         ("tokenmill_cached_prompt_tokens_total", "cached")):
        counted = now[name + label]
        assert counted == sums[sum_of], f"{name} is {counted:.0f}, and the ledger has {sums[sum_of]}"
    stand.end()
    return sums


def drive(where, ledger, lives):
    with tempfile.TemporaryDirectory() as folder:
        stand = Stand(folder, ledger or f"{folder}/ledger.db", random.Random(f"{SEED}/{where}"))
        try:
            stand.launch()
            stand.found(stand.ready())
            stand.kill()
            for number in range(lives):
                live_and_die(stand, number)
            sums = undisturbed(stand)
            found, entries = stand.verify(), stand.entries()
        finally:
            if stand.process and stand.process.poll() is None:
                stand.kill()
        assert found["open_holds"] == 0, f"{found['open_holds']} holds are open at the end"
        holds, ends = check_journal(entries)
        assert holds.keys() == ends.keys(), "a hold has no end"
        whole = check_answers(stand.asked, ends)
        keyed = check_keyed(stand, ends)
        recovered = sum("recovered" in e["flags"] for e in ends.values())
        print(f"{where}: {stand.kills} kills, {len(entries)} entries, {len(holds)} requests of which {whole} were answered whole and "
              f"{recovered} ended by recovery, {keyed} Idempotency-Keys, {sum(one.replayed for one in stand.asked)} answers sent again; "
              f"undisturbed {sums['requests']} requests, {sums['generated']} tokens: off by 0")
        # A run that disturbed nothing proves nothing.
        assert whole > 10 * lives and recovered > lives / 2 and keyed > lives, "too little happened"


def main():
    if not BINARY or not os.access(BINARY, os.X_OK):
        print("skipped: no binary in $TOKENMILL_BINARY")
        return 77
    print(f"MILL_TEST_SEED={SEED}")
    passed = failed = 0
    for where, lives in (("SQLite", 8 * STEPS), ("PostgreSQL", 3 * STEPS)):
        try:
            if where == "SQLite":
                drive(where, None, lives)
            else:
                with postgres.server() as url:
                    drive(where, url, lives)
            passed += 1
        except postgres.Missing as reason:
            print(f"skipped {where}: {reason}")
        except (AssertionError, mill.Failed) as wrong:
            failed += 1
            print(f"FAIL {where}: {wrong}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
