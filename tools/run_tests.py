#!/usr/bin/env python3
"""Runs every test and prints one line each; the last line is `N passed, N failed` (`, N skipped` when any was).

    run_tests.py --build DIR [--units-only] [--filter WORD]

Units are the GoogleTest binaries below DIR; the others are scripts of this repository. Each test case counts, not each binary.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNIT_SECONDS = 1200


def run_unit(binary):
    """Runs one GoogleTest binary. Returns (passed, failed, skipped reasons, output when it failed)."""
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp) / "report.json"
        command = [str(binary), f"--gtest_output=json:{report}", "--gtest_brief=1"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=UNIT_SECONDS, cwd=ROOT)
            output, code = done.stdout + done.stderr, done.returncode
        except subprocess.TimeoutExpired as late:
            return 0, 1, [], f"ran over {UNIT_SECONDS} s\n{late.stdout}"
        if not report.exists():
            return 0, 1, [], f"ended with {code} and no report\n{output}"
        passed = failed = 0
        skipped = []
        for suite in json.loads(report.read_text())["testsuites"]:
            for case in suite["testsuite"]:
                if case.get("result") == "SKIPPED":
                    reasons = [s.get("message", "") for s in case.get("skipped", [])]
                    skipped.append((f"{suite['name']}.{case['name']}", " ".join(reasons)))
                elif case.get("failures"):
                    failed += 1
                else:
                    passed += 1
        if code and not failed:
            failed = 1  # a crash or a sanitizer report after the last case
        return passed, failed, skipped, output if failed else ""


def run_script(command):
    """Runs a script test: exit 0 passed, 77 skipped, else failed; a line `N passed, N failed` in its output counts its cases."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=ROOT, timeout=UNIT_SECONDS)
    output = done.stdout + done.stderr
    if done.returncode == 77:
        return 0, 0, [(" ".join(command[1:2]), output.strip().splitlines()[-1] if output.strip() else "")], ""
    passed, failed = (1, 0) if done.returncode == 0 else (0, 1)
    for line in reversed(done.stdout.splitlines()):
        words = line.replace(",", "").split()
        if len(words) >= 4 and words[1] == "passed" and words[3] == "failed" and words[0].isdigit():
            passed, failed = int(words[0]), int(words[2])
            break
    if done.returncode and not failed:
        failed = 1
    return passed, failed, [], output if failed else ""


def scripts(build):
    """Script tests: tests/*/test_*.py get the path of the binary in TOKENMILL_BINARY."""
    os.environ["TOKENMILL_BINARY"] = str(build / "src/app/tokenmill")
    yield "tools/house.py", [sys.executable, "tools/house.py"]
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        yield str(path.relative_to(ROOT)), [sys.executable, str(path)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--units-only", action="store_true")
    parser.add_argument("--filter", default="")
    arguments = parser.parse_args()
    build = arguments.build.resolve()

    tests = [(binary.name, run_unit, binary) for binary in sorted(build.rglob("mill_*_test")) if os.access(binary, os.X_OK)]
    if not tests:
        sys.exit(f"run_tests: no test binaries below {build}")
    if not arguments.units_only:
        tests += [(name, run_script, command) for name, command in scripts(build)]
    total_passed = total_failed = total_skipped = 0
    for name, run, what in tests:
        if arguments.filter not in name:
            continue
        start = time.monotonic()
        passed, failed, skipped, output = run(what)
        print(f"{'ok  ' if not failed else 'FAIL'} {name}: {passed} passed, {failed} failed, {len(skipped)} skipped"
              f" ({time.monotonic() - start:.1f} s)", flush=True)
        for case, reason in skipped:
            print(f"     skipped {case}: {reason}")
        if output:
            print("\n".join(output.splitlines()[-80:]))
        total_passed, total_failed, total_skipped = total_passed + passed, total_failed + failed, total_skipped + len(skipped)
    print(f"{total_passed} passed, {total_failed} failed" + (f", {total_skipped} skipped" if total_skipped else ""))
    return 1 if total_failed or not total_passed else 0


if __name__ == "__main__":
    sys.exit(main())
