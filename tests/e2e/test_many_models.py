#!/usr/bin/env python3
"""Many models in one mill, with the real binary: loaded and unloaded while others answer.

Needs smollm2 and gemma3 in $TOKENMILL_TEST_MODELS (~/.cache/tokenmill-test-models), and the binary
in $TOKENMILL_BINARY or the release build; exit 77, with a sentence, where one is absent. Standard
library only.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "oracle")]
import mill  # noqa: E402
import models  # noqa: E402

MIB = 1 << 20
KV = "256MiB"  # of each server: small, so that what is touched is not what is measured
tests = []


def test(function):
    tests.append(function)
    return function


def need(condition, what):
    if not condition:
        raise mill.Failed(what)


@contextlib.contextmanager
def serving(*flags, listed=None):
    """A server of smollm2, or of the models in `listed` (the text of a models.yaml)."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        flags = ["--kv-memory", KV, *flags]
        model = SMOLLM2
        if listed is not None:
            file = pathlib.Path(folder) / "models.yaml"
            file.write_text(listed)
            flags += ["--models", str(file)]
            model = None
        with serve(model, flags, log) as server:
            server.log = log
            yield server


@contextlib.contextmanager
def serve(model, flags, log):
    """As mill.serve, which always names a model."""
    if model:
        with mill.serve(BINARY, model, *flags, log=log) as server:
            yield server
        return
    with tempfile.TemporaryDirectory() as folder, open(log, "wb") as sink:
        port_file = pathlib.Path(folder) / "port"
        process = subprocess.Popen(
            [BINARY, "serve", "--open", "--port", "0", "--port-file", port_file, *flags],
            stdout=sink,
            stderr=sink,
        )
        try:
            yield mill.wait_until_ready(process, port_file, 60)
            process.send_signal(signal.SIGTERM)
            need(process.wait(30) == 0, f"exit {process.returncode} after SIGTERM")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def call(server, method, path, body=None, headers=()):
    """(status, JSON or text)"""
    with contextlib.closing(server.connect(60)) as connection:
        text = json.dumps(body) if body is not None else None
        connection.request(method, path, text, dict(headers))
        reply = connection.getresponse()
        text = reply.read().decode()
    try:
        return reply.status, json.loads(text)
    except ValueError:
        return reply.status, text


def load(server, model, name, **more):
    body = {"model": str(model), "id": name, "kv_memory": KV, "wait": True} | more
    status, reply = call(server, "POST", "/admin/models", body)
    need(status == 200 and reply["state"] == "ready", f"loading {name} gave {status}: {reply}")


def unload(server, name, query="?wait=true"):
    status, reply = call(server, "DELETE", f"/admin/models/{name}{query}")
    need(status == 200 and reply["state"] == "unloaded", f"unloading {name}: {status}: {reply}")


def complete(server, model, tokens=24):
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": tokens, "temperature": 0}
    return call(server, "POST", "/v1/completions", body)


def text_of(server, model, tokens=24):
    status, reply = complete(server, model, tokens)
    need(status == 200, f"{model} gave {status}: {reply}")
    return reply["choices"][0]["text"]


def states(server):
    status, reply = call(server, "GET", "/admin/models")
    need(status == 200, f"GET /admin/models gave {status}")
    return {model["id"]: model["state"] for model in reply["data"]}


def soon(holds, what, limit=30):
    end = time.monotonic() + limit
    while not holds():
        need(time.monotonic() < end, f"not within {limit} s: {what}")
        time.sleep(0.01)


def resident(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(l.split()[1]) * 1024 for l in status.splitlines() if l.startswith("VmRSS"))


