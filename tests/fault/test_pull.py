#!/usr/bin/env python3
"""`tokenmill models pull` against a server on this machine that breaks, lies and stalls; full disks, killed pulls, two at once.

Whatever happens: a file under the model's own name is whole and right, the exit code tells, and the last line says what to do.
Needs the binary in $TOKENMILL_BINARY and openssl (for a certificate); exit 77 where one is missing.
"""

import contextlib
import hashlib
import http.server
import os
import pathlib
import random
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

BINARY = os.environ.get("TOKENMILL_BINARY", "")
FILE = random.Random(7).randbytes(6_000_000)
SUM = hashlib.sha256(FILE).hexdigest()
WRONG = FILE[:3_000_000] + bytes([FILE[3_000_000] ^ 1]) + FILE[3_000_001:]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the first part of the path: /drop/…, /wrong/…; counts and remembers Range headers in the server."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def start(self, status, length, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def honest(self, most=None, body=FILE):
        begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if begin:
            self.start(206, len(body) - begin, ETag='"1"', Content_Range=f"bytes {begin}-{len(body) - 1}/{len(body)}")
        else:
            self.start(200, len(body), ETag='"1"')
        self.wfile.write(body[begin:] if most is None else body[begin : begin + most])

    def do_GET(self):
        mode = self.path.split("/")[1]
        self.server.ranges.append(self.headers.get("Range", ""))
        with contextlib.suppress(OSError):
            getattr(self, "mode_" + mode)()

    def mode_right(self):
        self.honest()

    def mode_drop(self):
        self.honest(most=2_500_000)

    def mode_redirect(self):
        self.start(302, 0, Location="/right/x")

    def mode_plain(self):
        self.start(302, 0, Location="http://localhost:1/x")

    def mode_loop(self):
        self.start(302, 0, Location=self.path)

    def mode_short(self):
        self.start(200, 1_000_000)
        self.wfile.write(FILE)

    def mode_long(self):
        self.start(200, len(FILE) + 1_000_000)
        self.wfile.write(FILE)

    def mode_norange(self):
        first = len(self.server.ranges) == 1
        self.start(200, len(FILE))
        self.wfile.write(FILE[:3_000_000] if first else FILE)

    def mode_wrong(self):
        self.honest(body=WRONG)

    def mode_gone(self):
        self.start(404, 0)

    def mode_busy(self):
        if len(self.server.ranges) == 1:
            self.start(503, 0, Retry_After="1")
        else:
            self.honest()

    def mode_drip(self):
        """4 MB at once and then nothing until the client leaves or the test says go on."""
        begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if begin:
            return self.honest()
        self.start(200, len(FILE), ETag='"1"')
        self.wfile.write(FILE[:4_000_000])
        self.wfile.flush()
        self.server.go_on.wait(20)

    def mode_endless(self):
        """A body of no known length, far larger than the disk of the test."""
        self.start(200, None)
        for _ in range(100):
            self.wfile.write(FILE)


@contextlib.contextmanager
def https_server(folder):
    key, certificate = folder / "key.pem", folder / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.ranges, server.go_on = [], threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()


class Shop:
    """A models folder and a catalogue of one model whose only source is the server in one of its modes."""

    def __init__(self, root, server):
        self.root, self.server = root, server

    def prepare(self, mode, models=None, known=True):
        self.server.ranges.clear()
        self.server.go_on.clear()
        self.models = models or pathlib.Path(tempfile.mkdtemp(dir=self.root))
        self.file = self.models / "m.gguf"
        sums = f", sha256: {SUM}, size: {len(FILE)}" if known else f", sha256: {SUM}"
        url = f"https://localhost:{self.server.server_address[1]}/{mode}/m.gguf"
        self.catalogue = self.root / "catalogue.yaml"
        self.catalogue.write_text(f"models: [{{name: m, file: m.gguf{sums}, sources: [{{https: '{url}'}}]}}]\n")

    def command(self):
        return [BINARY, "models", "pull", "m", "--models-dir", self.models, "--catalogue", self.catalogue,
                "--ca-file", self.root / "ca.pem"]

    def pull(self):
        done = subprocess.run(self.command(), capture_output=True, text=True, timeout=120)
        return done.returncode, done.stderr

    def must_succeed(self, mode, **options):
        self.prepare(mode, **options)
        code, errors = self.pull()
        assert code == 0, errors
        assert self.file.read_bytes() == FILE
        assert sorted(p.name for p in self.models.iterdir()) == ["m.gguf", "m.gguf.origin"], list(self.models.iterdir())
        return errors

    def must_fail(self, mode, says, **options):
        self.prepare(mode, **options)
        code, errors = self.pull()
        last = errors.strip().splitlines()[-1]
        assert code == 1, (code, errors)
        assert last.startswith("tokenmill: m could not be pulled: ") and says in last, errors
        assert not self.file.exists()
        return errors


CASES = []


def case(function):
    CASES.append(function)
    return function


@case
def drops_are_resumed(shop):
    errors = shop.must_succeed("drop")
    assert "trying again" in errors, errors
    assert shop.server.ranges[0] == "" and shop.server.ranges[1] == "bytes=2500000-", shop.server.ranges


