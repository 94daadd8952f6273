#!/usr/bin/env python3
"""The administrative API of a served sim model with books of its own, by the official `openai` package and by curl's eyes.

Runs openai_admin.py where the `openai` package is installed (this interpreter, or the one in TOKENMILL_TEST_PYTHON); skipped with
a word where it is not.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import mill  # noqa: E402


def post(url, key, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), method="POST")
    request.add_header("Authorization", f"Bearer {key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


@mill.ends_with_a_sentence
def main():
    binary = os.environ.get("TOKENMILL_BINARY")
    if not binary:
        print("TOKENMILL_BINARY names no binary")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        with mill.serve(binary, "sim:instant", "--ledger", f"{folder}/ledger.db", log=log, open=False) as server:
            found = re.search(r"sk-admin-\w+", log.read_text())
            if not found:
                raise mill.Failed("the first start showed no admin key")
            url = f"http://{server.host}:{server.port}"
            post(url, found[0], "/v1/organizations", {"name": "oracle", "currency": "USD"})
            done = subprocess.run([os.environ.get("TOKENMILL_TEST_PYTHON", sys.executable), HERE / "openai_admin.py", "--url", url,
                                   "--admin-key", found[0]], capture_output=True, text=True, timeout=300)
    print(done.stdout, done.stderr)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
