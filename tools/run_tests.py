#!/usr/bin/env python3
"""Runs every test and prints one line each; the last line is `N passed, N failed` (`, N skipped` when any was).

    run_tests.py --build DIR [--units-only] [--filter WORD] [--jobs N]

Units are the GoogleTest binaries below DIR; the others are scripts of this repository. Each test case counts, not each binary.
N run at a time (two, where there are two processors); those that measure time or crowd the machine run alone, after the others.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNIT_SECONDS = 1200
# The longest first, so that none of them is what the end waits for.
LONG = ("mill_token_cache_test", "mill_maas_till_test", "mill_engine_test", "mill_ledger_test", "mill_tensor_test", "mill_text_test",
        "mill_model_test")
# Answers within a second, thousands of connections, steps of milliseconds, speeds: these have the machine to themselves.
ALONE = ("mill_crowd_test", "mill_device_test", "mill_gateway_test", "mill_model_test", "mill_net_test", "mill_sim_test", "mill_soak_test",
         "tests/e2e/test_bench.py", "tests/e2e/test_many_models.py", "tests/e2e/test_real_model.py")


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
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    build = arguments.build.resolve()

    tests = [(binary.name, run_unit, binary) for binary in sorted(build.rglob("mill_*_test")) if os.access(binary, os.X_OK)]
    if not tests:
        sys.exit(f"run_tests: no test binaries below {build}")
    if not arguments.units_only:
        tests += [(name, run_script, command) for name, command in scripts(build)]
    tests = [test for test in tests if arguments.filter in test[0]]
    tests.sort(key=lambda test: LONG.index(test[0]) if test[0] in LONG else len(LONG))
    totals = [0, 0, 0]

    def timed(test):
        start = time.monotonic()
        return test[0], test[1](test[2]), time.monotonic() - start

    def tell(name, outcome, seconds):
        passed, failed, skipped, output = outcome
        print(f"{'ok  ' if not failed else 'FAIL'} {name}: {passed} passed, {failed} failed, {len(skipped)} skipped"
              f" ({seconds:.1f} s)", flush=True)
        for case, reason in skipped:
            print(f"     skipped {case}: {reason}")
        if output:
            print("\n".join(output.splitlines()[-80:]))
        for i, count in enumerate((passed, failed, len(skipped))):
            totals[i] += count

    with ThreadPoolExecutor(max(1, arguments.jobs)) as pool:
        running = [pool.submit(timed, test) for test in tests if test[0] not in ALONE]
        for done in as_completed(running):
            tell(*done.result())
    for test in tests:
        if test[0] in ALONE:
            tell(*timed(test))
    total_passed, total_failed, total_skipped = totals
    print(f"{total_passed} passed, {total_failed} failed" + (f", {total_skipped} skipped" if total_skipped else ""))
    return 1 if total_failed or not total_passed else 0


if __name__ == "__main__":
    sys.exit(main())
