#!/usr/bin/env python3
"""Speed of ik_llama.cpp on one GGUF file, as one JSON object of the shape that `tokenmill bench --json` prints.

Uses its own llama-bench and llama-batched-bench from the folder --programs (or $IK_LLAMA), with weights repacked at run time (-rtr 1), its fastest way.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile


def run(command, table_in_stderr=False):
    """What it printed; some versions of llama-batched-bench print their table with the messages. They write a log where they run."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout + (done.stderr if table_in_stderr else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--gen", type=int, default=64)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--batch", default="1,8,32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--programs", type=pathlib.Path, default=os.environ.get("IK_LLAMA"))
    parser.add_argument("--json", action="store_true", help="accepted for symmetry")
    args = parser.parse_args()
    if not args.programs or not (pathlib.Path(args.programs) / "llama-bench").exists():
        print("skipped: no ik_llama.cpp (--programs, $IK_LLAMA)", file=sys.stderr)
        sys.exit(77)
    programs = pathlib.Path(args.programs).resolve()
    common = ["-m", pathlib.Path(args.model).resolve(), "-t", args.threads]
    out = {"engine": "ik_llama.cpp", "model": args.model, "threads": args.threads, "prefill": [], "decode": []}
    if args.prompt:
        bench = [programs / "llama-bench", *common, "-p", args.prompt, "-n", 0, "-r", 3, "-rtr", 1, "-o", "json"]
        row = json.loads(run(bench))[0]
        out["engine"] += " " + row["build_commit"]
        out["prefill"].append({"tokens": args.prompt, "tokens_per_second": row["avg_ts"]})
    for batch in map(int, args.batch.split(",")):
        room = batch * (args.context + args.gen + 64)
        text = run([programs / "llama-batched-bench", *common, "-c", max(room, 1024), "-b", 2048, "-ub", 512, "-rtr",
                    "-npp", args.context, "-ntg", args.gen, "-npl", batch], table_in_stderr=True)
        # | PP | TG | B | N_KV | T_PP s | S_PP t/s | T_TG s | S_TG t/s | T s | S t/s |
        found = re.findall(r"^\|\s*\d+\s*\|" + r"\s*([\d.]+)\s*\|" * 9, text, re.M)
        if not found:
            sys.exit(f"no figures in the output of llama-batched-bench:\n{text[-500:]}")
        out["decode"].append({"batch": batch, "context": args.context, "tokens_per_second": float(found[-1][6])})
    print(json.dumps(out))


if __name__ == "__main__":
    main()
