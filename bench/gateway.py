#!/usr/bin/env python3
"""What the gateway can do with keys, limits and durable books on: whole requests a second, and what it adds to a request.

    gateway.py [--mill PROGRAM] [--seconds 10] [--rounds 3] [--connections 64] [--ledger ADDRESS] [--flag FLAG …]

Serves sim:instant (a worker that computes nothing), makes a tenant over the admin API, and lets `wrk` ask for eight tokens
at a time, open and with books, in turns. Server and load generator share the machine. Prints medians and every round.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BODY = {
    "model": "sim:instant",
    "max_tokens": 8,
    "messages": [{"role": "user", "content": "Say hello to the mill, please."}],
}


def call(url, key, method, path, body=None):
    request = urllib.request.Request(url + path, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def make_tenant(url, admin):
    rates = {"input": "0.15", "cache_read": "0.03", "output": "0.60"}
    prices = [{"currency": "USD", "rates": rates}]
    call(url, admin, "POST", "/v1/price_books", {"models": [{"id": "sim:instant", "prices": prices}]})
    org = call(url, admin, "POST", "/v1/organizations", {"name": "bench", "currency": "USD", "credit": "1000000"})
    project = call(url, admin, "POST", f"/v1/organization/projects?organization_id={org['id']}", {"name": "p"})
    limits = {"requests_per_minute": 100_000_000, "input_tokens_per_minute": 10**12, "output_tokens_per_minute": 10**12}
    call(url, admin, "POST", f"/v1/organization/projects/{project['id']}/rate_limits", limits)
    return call(url, admin, "POST", f"/v1/organization/projects/{project['id']}/api_keys", {"name": "k"})["value"]


class Mill:
    def __init__(self, args, folder, books):
        port_file = folder / "port"
        flags = ["--ledger", args.ledger or str(folder / "ledger.db")] if books else ["--open"]
        command = [args.mill, "serve", "--model", "sim:instant", "--port", "0", "--port-file", str(port_file)]
        self.out = open(folder / "out", "w+")
        self.process = subprocess.Popen(
            command + ["--log-level", "warn"] + flags + args.flag, stdout=self.out, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            if port_file.exists():
                break
            time.sleep(0.05)
        else:
            raise SystemExit("the server did not start")
        self.url = f"http://127.0.0.1:{port_file.read_text().strip()}"
        self.key = "none"
        if books:
            admin = re.search(r"sk-admin-\w+", (folder / "out").read_text())
            if not admin:
                raise SystemExit("this journal has its operator's key already: give an empty one")
            self.key = make_tenant(self.url, admin[0])

    def seconds_used(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.out.close()


def load(mill, seconds, connections, folder):
    script = folder / "post.lua"
    script.write_text(
        f"""wrk.method = "POST"
wrk.body = [[{json.dumps(BODY)}]]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {mill.key}"
"""
    )
    before = mill.seconds_used()
    url = mill.url + "/v1/chat/completions"
    shown = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "Non-2xx" in shown:
        raise SystemExit("requests were refused:\n" + shown)
    count = int(re.search(r"(\d+) requests in", shown)[1])
    latency = {p: re.search(rf"{p}%\s+([\d.]+)(us|ms|s)", shown) for p in ("50", "99")}
    scale = {"us": 1e-3, "ms": 1, "s": 1e3}
    found = {f"p{p}_ms": float(m[1]) * scale[m[2]] for p, m in latency.items()}
    found["per_second"] = float(re.search(r"Requests/sec:\s+([\d.]+)", shown)[1])
    found["cpu_us"] = (mill.seconds_used() - before) / count * 1e6
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mill", default=str(ROOT / "build/release/src/app/tokenmill"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--ledger", help="a journal of its own, like postgres://…; a file in a temporary folder unless given")
    parser.add_argument("--flag", action="append", default=[], help="a further flag of serve; repeatable")
    args = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not here: apt-get install wrk")
    results = {"open": [], "books": [], "books, one connection": []}
    with tempfile.TemporaryDirectory() as name:
        folders = {kind: pathlib.Path(name) / kind for kind in ("open", "books")}
        for folder in folders.values():
            folder.mkdir()
        mills = {kind: Mill(args, folder, kind == "books") for kind, folder in folders.items()}
        try:
            for _ in range(args.rounds):
                for kind, mill in mills.items():
                    results[kind].append(load(mill, args.seconds, args.connections, folders[kind]))
                results["books, one connection"].append(load(mills["books"], args.seconds, 1, folders["books"]))
        finally:
            for mill in mills.values():
                mill.close()
    for kind, rounds in results.items():
        middle = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
        print(
            f"{kind:24} {middle['per_second']:8.0f}/s  p50 {middle['p50_ms']:6.2f} ms  p99 {middle['p99_ms']:6.2f} ms  "
            f"server CPU {middle['cpu_us']:5.0f} µs a request  rounds {[round(r['per_second']) for r in rounds]}"
        )


if __name__ == "__main__":
    main()