@case
def redirects_are_followed(shop):
    shop.must_succeed("redirect")


@case
def redirects_to_plain_http_are_refused(shop):
    shop.must_fail("plain", "not https")


@case
def redirect_loops_end(shop):
    shop.must_fail("loop", "redirects more than")


@case
def a_length_too_short_is_refused(shop):
    shop.must_fail("short", "another file")


@case
def a_length_too_long_is_refused(shop):
    shop.must_fail("long", "another file")


@case
def servers_without_ranges_start_over(shop):
    shop.must_succeed("norange")


@case
def a_wrong_byte_is_never_used(shop):
    shop.must_fail("wrong", "SHA-256")
    assert not (shop.models / "m.gguf.partial").exists()


@case
def a_file_that_is_gone_is_told(shop):
    shop.must_fail("gone", "no such file (HTTP 404)")


@case
def a_busy_server_is_waited_for(shop):
    shop.must_succeed("busy")


@case
def a_killed_pull_is_gone_on_with(shop):
    shop.prepare("drip")
    running = subprocess.Popen(shop.command(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    partial = shop.models / "m.gguf.partial"
    deadline = time.monotonic() + 20
    while not (partial.exists() and partial.stat().st_size >= 3_900_000):
        assert time.monotonic() < deadline, "the pull does not get on"
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not shop.file.exists()
    kept = partial.stat().st_size
    code, errors = shop.pull()
    assert code == 0, errors
    assert shop.server.ranges[-1] == f"bytes={kept}-", shop.server.ranges
    assert shop.file.read_bytes() == FILE


@case
def two_pulls_do_not_meet(shop):
    shop.prepare("drip")
    running = subprocess.Popen(shop.command(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (shop.models / "m.gguf.partial").exists():
        assert time.monotonic() < deadline, "the pull does not get on"
        time.sleep(0.02)
    code, errors = shop.pull()
    assert code == 1 and "another process is fetching m.gguf" in errors, errors
    shop.server.go_on.set()
    assert running.wait(60) == 0
    assert shop.file.read_bytes() == FILE


@case
def nobody_there_is_told(shop):
    shop.prepare("right")
    shop.catalogue.write_text(
        f"models: [{{name: m, file: m.gguf, sha256: {SUM}, sources: [{{https: 'https://localhost:1/m'}}]}}]\n")
    code, errors = shop.pull()
    assert code == 1 and "cannot reach localhost:1" in errors.splitlines()[-1], errors


@case
def a_stranger_certificate_is_refused(shop):
    shop.prepare("right")
    command = [word for word in shop.command() if word not in ("--ca-file", shop.root / "ca.pem")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "certificate" in done.stderr.splitlines()[-1], done.stderr
    assert not shop.file.exists()


@case
def a_folder_that_cannot_be_made_is_told(shop):
    shop.prepare("right", models=pathlib.Path("/proc/models"))
    code, errors = shop.pull()
    assert code == 1 and "/proc/models" in errors and len(errors.splitlines()) == 1, errors


@case
def a_broken_catalogue_is_usage(shop):
    shop.prepare("right")
    shop.catalogue.write_text("models:\n  - name: m\n    fil: m.gguf\n")
    code, errors = shop.pull()
    assert code == 2 and "catalogue.yaml:3: fil is no field of a model" in errors, errors


class Skip(Exception):
    pass


@contextlib.contextmanager
def small_disk(shop, size):
    """A file system of that many bytes."""
    folder = shop.root / "disk"
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        raise Skip("cannot mount a small disk here (not root?)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@case
def a_disk_too_small_is_told_before_the_first_byte(shop):
    with small_disk(shop, 8_000_000) as folder:
        shop.must_fail("right", "are free on its disk", models=folder)
        assert not list(folder.iterdir())


@case
def a_disk_that_fills_up_leaves_no_model(shop):
    with small_disk(shop, 8_000_000) as folder:
        shop.must_fail("endless", "the disk is full", models=folder, known=False)


@case
def a_disk_that_was_full_and_is_not_any_more_is_gone_on_with(shop):
    with small_disk(shop, 24_000_000) as folder:
        (folder / "ballast").write_bytes(bytes(20_000_000))
        shop.must_fail("right", "are free on its disk", models=folder)
        (folder / "ballast").unlink()
        shop.prepare("right", models=folder)
        code, errors = shop.pull()
        assert code == 0, errors
        assert shop.file.read_bytes() == FILE


def main():
    if not BINARY or not os.access(BINARY, os.X_OK):
        print("skipped: no binary in $TOKENMILL_BINARY")
        return 77
    if shutil.which("openssl") is None:
        print("skipped: no openssl to make a certificate with")
        return 77
    passed = failed = 0
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        os.environ["HOME"] = name  # no settings of this user's
        with https_server(root) as server:
            for one in CASES:
                try:
                    one(Shop(root, server))
                    passed += 1
                except Skip as reason:
                    print(f"skipped {one.__name__}: {reason}")
                except (AssertionError, OSError, subprocess.SubprocessError) as wrong:
                    failed += 1
                    print(f"FAIL {one.__name__}: {wrong}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
