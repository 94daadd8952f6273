"""A PostgreSQL server for a test: made by initdb in a folder of its own, on 127.0.0.1, ended with the test.

Standard library only. As src/ledger/postgres_for_test.h, for scripts.
"""

import contextlib
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class Missing(Exception):
    """There is no server on this machine; the text says what to do."""


def binaries():
    places = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    told = shutil.which("pg_config")
    if told:
        places.insert(0, pathlib.Path(subprocess.run([told, "--bindir"], capture_output=True, text=True).stdout.strip()))
    for place in places:
        if all((place / name).exists() for name in ("initdb", "postgres", "pg_isready", "psql")):
            return place
    raise Missing("no PostgreSQL server is installed (tools/setup.sh test installs it)")


def other_user():
    """The server does not run as root: whom it runs as then."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Missing("root has nobody to run PostgreSQL as")


def end_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server():
    """The address of an empty database."""
    place, who = binaries(), other_user()
    with tempfile.TemporaryDirectory(prefix="ledger-pg-") as name:
        folder = pathlib.Path(name)
        if who:
            os.chown(folder, who["user"], who["group"])
        made = subprocess.run(
            [place / "initdb", "-D", folder / "data", "-U", "mill", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            capture_output=True, text=True, cwd=folder, **who)
        if made.returncode:
            raise Missing(f"initdb failed: {made.stderr.strip()}")
        port = free_port()
        running = subprocess.Popen(
            [place / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1",
             "-c", "max_connections=60", "-c", "shared_buffers=64MB"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, preexec_fn=end_with_us, **who)
        try:
            asked = [place / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "mill", "-d", "postgres"]
            end = time.monotonic() + 30
            while subprocess.run(asked).returncode != 0:
                if running.poll() is not None or time.monotonic() > end:
                    raise Missing("the PostgreSQL server does not start")
                time.sleep(0.05)
            yield f"postgres://mill:secret-of-tests@127.0.0.1:{port}/postgres"
        finally:
            running.send_signal(signal.SIGQUIT)
            running.wait()
