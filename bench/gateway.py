#!/usr/bin/env python3
"""What the gateway can do with keys, limits and durable books on: whole requests a second, and what it adds to a request.

    gateway.py [--mill PROGRAM] [--seconds 10] [--rounds 3] [--connections 64] [--few 1,2,3,4] [--ledger ADDRESS]
               [--prompt-kib N --vocabulary GGUF] [--flag FLAG …]

Serves sim:instant (a worker that computes nothing), makes a tenant over the admin API, and lets `wrk` ask for eight tokens
at a time, open and with books, in turns. Server and load generator share the machine. Prints medians and every round.
With --few the latency is measured at little load: so many connections that ask one after the other, in turns, of a loop that
answers fixed bytes (what wrk and the machine take), of the open server, and of the one with books; and beside them what a write
of 512 bytes and its fdatasync take in the journal's folder, written over in place, with nothing else running.
With --prompt-kib the prompts are that long, with books and with the tokenizer of a model file: fresh text (each request with a
cache_salt of its own, so that no cache knows any of it), and text that repeats all but its last turn.
"""
import argparse
import json
import multiprocessing
import os
import pathlib
import random
import re
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BODY = {
    "model": "bench",
    "max_tokens": 8,
    "messages": [{"role": "user", "content": "Say hello to the mill, please."}],
}


