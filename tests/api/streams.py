#!/usr/bin/env python3
"""Many streams at once against one server: every answer as if it were alone, one client killed.

1. Each of --distinct prompts is asked alone, whole, at temperature 0: the answer that counts.
2. --streams of them are asked at once, streamed, and one more client leaves after a few tokens. Every stream must
   end with a finish reason, exact usage and [DONE], and its text must be the solo answer.
3. The killed client's place must be free again: --after requests are answered in the end.
Prints time to first token and the time between tokens. The exit code is 1 on any difference.
"""

import argparse
import json
import pathlib
import statistics
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "oracle")]
import mill  # noqa: E402
import models  # noqa: E402


def bodies(model, args):
    """One request body per distinct prompt: our prompts in turn, each made different by its number."""
    prompts = json.loads((models.ROOT / "testdata" / "prompts.json").read_text())["prompts"]
    texts = [f"{n + 1}. {prompts[n % len(prompts)]['text']}" for n in range(min(args.distinct or args.streams, args.streams))]
    common = {"model": model, "max_tokens": args.tokens, "temperature": 0}
    if args.completions:
        return "/v1/completions", [common | {"prompt": text} for text in texts]
    return "/v1/chat/completions", [
        common | {"messages": [{"role": "user", "content": text}]} for text in texts
    ]


def text_of(choice):
    """What a whole or a streamed choice says."""
    if "text" in choice:
        return choice["text"]
    return choice.get("message", choice.get("delta", {})).get("content") or ""


class Client(threading.Thread):
    """One streamed request; `leave_after` pieces it drops the connection."""

    def __init__(self, server, path, body, leave_after=None):
        super().__init__(daemon=True)
        self.server, self.path, self.leave_after = server, path, leave_after
        self.body = body | {"stream_options": {"include_usage": True}}
        self.text, self.reason, self.usage, self.fault, self.times = "", None, None, None, []

    def run(self):
        try:
            self.read()
        except Exception as error:  # the thread's result; the main thread reports it
            self.fault = f"{type(error).__name__}: {error}"

    def read(self):
        self.start_time = time.perf_counter()
        connection, events = self.server.stream(self.path, self.body)
        try:
            for event in events:
                self.usage = event.get("usage") or self.usage
                for choice in event["choices"]:
                    piece = text_of(choice)
                    self.reason = choice.get("finish_reason") or self.reason
                    if piece:
                        self.text += piece
                        self.times.append(time.perf_counter())
                if self.leave_after is not None and len(self.times) >= self.leave_after:
                    return
        finally:
            connection.close()


def check(client, solo, name):
    """Sentences about what is wrong with one finished stream."""
    if client.fault:
        return [f"stream {name}: {client.fault}"]
    wrong, choice = [], solo["choices"][0]
    if client.text != text_of(choice):
        wanted = text_of(choice)
        same = next(
            (i for i, (a, b) in enumerate(zip(client.text, wanted)) if a != b),
            min(len(client.text), len(wanted)),
        )
        wrong.append(
            f"stream {name}: text parts from the solo answer at character {same}: "
            f"{client.text[same:same + 40]!r}, alone {wanted[same:same + 40]!r}"
        )
    if client.reason != choice["finish_reason"]:
        wrong.append(
            f"stream {name}: finish_reason {client.reason}, alone {choice['finish_reason']}"
        )
    counts = lambda usage: usage and {
        key: usage[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")
    }
    if counts(client.usage) != counts(solo["usage"]):
        wrong.append(f"stream {name}: usage {client.usage}, alone {solo['usage']}")
    return wrong


def spread(values):
    values = sorted(values)
    at = lambda share: values[min(len(values) - 1, int(share * len(values)))] * 1000
    shares = (0.5, 0.9, 0.99)
    parts = [f"p{share * 100:.0f} {at(share):.1f} ms" for share in shares]
    return ", ".join([*parts, f"max {at(1):.1f} ms"])


def drive(server, args):
    path, asked = bodies(server.model(), args)
    solo = [server.post(path, body) for body in asked]
    turns = -(-args.streams // len(asked))
    asked, solo = (asked * turns)[: args.streams], (solo * turns)[: args.streams]
    clients = [Client(server, path, body) for body in asked]
    killed = Client(server, path, asked[0] | {"max_tokens": args.tokens * 4}, leave_after=5)
    begin = time.perf_counter()
    for client in [*clients, killed]:
        client.start()
    for client in [*clients, killed]:
        client.join(args.limit)
    wall = time.perf_counter() - begin
    wrong = [
        f"stream {n}: still running after {args.limit} s"
        for n, c in enumerate(clients)
        if c.is_alive()
    ]
    for number, client in enumerate(clients):
        if not client.is_alive():
            wrong += check(client, solo[number], number)
    if killed.fault or len(killed.times) < 5:
        wrong.append(f"the client that leaves early: {killed.fault or 'got fewer than 5 pieces'}")
    for number in range(args.after):
        again = server.post(path, asked[number % len(asked)])
        if text_of(again["choices"][0]) != text_of(solo[number % len(asked)]["choices"][0]):
            wrong.append(f"request {number} after the load differs from the one before it")

    done = [client for client in clients if client.times]
    if done:
        tokens = sum(client.usage["completion_tokens"] for client in done if client.usage)
        gaps = [b - a for client in done for a, b in zip(client.times, client.times[1:])]
        print(f"{len(done)} streams, {tokens} tokens in {wall:.2f} s: {tokens / wall:.1f} tokens/s")
        first = [client.times[0] - client.start_time for client in done]
        print(f"time to first token: {spread(first)}")
        if gaps:
            print(f"between pieces: {spread(gaps)}, mean {statistics.fmean(gaps) * 1000:.1f} ms")
    return wrong


@mill.ends_with_a_sentence
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", nargs="?", default="smollm2", help="a short name or a GGUF file (smollm2)"
    )
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument(
        "--distinct", type=int, default=0, help="prompts; further streams ask them again (all)"
    )
    parser.add_argument("--tokens", type=int, default=64, help="max_tokens of each (64)")
    parser.add_argument("--after", type=int, default=4, help="requests after the load (4)")
    parser.add_argument(
        "--completions", action="store_true", help="/v1/completions instead of chat"
    )
    parser.add_argument(
        "--limit", type=float, default=300, help="seconds until a stream counts as stuck (300)"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mill", help="the tokenmill program (build/release)")
    parser.add_argument("--url", help="a server that runs already")
    args = parser.parse_args()
    source = (
        mill.at(args.url)
        if args.url
        else mill.serve(
            models.binary(args.mill),
            models.path_of(args.model),
            *("--threads", str(args.threads)),
            *("--queue-limit", str(max(256, args.streams))),
            *("--max-connections", str(max(1024, 2 * args.streams))),
        )
    )
    with source as server:
        wrong = drive(server, args)
    for sentence in wrong:
        print(sentence)
    print("all streams equal their solo answers" if not wrong else f"{len(wrong)} differences")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