@test
def models_come_and_go_while_others_answer():
    with serving() as server:
        name = server.model()
        alone = text_of(server, name)
        stop, wrong = threading.Event(), []

        def keep_asking():
            while not stop.is_set():
                status, reply = complete(server, name)
                if status != 200 or reply["choices"][0]["text"] != alone:
                    wrong.append(f"{status}: {reply}")

        askers = [threading.Thread(target=keep_asking) for _ in range(3)]
        for asker in askers:
            asker.start()
        try:
            texts = set()
            for _ in range(4):
                load(server, GEMMA, "other/gemma")
                texts.add(text_of(server, "other/gemma"))
                unload(server, "other%2Fgemma")
                status, _ = complete(server, "other/gemma")
                need(status == 404, f"an unloaded model gave {status}")
        finally:
            stop.set()
            for asker in askers:
                asker.join()
        need(not wrong, f"{len(wrong)} answers were disturbed, the first: {wrong[:1]}")
        need(len(texts) == 1, f"the same model, other answers: {texts}")
        need(states(server) == {name: "ready"}, f"left behind: {states(server)}")


@test
def memory_comes_back_when_a_model_goes():
    with serving() as server:
        text_of(server, server.model())
        before = resident(server)
        for _ in range(3):
            load(server, GEMMA, "gemma")
            text_of(server, "gemma", 64)
            loaded = resident(server)
            need(loaded > before + 200 * MIB, "a loaded model of 250 MB takes no memory?")
            unload(server, "gemma")
            after = resident(server)
            print(f"     {before / MIB:.0f} MiB, loaded {loaded / MIB:.0f}, after {after / MIB:.0f}")
            need(after <= before + 64 * MIB, f"{(after - before) / MIB:.0f} MiB did not come back")


@test
def a_load_never_holds_the_weights_twice():
    for name, file in models.FILES.items():
        path = models.folder() / file
        if not path.is_file():
            print(f"     skipped: no {path}")
            continue
        with mill.serve(BINARY, path, "--kv-memory", KV) as server:
            status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
            peak = next(int(l.split()[1]) * 1024 for l in status.splitlines() if "VmHWM" in l)
        size = path.stat().st_size
        print(f"     {name}: file {size / MIB:.0f} MiB, peak {peak / MIB:.0f}, {peak / size:.2f}")
        need(peak < 1.3 * size, f"{name}: {peak / size:.2f} times the file at the peak of the load")


def events(server, event):
    lines = (json.loads(line) for line in server.log.read_text().splitlines())
    return [line for line in lines if line["event"] == event]


@test
def packed_weights_are_kept_and_give_the_same_answers():
    with tempfile.TemporaryDirectory() as folder:
        cache = pathlib.Path(folder) / "cache"
        mine = pathlib.Path(folder) / "mine.gguf"
        mine.write_bytes(SMOLLM2.read_bytes())
        flags = ["--packed-cache", str(cache)]
        listed = f"- {{model: {mine}, id: mine}}\n- {{model: {GEMMA}, id: gemma, preload: false}}\n"
        with serving(listed=listed) as server:
            truth = {name: text_of(server, name) for name in ("mine", "gemma")}
            need(not events(server, "packed_cache_written"), "kept without being asked to")
        need(not cache.exists(), "a cache without being asked for one")
        for used in (False, True):
            event = "packed_cache_read" if used else "packed_cache_written"
            with serving(*flags, listed=listed) as server:
                for name, text in truth.items():  # gemma is loaded by this request
                    need(text_of(server, name) == text, f"{name}: another answer, {event}")
                need(len(events(server, event)) == 2, f"{event}: {events(server, event)}")
                if used:
                    unload(server, "gemma", "?wait=true&keep=true")
                    need(text_of(server, "gemma") == truth["gemma"], "gemma: another answer")
                    need(len(events(server, event)) == 3, "the load at run time packed anew")
        kept = sorted(cache.iterdir())
        need(len(kept) == 2 and all(k.suffix == ".packed" for k in kept), f"in the cache: {kept}")

        # A bit turned, and a model file that was written anew: neither is served.
        with open(next(k for k in kept if k.name.startswith("mine-")), "r+b") as broken:
            broken.seek(40_000_000)
            byte = broken.read(1)[0]
            broken.seek(40_000_000)
            broken.write(bytes([byte ^ 1]))
        with serving(*flags, listed=listed) as server:
            need(text_of(server, "mine") == truth["mine"], "another answer after a turned bit")
            need(len(events(server, "packed_cache_refused")) == 1, "the turned bit is not told")
        mine.write_bytes(GEMMA.read_bytes())
        with serving(*flags, listed=listed) as server:
            need(text_of(server, "mine") == truth["gemma"], "the weights of an earlier file")