def call(url, key, method, path, body=None):
    request = urllib.request.Request(url + path, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def make_tenant(url, admin, name="bench"):
    rates = {"input": "0.15", "cache_read": "0.03", "output": "0.60"}
    prices = [{"currency": "USD", "rates": rates}]
    if name == "bench":
        call(url, admin, "POST", "/v1/price_books", {"models": [{"id": "bench", "prices": prices}]})
    org = call(url, admin, "POST", "/v1/organizations", {"name": name, "currency": "USD", "credit": "1000000"})
    project = call(url, admin, "POST", f"/v1/organization/projects?organization_id={org['id']}", {"name": "p"})
    limits = {"requests_per_minute": 100_000_000, "input_tokens_per_minute": 10**12, "output_tokens_per_minute": 10**12}
    call(url, admin, "POST", f"/v1/organization/projects/{project['id']}/rate_limits", limits)
    return call(url, admin, "POST", f"/v1/organization/projects/{project['id']}/api_keys", {"name": "k"})["value"]


class Mill:
    def __init__(self, args, folder, books):
        port_file = folder / "port"
        flags = ["--ledger", args.ledger or str(folder / "ledger.db")] if books else ["--open"]
        profile = getattr(args, "profile", None) or "sim:instant"
        profile += f",vocabulary={args.vocabulary}" if args.vocabulary else ""
        listed = folder / "models.yaml"
        listed.write_text(f"- model: {json.dumps(profile)}\n  id: bench\n")
        command = [args.mill, "serve", "--models", str(listed), "--port", "0", "--port-file", str(port_file)]
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


def text(kib, seed):
    """Made-up words, as different from each other as those of a language."""
    draw = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgkqjxz"
    words = ["".join(draw.choices(letters, range(26, 0, -1), k=draw.randint(2, 9))) for _ in range(8000)]
    made, size = [], 0
    while size < kib * 1024:
        made.append(draw.choice(words))
        size += len(made[-1]) + 1
    return " ".join(made)


def bodies(kib, repeats, count=48):
    """`count` requests in turns. Those that repeat have one long turn in common, and differ in their last."""
    common = text(kib, 1)
    made = []
    for i in range(count):
        turns = [common, f"and now the number {i}, please"] if repeats else [text(kib, 2 + i)]
        made.append({**BODY, "messages": [{"role": "user", "content": turn} for turn in turns]})
    return made


def load(mill, seconds, connections, folder, requests=(BODY,), fresh=False):
    script = folder / "post.lua"
    fresh_body = """return wrk.format(nil, nil, nil, '{"cache_salt":"' .. count .. '",' .. bodies[turn]:sub(2))"""
    lines = ",\n".join(f"[==[{json.dumps(body)}]==]" for body in requests)
    script.write_text(
        f"""local bodies = {{ {lines} }}
local ready, count = {{}}, os.time() % 100000 * 1000000
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {mill.key}"
function init()
  for i, body in ipairs(bodies) do ready[i] = wrk.format(nil, nil, nil, body) end
end
function request()
  count = count + 1
  local turn = count % #bodies + 1
  {fresh_body if fresh else "return ready[turn]"}
end
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


def fixed_answers(port_file):
    """Answers every request with the same bytes: what is left of a request when the server does nothing."""
    body = b"x" * 400
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    poll = select.epoll()
    listener = socket.create_server(("127.0.0.1", 0))
    poll.register(listener, select.EPOLLIN)
    peers = {}
    port_file.write_text(str(listener.getsockname()[1]))
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                peer, _ = listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peers[peer.fileno()] = peer
                poll.register(peer, select.EPOLLIN)
                continue
            try:  # wrk sends a request in one piece, and waits for its answer; at its end it resets
                asked = peers[number].recv(65536)
                if asked:
                    peers[number].send(answer)
                    continue
            except OSError:
                pass
            poll.unregister(number)
            peers.pop(number).close()


class Fixed:
    """The loop of fixed_answers, to be loaded as a Mill is."""

    key = "none"

    def __init__(self, folder):
        port_file = folder / "fixed-port"
        self.process = multiprocessing.Process(target=fixed_answers, args=(port_file,), daemon=True)
        self.process.start()
        while not port_file.exists() or not port_file.read_text():
            time.sleep(0.05)
        self.url = f"http://127.0.0.1:{port_file.read_text()}"

    seconds_used = Mill.seconds_used

    def close(self):
        self.process.terminate()
        self.process.join()


def bare_sync(folder, count=2000):
    """Milliseconds of a write of 512 bytes and its fdatasync, in a file that is there already: p50 and p99."""
    path = folder / "bare"
    path.write_bytes(bytes(1 << 20))
    file = os.open(path, os.O_RDWR)
    os.fsync(file)
    took = []
    for i in range(count):
        start = time.perf_counter()
        os.pwrite(file, bytes([i % 251]) * 512, i * 512 % (1 << 20))
        os.fdatasync(file)
        took.append((time.perf_counter() - start) * 1e3)
    os.close(file)
    path.unlink()
    took.sort()
    return took[count // 2], took[count * 99 // 100]


def few(args, mills, folders):
    mills = {"fixed bytes": Fixed(folders["open"]), **mills}
    folders = {"fixed bytes": folders["open"], **folders}
    counts = [int(count) for count in args.few.split(",")]
    found = {(count, kind): [] for count in counts for kind in mills}
    syncs = []
    for _ in range(args.rounds):
        syncs.append(bare_sync(folders["books"]))
        for count in counts:
            for kind, mill in mills.items():
                found[count, kind].append(load(mill, args.seconds, count, folders[kind]))
    mills["fixed bytes"].close()
    middle = [statistics.median(one) for one in zip(*syncs)]
    print(f"a write of 512 bytes and its fdatasync: p50 {middle[0]:.3f} ms, p99 {middle[1]:.3f} ms")
    for (count, kind), rounds in found.items():
        middle = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
        floor = {p: statistics.median(r[p] for r in found[count, "fixed bytes"]) for p in ("p50_ms", "p99_ms")}
        print(
            f"{count} connections, {kind:12} {middle['per_second']:8.0f}/s  p50 {middle['p50_ms']:.3f} ms  p99 {middle['p99_ms']:.3f} ms  "
            f"beyond fixed bytes {middle['p50_ms'] - floor['p50_ms']:+.3f}, {middle['p99_ms'] - floor['p99_ms']:+.3f} ms  "
            f"p50 of rounds {[round(r['p50_ms'], 3) for r in rounds]}  p99 {[round(r['p99_ms'], 2) for r in rounds]}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mill", default=str(ROOT / "build/release/src/app/tokenmill"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--ledger", help="a journal of its own, like postgres://…; a file in a temporary folder unless given")
    parser.add_argument("--folder", help="where the temporary folder of the journal is made")
    parser.add_argument("--flag", action="append", default=[], help="a further flag of serve; repeatable")
    parser.add_argument("--few", help="numbers of connections, like 1,2,3,4: latency at little load, and nothing else")
    parser.add_argument("--prompt-kib", type=int, default=0)
    parser.add_argument("--vocabulary", help="the model file whose tokenizer counts; one token a byte unless given")
    args = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not here: apt-get install wrk")
    results = {"open": [], "books": [], "books, one connection": []}
    if args.prompt_kib:
        results = {"fresh text": [], "all but the last turn": []}
        prompts = {kind: bodies(args.prompt_kib, kind != "fresh text") for kind in results}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folders = {kind: pathlib.Path(name) / kind for kind in ("open", "books")}
        for folder in folders.values():
            folder.mkdir()
        if args.prompt_kib:
            del folders["open"]
        mills = {kind: Mill(args, folder, kind == "books") for kind, folder in folders.items()}
        try:
            if args.few:
                few(args, mills, folders)
                return
            for _ in range(args.rounds if args.prompt_kib else 0):
                for kind in results:
                    found = load(mills["books"], args.seconds, args.connections, folders["books"], prompts[kind], kind == "fresh text")
                    results[kind].append(found)
            for _ in range(0 if args.prompt_kib else args.rounds):
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
