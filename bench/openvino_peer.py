#!/usr/bin/env python3
"""Speed of OpenVINO GenAI on one GGUF file, as one JSON object of the shape that `tokenmill bench --json` prints.

Run by a Python that has the package openvino-genai. Prefill: time to the first token of one prompt of --prompt random tokens. Decode: --batch prompts of
--context random tokens each at once, --gen tokens; the package's own throughput after the first token. Exit code 3 where it can't load the file.
"""

import argparse
import json
import sys

CANNOT = 3  # the exit code that compare.py knows


def inputs(np, openvino, genai, rows, tokens, seed):
    ids = np.random.default_rng(seed).integers(100, 30000, (rows, tokens)).astype(np.int64)
    return genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--gen", type=int, default=64)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--batch", default="1,8,32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="accepted for symmetry")
    args = parser.parse_args()
    try:
        import numpy as np
        import openvino
        import openvino_genai as genai
    except ImportError as missing:
        print(f"skipped: {missing}", file=sys.stderr)
        sys.exit(77)
    try:
        pipeline = genai.LLMPipeline(args.model, "CPU", INFERENCE_NUM_THREADS=args.threads)
    except Exception as refusal:  # noqa: BLE001: whatever it says, it can't
        print(f"OpenVINO can't load {args.model}: {str(refusal).splitlines()[-1][:200]}", file=sys.stderr)
        sys.exit(CANNOT)
    config = genai.GenerationConfig()
    config.ignore_eos, config.do_sample, config.max_new_tokens = True, False, 1
    out = {"engine": f"openvino-genai {genai.__version__}", "model": args.model, "threads": args.threads}
    out["prefill"], out["decode"] = [], []
    if args.prompt:
        rates = []
        for seed in range(args.repeat + 1):
            metrics = pipeline.generate(inputs(np, openvino, genai, 1, args.prompt, seed), config).perf_metrics
            rates.append(args.prompt / (metrics.get_ttft().mean / 1000))
        out["prefill"].append({"tokens": args.prompt, "tokens_per_second": sorted(rates[1:])[args.repeat // 2]})
    config.max_new_tokens = args.gen
    for batch in map(int, args.batch.split(",")):
        metrics = pipeline.generate(inputs(np, openvino, genai, batch, args.context, 100 + batch), config).perf_metrics
        out["decode"].append({"batch": batch, "context": args.context, "tokens_per_second": metrics.get_throughput().mean})
    print(json.dumps(out))


if __name__ == "__main__":
    main()
