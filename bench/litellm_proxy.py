#!/usr/bin/env python3
"""The gateway with everything on beside the LiteLLM proxy, in turns, on the same machine.

    litellm_proxy.py --litellm PROGRAM [--mill PROGRAM] [--seconds 6] [--rounds 3] [--connections 16]

LiteLLM (pip install 'litellm[proxy]'; one worker, a master key, no database) passes its requests on to sim:instant of an open
tokenmill. Ours checks keys and limits, and holds and settles each request on a synced journal; its sim:instant is of the same
process, as its engines are. Prints requests a second, the percentiles of `wrk`, and the memory of each server.
"""
import argparse
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

import gateway

MASTER = "sk-bench-master"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def memory(pid):
    """MB that a process and its children have in memory."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return own / 1000 + sum(memory(int(child)) for child in children)


class LiteLlm:
    def __init__(self, program, upstream, folder):
        self.key, self.url = MASTER, f"http://127.0.0.1:{free_port()}"
        config = folder / "config.yaml"
        config.write_text(
            f"model_list:\n  - model_name: bench\n    litellm_params:\n      model: openai/bench\n"
            f"      api_base: {upstream}/v1\n      api_key: none\n"
        )
        command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", self.url.rsplit(":", 1)[1]]
        environment = os.environ | {"LITELLM_MASTER_KEY": MASTER}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url + "/health/liveliness", timeout=1)
                return
            except OSError:
                time.sleep(0.2)
        raise SystemExit("the proxy does not begin")

    def seconds_used(self):
        return 0

    def close(self):
        self.process.terminate()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", required=True)
    parser.add_argument("--mill", default=str(gateway.ROOT / "build/release/src/app/tokenmill"))
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--flag", action="append", default=[], help="a further flag of serve; repeatable")
    args = parser.parse_args()
    args.ledger = args.vocabulary = None
    results = {"litellm": [], "tokenmill": []}
    with tempfile.TemporaryDirectory() as name:
        folders = {kind: pathlib.Path(name) / kind for kind in ("upstream", *results)}
        for folder in folders.values():
            folder.mkdir()
        upstream = gateway.Mill(args, folders["upstream"], False)
        servers = {"tokenmill": gateway.Mill(args, folders["tokenmill"], True)}
        try:
            servers["litellm"] = LiteLlm(args.litellm, upstream.url, folders["litellm"])
            for _ in range(args.rounds):
                for kind, found in results.items():
                    found.append(gateway.load(servers[kind], args.seconds, args.connections, folders[kind]))
            for kind, found in results.items():
                rates = [f["per_second"] for f in found]
                slow = statistics.median(f["p99_ms"] for f in found)
                print(
                    f"{kind:10} {statistics.median(rates):8.1f}/s  p99 {slow:8.2f} ms"
                    f"  {memory(servers[kind].process.pid):6.1f} MB  rounds {[round(r, 1) for r in rates]}"
                )
        finally:
            for server in (upstream, *servers.values()):
                server.close()


if __name__ == "__main__":
    main()
