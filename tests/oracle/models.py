"""The model files that the oracle scripts use, by short name, and where the built program is."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77  # exit code of a script that could not run; 1 is a mismatch, 0 is agreement

FILES = {
    "smollm2": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "qwen-coder": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    "gemma3": "gemma-3-270m-q4_k_m.gguf",
}

# Made from smollm2 by `make_models.py requant`, for the speed tables.
REQUANTIZED = {
    "smollm2-q4_0": "SmolLM2-135M-Instruct.Q4_0.gguf",
    "smollm2-q8_0": "SmolLM2-135M-Instruct.Q8_0.gguf",
}

# How a chat prompt is written for each model; {user} is the question.
CHATML = "<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"
CHAT = {
    "smollm2": CHATML,
    "qwen-coder": CHATML,
    "gemma3": "<start_of_turn>user\n{user}<end_of_turn>\n<start_of_turn>model\n",
}


def folder():
    default = pathlib.Path.home() / ".cache" / "tokenmill-test-models"
    return pathlib.Path(os.environ.get("TOKENMILL_TEST_MODELS", default))


def skip(sentence):
    print(f"skipped: {sentence}", file=sys.stderr)
    sys.exit(SKIP)


def path_of(name):
    """The file of a short name, or the path itself; ends with SKIP where it is absent."""
    known = FILES | REQUANTIZED
    path = folder() / known[name] if name in known else pathlib.Path(name)
    if not path.is_file():
        skip(f"no model file {path} (set TOKENMILL_TEST_MODELS to the folder that holds it)")
    return path


def shared():
    """The folder of shared test data, or None."""
    path = pathlib.Path(os.environ.get("TOKENMILL_SHARED", ROOT.parent / "shared"))
    return path if path.is_dir() else None


def text_file(name):
    """A file of the shared data's text folder; ends the script with SKIP where it is absent."""
    base = shared()
    path = base / "data" / "text" / name if base else None
    if path is None or not path.is_file():
        skip(f"no shared text {name} (set TOKENMILL_SHARED to the folder of shared test data)")
    return path


def binary(given=None):
    """The tokenmill program: `given`, else $TOKENMILL, else the release build; or SKIP."""
    if given or os.environ.get("TOKENMILL"):
        path = pathlib.Path(given or os.environ["TOKENMILL"])
        if not path.is_file():
            skip(f"no program at {path}")
        return path
    for place in (
        "build/release/tokenmill",
        "build/release/bin/tokenmill",
        "build/release/src/app/tokenmill",
    ):
        if (ROOT / place).is_file():
            return ROOT / place
    skip("tokenmill is not built (cmake --build build/release), or name it with --mill")


def add_lab(parser):
    parser.add_argument(
        "--lab",
        type=pathlib.Path,
        default=pathlib.Path.home() / ".cache" / "tokenmill-oracle",
        help="where F32 models, logits and figures are kept (~/.cache/tokenmill-oracle)",
    )
