#!/usr/bin/env python3
"""Memory of an idle gateway with many keys.

    keys.py [--mill PROGRAM] [--organizations 100] [--keys 100]

Makes --organizations with --keys each through the administration API, prints the server's resident memory, starts it again
on the same journal and prints it once more.
"""
import argparse
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import gateway


def resident_mb(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024 / 1e6


def start(mill, folder):
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    out = open(folder / "out", "w+")
    command = [mill, "serve", "--models", folder / "models.yaml", "--port", "0", "--port-file", port_file,
               "--ledger", folder / "ledger.db", "--log-level", "warn"]
    process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=subprocess.DEVNULL)
    for _ in range(400):
        if port_file.exists():
            return process, f"http://127.0.0.1:{port_file.read_text().strip()}", (folder / "out").read_text()
        time.sleep(0.05)
    raise SystemExit("the server did not start")


def end(process):
    process.send_signal(signal.SIGTERM)
    process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mill", default=str(gateway.ROOT / "build/release/src/app/tokenmill"))
    parser.add_argument("--organizations", type=int, default=100)
    parser.add_argument("--keys", type=int, default=100, help="of each")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        (folder / "models.yaml").write_text('- model: "sim:instant"\n  id: bench\n')
        process, url, said = start(args.mill, folder)
        admin = re.search(r"sk-admin-\w+", said)[0]
        for i in range(args.organizations):
            body = {"name": f"o{i}", "currency": "USD", "credit": "10"}
            organization = gateway.call(url, admin, "POST", "/v1/organizations", body)["id"]
            path = f"/v1/organization/projects?organization_id={organization}"
            project = gateway.call(url, admin, "POST", path, {"name": "p"})["id"]
            path = f"/v1/organization/projects/{project}/api_keys"
            for k in range(args.keys):
                gateway.call(url, admin, "POST", path, {"name": f"k{k}"})
        time.sleep(2)
        print(f"{args.organizations * args.keys} keys, behind their making: {resident_mb(process):.1f} MB")
        end(process)
        process, _, _ = start(args.mill, folder)
        time.sleep(2)
        print(f"{args.organizations * args.keys} keys, after a start: {resident_mb(process):.1f} MB")
        end(process)


if __name__ == "__main__":
    main()
