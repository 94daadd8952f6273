#!/usr/bin/env python3
"""Many streams queued at one server: none may be lost, none stuck, none wrong.

--streams greedy requests are asked at once. Then a fresh server is asked each of them alone, one after
the other, and every answer is held against the first one. Exit 1 where one is lost (refused, cut, or
without an end), stuck (not done by --deadline), wrong (other text or other counts of tokens), or where
the server is not back at rest afterwards.
"""

import contextlib
import pathlib
import sys
import tempfile
import time

import load
from load import mill, models


def ask_all(args, path, folder, clients, *flags):
    """(records by index, the server's state at rest before and after)"""
    saved = folder / f"clients{clients}"
    with load.ours(args, path, *flags) as url:
        before = rest(url)
        load.run(
            args,
            url,
            may_fail=True,
            clients=clients,
            requests=args.streams,
            input=args.input,
            output=args.output,
            deadline=args.deadline,
            seed=1,
            vocabulary=load.VOCABULARY,
            save=saved,
        )
        after = settled(url, before)
    return {record["index"]: record for record in load.records(saved)}, before, after


def rest(url):
    """What must be as before when nothing runs: requests that run or wait, and free KV blocks."""
    with mill.at(url) as server:
        found = server.metrics()
    wanted = ("sequences_running", "sequences_waiting", "kv_blocks_free")
    state = {
        name: value for name, value in found.items() if name.partition("{")[0].endswith(wanted)
    }
    if len(state) != len(wanted):
        raise mill.Failed(f"/metrics tells nothing of {wanted}")
    return state


def settled(url, before, limit=5):
    """The state, as soon as it is that of `before`, or after `limit` seconds."""
    end = time.monotonic() + limit
    while (after := rest(url)) != before and time.monotonic() < end:
        time.sleep(0.1)
    return after


def verdict(together, alone, count):
    lost, stuck, wrong = [], [], []
    for index in range(count):
        record, truth = together.get(index), alone.get(index)
        if truth is None or not truth["ok"]:
            raise mill.Failed(f"request {index} failed when asked alone: {truth}")
        if record is None or not record["ok"]:
            why = record["failure"] if record else "no record"
            (stuck if why.startswith("deadline") else lost).append((index, why))
        elif any(
            record.get(key) != truth.get(key)
            for key in ("text", "prompt_tokens", "completion_tokens", "finish_reason")
        ):
            wrong.append((index, f"{record.get('text')!r}, alone {truth.get('text')!r}"))
    return {"lost": lost, "stuck": stuck, "wrong": wrong}


@mill.ends_with_a_sentence
def main():
    parser = load.parser(__doc__)
    add = parser.add_argument
    add("--streams", type=int, default=1024)
    add("--input", default="16:96", help="tokens of a prompt (16:96)")
    add("--output", default="8:24", help="tokens of an answer (8:24)")
    add("--deadline", default="10m", help="a stream that takes longer is stuck (10m)")
    args = parser.parse_args()
    path = models.path_of(args.model)
    room = str(2 * args.streams)
    flags = ["--queue-limit", room, "--max-connections", room]
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        begin = time.monotonic()
        together, before, after = ask_all(args, path, folder, args.streams, *flags)
        seconds = time.monotonic() - begin
        print(f"{args.streams} at once: {seconds:.1f} s; now each alone", file=sys.stderr)
        alone, _, _ = ask_all(args, path, folder, 1)
    found = verdict(together, alone, args.streams)
    print(f"{path.name}, {args.threads} threads, {args.streams} streams at once, {seconds:.1f} s.\n")
    print("| lost | stuck | wrong | at rest afterwards |\n| --- | --- | --- | --- |")
    counts = " | ".join(str(len(found[name])) for name in ("lost", "stuck", "wrong"))
    print(f"| {counts} | {'yes' if before == after else f'no: {before} became {after}'} |")
    load.finish(args, found)
    for name, cases in found.items():
        for index, what in cases[:5]:
            print(f"{name}: request {index}: {what[:300]}", file=sys.stderr)
    sys.exit(1 if any(found.values()) or before != after else 0)


if __name__ == "__main__":
    main()
