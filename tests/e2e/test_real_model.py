#!/usr/bin/env python3
"""The binary as its users meet it, with a real model (smollm2): serve, run, and what they say to bad input.

The model is pulled into $TOKENMILL_TEST_MODELS (~/.cache/tokenmill-test-models) by `tokenmill models pull` itself; exit 77, with
a sentence, where it can't be had. Needs the binary in $TOKENMILL_BINARY. Standard library only.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "oracle")]
import mill  # noqa: E402
import models  # noqa: E402

BINARY = os.environ.get("TOKENMILL_BINARY", "")
NAME = "smollm2-135m"
QUESTION = [{"role": "user", "content": "Name three grains that a mill can grind."}]
tests = []


def test(function):
    tests.append(function)
    return function


def need(condition, what):
    if not condition:
        raise mill.Failed(what)


def tokenmill(*arguments, stdin=None, timeout=120):
    return subprocess.run(
        [BINARY, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=timeout,
        stdin=subprocess.DEVNULL if stdin is None else None,
    )


def model_file():
    path = models.folder() / models.FILES["smollm2"]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        pulled = tokenmill("models", "pull", NAME, "--models-dir", path.parent, timeout=900)
        if pulled.returncode:
            models.skip("the model smollm2 cannot be had here: " + pulled.stderr.strip().splitlines()[-1])
    return path


def chat(server, **more):
    return server.post("/v1/chat/completions", {"model": server.model(), "messages": QUESTION, "max_tokens": 24} | more)


@test
def a_stream_says_what_the_whole_answer_says(server):
    whole = chat(server, temperature=0)
    connection, pieces = server.stream("/v1/chat/completions", {"model": server.model(), "messages": QUESTION, "max_tokens": 24,
                                                                "temperature": 0, "stream_options": {"include_usage": True}})
    pieces = list(pieces)
    connection.close()
    text = "".join(c["delta"].get("content") or "" for p in pieces for c in p["choices"])
    need(text == whole["choices"][0]["message"]["content"], f"streamed {text!r}")
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")  # the second one finds its prompt in the cache
    need(pieces[-1]["choices"] == [] and all(pieces[-1]["usage"][c] == whole["usage"][c] for c in counts), f"the usage chunk is {pieces[-1]}")
    need(whole["usage"]["completion_tokens"] <= 24, "more tokens than asked for")


@test
def a_seed_draws_the_same_answer_and_n_different_ones(server):
    first, second = (chat(server, seed=7, n=2, temperature=1.2) for _ in range(2))
    texts = [c["message"]["content"] for c in first["choices"]]
    need(texts == [c["message"]["content"] for c in second["choices"]], "the same seed, another answer")
    need(texts[0] != texts[1], "two choices drew the same numbers")
    need(first["usage"] == second["usage"], "usage differs")


@test
def a_stop_string_ends_the_answer_and_is_not_shown(server):
    plain = chat(server, temperature=0)["choices"][0]["message"]["content"]
    stop = plain.split()[3]
    cut = chat(server, temperature=0, stop=[stop])["choices"][0]
    need(cut["finish_reason"] == "stop", f"finish_reason {cut['finish_reason']}")
    need(cut["message"]["content"] == plain[: plain.index(stop)], f"got {cut['message']['content']!r}")


@test
def logprobs_belong_to_the_tokens_shown(server):
    choice = chat(server, temperature=0, logprobs=True, top_logprobs=3)["choices"][0]
    content = choice["logprobs"]["content"]
    shown = b"".join(bytes(entry["bytes"]) for entry in content).decode()
    need(shown == choice["message"]["content"], f"logprobs spell {shown!r}")
    for entry in content:
        need(entry["logprob"] <= 0 and len(entry["top_logprobs"]) == 3, f"odd entry {entry}")
        need(entry["top_logprobs"][0]["logprob"] == entry["logprob"], "greedy took another than the likeliest")


@test
def a_long_prompt_is_the_same_in_company(server):
    words = " ".join(f"grain {n}" for n in range(400))
    body = {"model": server.model(), "prompt": words, "max_tokens": 12, "temperature": 0}
    alone = server.post("/v1/completions", body)["choices"][0]["text"]
    connection, others = server.stream("/v1/completions", {"model": server.model(), "prompt": "Once", "max_tokens": 120})
    next(others)
    need(server.post("/v1/completions", body)["choices"][0]["text"] == alone, "another answer in company")
    connection.close()


@test
def sixteen_streams_and_one_that_leaves(server):
    done = subprocess.run([sys.executable, str(HERE.parent / "api" / "streams.py"), "smollm2", "--tokens", "32",
                           "--url", f"http://{server.host}:{server.port}"], capture_output=True, text=True)
    need(done.returncode == 0, done.stdout + done.stderr)


@test
def greedy_tokens_are_llama_cpps_or_near_ties(server):
    done = subprocess.run([sys.executable, str(HERE.parent / "oracle" / "greedy.py"), "--golden", "smollm2",
                           "--url", f"http://{server.host}:{server.port}"], capture_output=True, text=True)
    need(done.returncode == 0, done.stdout + done.stderr)


@test
def a_running_answer_ends_within_the_drain(_):
    with mill.serve(BINARY, model_file()) as server:
        connection, pieces = server.stream("/v1/completions", {"model": server.model(), "prompt": "Once upon a time", "max_tokens": 60})
        next(pieces)
        server.process.send_signal(signal.SIGTERM)
        rest = list(pieces)  # Failed when it ends without [DONE]
        connection.close()
        need(rest[-1]["choices"][0]["finish_reason"] in ("length", "stop"), f"ended with {rest[-1]}")
        need(server.process.wait(30) == 0, "not exit 0 after the drain")


@test
def run_answers_what_it_reads(_):
    done = tokenmill("run", model_file(), "--temperature", "0", "--max-tokens", "12", stdin="Say hello.\n")
    need(done.returncode == 0 and done.stdout.strip(), f"exit {done.returncode}: {done.stderr}")
    again = tokenmill("run", model_file(), "Say hello.", "--temperature", "0", "--max-tokens", "12")
    need(again.stdout == done.stdout, f"{again.stdout!r} and {done.stdout!r}")


@test
def every_wrong_input_gets_one_sentence(_):
    model = model_file()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        broken = pathlib.Path(folder) / "broken.gguf"
        broken.write_bytes(b"GGUF" + bytes(40))
        settings = pathlib.Path(folder) / "config.yaml"
        settings.write_text("port: many\n")
        port = taken.getsockname()[1]
        cases = [
            (2, ["serve", "--prot", "80"]),
            (2, ["serve", "--model", model, "--port", "70000", "--open"]),
            (2, ["serve"]),
            (2, ["serve", "--model", model, "--config", settings, "--open"]),
            (1, ["serve", "--model", model, "--port", port, "--open"]),
            (1, ["serve", "--model", "no-such-model", "--port", "0", "--open"]),
            (1, ["serve", "--model", f"{folder}/nothing.gguf", "--port", "0", "--open"]),
            (1, ["serve", "--model", broken, "--port", "0", "--open"]),
            (1, ["serve", "--model", model, "--port", "0", "--port-file", "/proc/nowhere/port", "--open"]),
            (1, ["run", model, "hello", "--backend", "abacus"]),
            (1, ["perplexity", model, "--file", f"{folder}/nothing.txt"]),
            (1, ["models", "show", "no-such-model"]),
        ]
        for code, arguments in cases:
            done = tokenmill(*arguments)
            lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
            need(done.returncode == code, f"{arguments}: exit {done.returncode}, not {code}: {done.stderr}")
            need(len(lines) == 1 and lines[0].startswith("tokenmill: "), f"{arguments} said {done.stderr!r}")


def main():
    if not BINARY:
        models.skip("no binary in $TOKENMILL_BINARY")
    path = model_file()
    failed = 0
    with mill.serve(BINARY, path) as server:
        for function in tests:
            start = time.monotonic()
            try:
                function(server)
                verdict = "ok  "
            except (mill.Failed, OSError, KeyError, IndexError, subprocess.TimeoutExpired, StopIteration) as why:
                failed += 1
                verdict = f"FAIL {why!r}\n    "
            print(f"{verdict} {function.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
