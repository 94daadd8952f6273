#!/usr/bin/env python3
"""Clients in Python and Node.js against the gateway with a scripted worker.

Runs openai_python.py where the `openai` package is installed (this interpreter, or the one in TOKENMILL_TEST_PYTHON), and
openai_node.mjs where TOKENMILL_TEST_NODE names a folder with node_modules/openai. What is absent is skipped, with a word.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def counts(output):
    for line in reversed(output.splitlines()):
        words = line.replace(",", "").split()
        if len(words) >= 4 and words[1] == "passed" and words[3] == "failed":
            return int(words[0]), int(words[2])
    return 0, 1


def main():
    binary = os.environ.get("TOKENMILL_BINARY")
    server = Path(binary).parents[2] / "tests/mill_scripted_server" if binary else None
    if not server or not server.exists():
        print("mill_scripted_server is not built beside TOKENMILL_BINARY")
        return 77
    process = subprocess.Popen([server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        clients = [("python", [os.environ.get("TOKENMILL_TEST_PYTHON", sys.executable), HERE / "openai_python.py", "--url", url,
                               "--scripted"])]
        folder, node = os.environ.get("TOKENMILL_TEST_NODE"), shutil.which("node")
        if folder and node:
            clients.append(("node", [node, HERE / "openai_node.mjs", url, "org/tiny", folder, "--scripted"]))
        else:
            print("node: skipped, TOKENMILL_TEST_NODE names no folder with node_modules/openai, or there is no node")
        passed = failed = ran = 0
        for name, command in clients:
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
            if done.returncode == 77:
                print(f"{name}: skipped, {done.stdout.strip()}")
                continue
            ran += 1
            good, bad = counts(done.stdout)
            print(f"{name}: {good} passed, {bad} failed")
            if bad:
                print(done.stdout, done.stderr)
            passed, failed = passed + good, failed + bad
    finally:
        process.stdin.close()
        code = process.wait(timeout=30)
    if code:
        print(f"the server ended with {code}")
        failed += 1
    if not ran and not failed:
        print("neither client is installed")
        return 77
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