@test
def a_load_from_packed_weights_never_holds_them_twice():
    for name, file in models.FILES.items():
        path = models.folder() / file
        if not path.is_file():
            print(f"     skipped: no {path}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--kv-memory", KV]
            peaks = []
            for _ in range(3):
                log = pathlib.Path(folder) / "log"
                with mill.serve(BINARY, path, *flags, log=log) as server:
                    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
                    lines = [l for l in status.splitlines() if "VmHWM" in l]
                    peaks.append(int(lines[0].split()[1]) * 1024)
                flags = ["--kv-memory", KV, "--packed-cache", folder]
            need("packed_cache_read" in log.read_text(), "the cache was not read")
        size = path.stat().st_size
        without, written, read = (peak / size for peak in peaks)
        print(f"     {name}: peak {without:.2f} times the file; {written:.2f} written, {read:.2f} read")
        most = max(1.3, without + 0.02)
        need(written < most, f"{name}: {written:.2f} times the file where they are written")
        need(read < most, f"{name}: {read:.2f} times the file where they are read")


@test
def a_hundred_requests_bring_a_model_once():
    listed = f"- model: {SMOLLM2}\n  id: small\n- {{model: {GEMMA}, id: gemma, preload: false}}\n"
    with serving(listed=listed) as server:
        need(states(server) == {"small": "ready", "gemma": "unloaded"}, f"{states(server)}")
        listed = {m["id"] for m in call(server, "GET", "/v1/models")[1]["data"]}
        need(listed == {"small", "gemma"}, f"/v1/models has {listed}")
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(lambda _: complete(server, "gemma", 4), range(100)))
        need(all(status == 200 for status, _ in answers), f"{[s for s, _ in answers]}")
        need(len({reply["choices"][0]["text"] for _, reply in answers}) == 1, "answers differ")
        loads = [
            line
            for line in server.log.read_text().splitlines()
            if json.loads(line)["event"] == "loaded" and json.loads(line)["id"] == "gemma"
        ]
        need(len(loads) == 1, f"loaded {len(loads)} times")


@test
def an_idle_model_goes_and_comes_back():
    listed = f"- model: {SMOLLM2}\n  id: small\n  idle_unload: 500ms\n"
    with serving(listed=listed) as server:
        first = text_of(server, "small")
        soon(lambda: states(server)["small"] == "unloaded", "the idle model is unloaded")
        need(call(server, "GET", "/ready")[0] == 200, "not ready with its model unloaded for idleness")
        need(text_of(server, "small") == first, "another answer after it came back")


@test
def cores_are_divided_by_the_shares():
    listed = f"""
- {{model: {SMOLLM2}, id: one, share: 1}}
- {{model: {SMOLLM2}, id: three, share: 3}}
"""
    with serving("--kv-memory", "2GiB", listed=listed) as server:
        streams = []
        for name in ("one", "three"):
            body = {"model": name, "prompt": "Once", "max_tokens": 4000, "temperature": 1}
            streams.append(server.stream("/v1/completions", body | {"ignore_eos": True}))
        try:
            for _, pieces in streams:
                next(pieces)
            begin = end = made(server)
            patience = time.monotonic() + 60
            while end["one"] - begin["one"] < 200 and time.monotonic() < patience:
                time.sleep(0.2)
                end = made(server)
        finally:
            for connection, _ in streams:
                connection.close()
        one, three = (end[name] - begin[name] for name in ("one", "three"))
        print(f"     tokens: {one:.0f} and {three:.0f}, {three / max(one, 1):.2f} to 1")
        need(one >= 200, f"starved: {one} tokens in a minute")
        need(2 <= three / one <= 4.5, f"shares of 1 and 3 made {one} and {three} tokens")


