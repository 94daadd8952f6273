"""What the load scripts of this folder share: servers, runs of `tokenmill bench --http`, tables.

Standard library only.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "oracle"), str(HERE)]
import compare  # noqa: E402
import mill  # noqa: E402
import models  # noqa: E402

VOCABULARY = 32000  # prompts are drawn from ids that every model here has


def parser(doc, model="smollm2", rounds=3):
    """The options that every script has. A script that is told to end ends its servers too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    new = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = new.add_argument
    add("model", nargs="?", default=model, help=f"a short name or a GGUF file ({model})")
    add("--binary", help="the tokenmill program (build/release/src/app/tokenmill)")
    add("--threads", type=int, default=2)
    add("--rounds", type=int, default=rounds)
    add("--flag", action="append", default=[], help="a further flag of serve; repeatable")
    add("--save", type=pathlib.Path, help="write every figure of every round as JSON")
    return new


@contextlib.contextmanager
def ours(args, path, *flags):
    """A tokenmill server of its own; gives its address."""
    flags = ["--threads", str(args.threads), *flags, *args.flag]
    with mill.serve(models.binary(args.binary), path, *flags) as server:
        yield f"http://127.0.0.1:{server.port}"


def llama_server(given):
    """The llama-server program: `given`, else $LLAMA_SERVER, else the one on PATH; or SKIP."""
    path = given or os.environ.get("LLAMA_SERVER") or shutil.which("llama-server")
    if not path or not pathlib.Path(path).is_file():
        models.skip("no llama-server (name it with --llama-server or $LLAMA_SERVER)")
    return path


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def healthy(port):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


@contextlib.contextmanager
def theirs(program, path, *flags, limit=120):
    """A llama-server of its own; gives its address."""
    port = free_port()
    command = [program, "-m", path, "--host", "127.0.0.1", "--port", port, *flags]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        try:
            end = time.monotonic() + limit
            while not healthy(port):
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise mill.Failed(f"llama-server did not start: {log.read()[-1000:].decode()}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def command(args, url, **options):
    """The command of one run of the load tool; `clients=4` becomes --clients 4."""
    line = [models.binary(args.binary), "bench", "--http", url, "--json"]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            line.append(flag)
        elif value is not None and value is not False:
            line += [flag, value]
    return list(map(str, line))


def run(args, url, may_fail=False, **options):
    """The figures of one run: the only point of its report. Failed requests are Failed."""
    done = subprocess.run(command(args, url, **options), stdout=subprocess.PIPE, text=True)
    if not done.stdout.strip():
        raise mill.Failed(f"tokenmill bench ended with {done.returncode}")
    point = json.loads(done.stdout)["points"][0]
    if point["failed"] and not may_fail:
        raise mill.Failed(f"{point['failed']} requests failed: {point['failures']}")
    return point


def records(path):
    """Every request of a file that --save wrote."""
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def percentile(values, q):
    """Linear between neighbours, as the tool's own figures are."""
    values = sorted(values)
    place = q * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def cell(values, digits=1):
    middle = f"{statistics.median(values):.{digits}f}"
    return f"{middle} [{min(values):.{digits}f}..{max(values):.{digits}f}]"


def finish(args, raw, disturbed=None):
    """The last lines of a report, and the file of figures."""
    if disturbed is not None:
        print(f"\nOther work took at most {disturbed * 100:.0f} % of the CPUs just before a run.")
        if disturbed > compare.QUIET:
            print("NOT QUIET: these figures say more about the other work than about the programs.")
    if args.save:
        args.save.write_text(json.dumps(raw, indent=1) + "\n")
