#!/usr/bin/env python3
"""Our FOCUS 1.2 export in the eyes of focus-validator, the FinOps Foundation's own checker.

  focus.py [FILE]       FILE is testdata/metering/focus.csv where none is given

Needs Python 3.12, focus-validator 2.2.1 and pyarrow < 21 (its numpy is older than what newer ones want); without them it says so
and exits 77. Runs the validator twice: with no more than every provider must have, and with all criteria that we claim. Every rule
must pass but one leaf: InvoiceId-C-004-C ("must be null without an invoice") and -C-005-C ("must not be null with one") are the two
branches of one OR, and the validator lists the branch that was not taken; the OR itself (C-003-C) passes.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec

STORED = pathlib.Path(__file__).resolve().parent.parent.parent / "testdata" / "metering" / "focus.csv"
CLAIMED = ["ACCOUNT_NAMING_SUPPORTED", "PUBLIC_PRICE_LIST_SUPPORTED", "UNIT_PRICING_SUPPORTED", "USAGE_MEASUREMENT_SUPPORTED",
           "SUB_ACCOUNT_SUPPORTED", "NEGOTIATED_PRICING_SUPPORTED", "MULTIPLE_PRICING_CATEGORIES_SUPPORTED"]
BRANCH_NOT_TAKEN = {"InvoiceId-C-004-C"}


def validate(file, criteria):
    """-> the rules that failed, and the validator's own summary"""
    package = pathlib.Path(find_spec("focus_validator").origin).parent
    command = [sys.executable, "-m", "focus_validator.main", "--data-file", str(file), "--validate-version", "1.2.0.1", "--block-download"]
    if criteria:
        command += ["--applicability-criteria", ",".join(criteria)]
    with tempfile.TemporaryDirectory() as place:  # it reads its rules relative to where it runs, and leaves a log there
        (pathlib.Path(place) / "focus_validator").symlink_to(package)
        done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    summary = re.search(r"^Total: (\d+) \| Pass: (\d+) \| Fail: (\d+) \| Skipped: (\d+)", done.stdout, re.M)
    if not summary:
        sys.exit(f"focus: the validator came to no result:\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")
    failed = set(re.findall(r"^- ([A-Za-z]+-[A-Z]-\d+-[A-Z]):", done.stdout, re.M))
    if len(failed) != int(summary[3]):
        sys.exit(f"focus: {summary[3]} rules failed, and {len(failed)} were read: {sorted(failed)}")
    return failed, summary[0]


def main():
    if not find_spec("focus_validator") or not find_spec("pyarrow"):
        print("focus: needs focus-validator==2.2.1 and 'pyarrow<21' for Python 3.12; skipped")
        return 77
    file = pathlib.Path(sys.argv[1]).resolve() if sys.argv[1:] else STORED
    wrong = set()
    for criteria in ([], CLAIMED):
        failed, summary = validate(file, criteria)
        wrong |= failed - BRANCH_NOT_TAKEN
        print(f"focus: {len(criteria)} criteria: {summary}")
    print("focus: fails", ", ".join(sorted(wrong)) if wrong else "nothing but the branch that was not taken")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