def made(server):
    metrics = server.metrics()
    return {n: metrics[f'tokenmill_generated_tokens_total{{model="{n}"}}'] for n in ("one", "three")}


@test
def admin_is_for_who_may():
    with serving("--admin-key", "corn and rye") as server:
        need(call(server, "GET", "/admin/models")[0] == 403, "no key, and let in")
        key = {"Authorization": "Bearer corn and rye"}
        need(call(server, "GET", "/admin/models", headers=key)[0] == 200, "the key does not open")
        need("corn and rye" not in server.log.read_text(), "the key is in the log")
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; it only says which way it would go
            outside = probe.getsockname()[0]
        except OSError:
            outside = "127.0.0.1"
    if not outside.startswith("127."):
        refused = subprocess.run(
            [BINARY, "serve", "--open", "--host", "0.0.0.0", "--model", SMOLLM2],
            capture_output=True,
            text=True,
            timeout=60,
        )
        need(refused.returncode == 2 and "open" in refused.stderr, "an open server listens to everybody")
    else:
        print("     skipped: this machine has no address but the loopback's")
    with serving() as server:
        page = {"Origin": "https://elsewhere.example"}
        need(call(server, "GET", "/admin/models", headers=page)[0] == 403, "a web page was let in")


@test
def what_cannot_be_loaded_is_refused_with_a_reason():
    with serving() as server:
        name = server.model()
        for body, code, words in [
            ({"model": "/nowhere/x.gguf", "wait": True}, 404, "there is no file"),
            ({"model": str(GEMMA), "id": "huge", "kv_memory": "3TiB", "wait": True}, 503, "memory"),
            ({"model": str(GEMMA), "id": name}, 400, "other fields"),
            ({"model": str(GEMMA), "share": "much"}, 400, "share"),
        ]:
            status, reply = call(server, "POST", "/admin/models", body)
            need(status == code and words in reply["error"]["message"], f"{body}: {status} {reply}")
        status, reply = complete(server, "x")
        need(status in (404, 500), f"a model that failed to load gave {status}: {reply}")
        need(text_of(server, name), "the other model is disturbed")


@test
def a_wrong_file_of_models_is_told_by_line():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "models.yaml"
        for text, place in [
            (f"- model: {SMOLLM2}\n  shar: 2\n", "models.yaml:2: "),
            (f"- model: {SMOLLM2}\n  share: .nan\n", "models.yaml:2: "),
            (f"- model: {SMOLLM2}\n- model: {SMOLLM2}\n", "models.yaml:2: "),
        ]:
            file.write_text(text)
            done = subprocess.run(
                [BINARY, "serve", "--open", "--models", file, "--port", "0"], capture_output=True, text=True
            )
            need(done.returncode == 2, f"{text!r}: exit {done.returncode}: {done.stderr}")
            need(place in done.stderr, f"{text!r}: {done.stderr!r}")


@test
def a_signal_ends_it_while_it_loads():
    for delay in (0.02, 0.1, 0.2):
        process = subprocess.Popen(
            [BINARY, "serve", "--open", "--model", GEMMA, "--port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
        # Before it blocks the signal, it ends by it.
        need(code in (0, -signal.SIGTERM), f"exit {code} when told to end after {delay} s")


def main():
    failed = 0
    for function in tests:
        if sys.argv[1:] and function.__name__ not in sys.argv[1:]:
            continue
        start = time.monotonic()
        try:
            function()
            verdict = "ok  "
        except (mill.Failed, OSError, KeyError, IndexError, subprocess.TimeoutExpired) as why:
            failed += 1
            verdict = f"FAIL {why!r}\n    "
        print(f"{verdict} {function.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    BINARY = os.environ.get("TOKENMILL_BINARY") or models.binary()
    SMOLLM2, GEMMA = models.path_of("smollm2"), models.path_of("gemma3")
    sys.exit(main())
