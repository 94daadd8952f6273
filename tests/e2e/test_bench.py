#!/usr/bin/env python3
"""The load tool against the server: what it counts is what the server counted, and one seed asks the same everywhere.

Needs the binary in $TOKENMILL_BINARY and the model smollm2; exit 77, with a sentence, where one is absent. Standard library only.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import xml.dom.minidom

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "oracle")]
import mill  # noqa: E402
import models  # noqa: E402

BINARY = os.environ.get("TOKENMILL_BINARY", "")
SHAPE = ["--input", "8:40", "--output", "4:12", "--seed", "5"]
tests = []


def test(function):
    tests.append(function)
    return function


def need(condition, what):
    if not condition:
        raise mill.Failed(what)


def bench(*arguments, code=0):
    """(standard output, standard error) of a run that must end with `code`."""
    done = subprocess.run(
        [BINARY, "bench", *map(str, arguments)], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
    )
    need(done.returncode == code, f"bench {arguments} ended with {done.returncode}: {done.stderr}")
    return done.stdout, done.stderr


def url(server):
    return f"http://{server.host}:{server.port}"


def total(server, name):
    found = [value for key, value in server.metrics().items() if key.partition("{")[0] == f"tokenmill_{name}"]
    need(found, f"/metrics has no {name}")
    return sum(found)


@test
def counts_are_the_servers_own(server, _, folder):
    names = ("prompt_tokens_total", "completion_tokens_total")
    before = [total(server, name) for name in names]
    saved, svg = folder / "saved", folder / "one.svg"
    out, _ = bench("--http", url(server), "--clients", 4, "--requests", 12, "--json", "--save", saved, "--svg", svg, *SHAPE)
    point = json.loads(out)["points"][0]
    deltas = [total(server, name) - then for name, then in zip(names, before)]
    need(point["ok"] == 12 and point["failed"] == 0, f"not all were answered: {point}")
    need([point["prompt_tokens"], point["completion_tokens"]] == deltas, f"{point} but the server counted {deltas}")
    records = [json.loads(line) for line in saved.read_text().splitlines()]
    need([record["index"] for record in records] == list(range(12)), "a request is missing in the saved ones")
    for record in records:
        need(record["prompt_tokens"] == record["asked_prompt"], f"a prompt is not as long as asked: {record}")
        need(record["completion_tokens"] == record["asked_output"], f"an answer is not as long as asked: {record}")
        need(record["started"] <= record["pieces"][0] <= record["pieces"][-1] <= record["ended"], f"times run back: {record}")
    need(xml.dom.minidom.parse(str(svg)).documentElement.tagName == "svg", "the drawing is no SVG")


@test
def one_seed_asks_the_same_of_engine_and_server(server, path, folder):
    bench("--http", url(server), "--clients", 3, "--requests", 6, "--save", folder / "http", *SHAPE)
    for clients in (1, 3):
        bench(path, "--clients", clients, "--requests", 6, "--vocabulary", 32000, "--save", folder / f"engine{clients}", *SHAPE)
    files = [(folder / name).read_text().splitlines() for name in ("http", "engine1", "engine3")]
    need([len(lines) for lines in files] == [6, 6, 6], "not all requests were saved")
    for http, alone, together in (map(json.loads, lines) for lines in zip(*files)):
        need(http["prompt_tokens"] == alone["prompt_tokens"], "the two were asked different things")
        need(http["completion_tokens"] == len(alone["ids"]), f"{http} and {alone}")
        need(alone["ids"] == together["ids"], f"the engine answered otherwise in company: {alone} and {together}")


@test
def words_are_as_many_tokens_as_asked(server, _, __):
    for endpoint in ("completions", "chat"):
        out, _ = bench(
            "--http", url(server), "--endpoint", endpoint, "--prompt-as", "text", "--clients", 1, "--requests", 2, "--input", 100,
            "--output", 2, "--json",
        )  # fmt: skip
        tokens = json.loads(out)["points"][0]["prompt_tokens"]
        need(190 <= tokens <= 210, f"{endpoint}: two prompts of 100 tokens came out as {tokens}")


@test
def a_salt_of_its_own_keeps_a_request_from_the_cache(server, _, __):
    shape = ["--http", url(server), "--clients", 1, "--requests", 4, "--warmup", 1, "--shared-prefix", 96, "--input", 100, "--json"]
    shared = json.loads(bench(*shape)[0])["points"][0]
    alone = json.loads(bench(*shape, "--unique-salts")[0])["points"][0]
    need(shared["cached_tokens"] >= 4 * 64, f"a shared prefix was not found again: {shared}")
    need(alone["cached_tokens"] == 0, f"a prefix of another tenant was found: {alone}")


@test
def a_sweep_names_its_best_point(server, _, folder):
    out, _ = bench("--http", url(server), "--clients", "1,3", "--requests", 6, "--slo-ttft", "1m", "--svg", folder / "s.svg", *SHAPE)
    need("most tokens:" in out and "most within the SLO:" in out, out)
    xml.dom.minidom.parse(str(folder / "s.svg"))


@test
def what_is_wrong_is_one_sentence(server, path, folder):
    (folder / "bad.csv").write_text("a,b\n1,2\n")
    for arguments, code, says in (
        (["--http", "https://x"], 1, "https"),
        (["--http", "localhost:1"], 2, "http://"),
        (["--http", "http://127.0.0.1:1"], 1, "no connection"),
        (["--http", url(server), "--model", "nobody", "--requests", 1], 1, "404"),
        (["--http", url(server), "--body", "[1]"], 2, "JSON object"),
        ([path, "--clients", 1, "--input", "4:2"], 2, "--input"),
        ([path, "--clients", 1, "--rate", 1], 2, "exclude"),
        ([path, "--trace", folder / "bad.csv"], 1, "not a trace"),
        ([path, "--prompts", folder / "none"], 1, "none"),
        ([], 2, "name the model"),
    ):
        _, said = bench(*arguments, code=code)
        lines = said.strip().splitlines()
        need(len(lines) == 1 and says in lines[0], f"{arguments} said {said!r}")


def main():
    if not BINARY:
        models.skip("no binary in $TOKENMILL_BINARY")
    path = models.path_of("smollm2")
    failed = 0
    with mill.serve(BINARY, path) as server:
        for function in tests:
            start = time.monotonic()
            try:
                with tempfile.TemporaryDirectory() as folder:
                    function(server, path, pathlib.Path(folder))
                verdict = "ok  "
            except (mill.Failed, OSError, KeyError, IndexError, ValueError, subprocess.TimeoutExpired) as why:
                failed += 1
                verdict = f"FAIL {why!r}\n    "
            print(f"{verdict} {function.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
