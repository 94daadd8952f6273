"""The program under test: starts `tokenmill serve`, speaks HTTP to it, and stops it.

Standard library only.
"""

import builtins
import contextlib
import http.client
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time


class Failed(Exception):
    """The program did not do what it promises; the text says what."""


def ends_with_a_sentence(main):
    """main() that ends the script with the sentence of a Failed instead of a traceback."""

    def guarded():
        try:
            main()
        except Failed as failed:
            sys.exit(str(failed))

    return guarded


class Server:
    """A running server at host:port; `process` is None where somebody else started it."""

    def __init__(self, host, port, process=None):
        self.host, self.port, self.process = host, port, process

    def connect(self, timeout=120):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def get(self, path, timeout=30):
        """(status, body text)"""
        connection = self.connect(timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()

    def post(self, path, body, timeout=600):
        """The JSON of a 200; anything else is Failed."""
        connection = self.connect(timeout)
        with contextlib.closing(connection):
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            text = reply.read().decode()
        if reply.status != 200:
            raise Failed(f"POST {path} gave {reply.status}: {text[:500]}")
        return json.loads(text)

    def stream(self, path, body, timeout=600):
        """Opens a stream: (connection, iterator of `data:` objects); close it to leave."""
        connection = self.connect(timeout)
        connection.request(
            "POST", path, json.dumps(body | {"stream": True}), {"Content-Type": "application/json"}
        )
        reply = connection.getresponse()
        if reply.status != 200:
            text = reply.read().decode()
            connection.close()
            raise Failed(f"POST {path} gave {reply.status}: {text[:500]}")
        return connection, events(reply)

    def model(self):
        """The id of the first model that the server lists."""
        status, text = self.get("/v1/models")
        if status != 200:
            raise Failed(f"GET /v1/models gave {status}: {text[:500]}")
        return json.loads(text)["data"][0]["id"]

    def metrics(self):
        """{name with labels: value} of /metrics."""
        status, text = self.get("/metrics")
        if status != 200:
            raise Failed(f"GET /metrics gave {status}")
        lines = (
            line.rsplit(None, 1) for line in text.splitlines() if line and not line.startswith("#")
        )
        return {name: float(value) for name, value in lines}


def events(reply):
    """The JSON objects of an SSE reply up to [DONE]; a stream that ends without it is Failed."""
    for raw in reply:
        line = raw.decode().rstrip("\r\n")
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return
        yield json.loads(data)
    raise Failed("the stream ended without [DONE]")


def ready(server):
    try:
        return server.get("/ready", timeout=2)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def wait_until_ready(process, port_file, limit):
    """The Server, once the port file is there and /ready says 200."""
    end = time.monotonic() + limit
    server = None
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failed(f"tokenmill serve ended with {process.returncode} before it was ready")
        if server is None and port_file.exists() and port_file.read_text().strip():
            server = Server("127.0.0.1", int(port_file.read_text()), process)
        if server is not None and ready(server):
            return server
        time.sleep(0.002)
    raise Failed(f"tokenmill serve was not ready within {limit} s")


def launch(binary, model, folder, *flags, sink, open=True):
    """Starts a server on a free port: (process, the file that will say which). Whoever starts it ends it."""
    port_file = pathlib.Path(folder) / "port"
    port_file.unlink(missing_ok=True)
    words = [binary, "serve", "--model", model, "--host", "127.0.0.1", "--port", "0", "--port-file", port_file]
    process = subprocess.Popen([*words, *(["--open"] if open else []), *flags], stdout=sink, stderr=sink)
    return process, port_file


@contextlib.contextmanager
def serve(binary, model, *flags, log=None, limit=60, open=True):
    """A server of its own on a free port, without keys unless it is not `open`; ended by SIGTERM, after which it must exit 0."""
    with tempfile.TemporaryDirectory() as folder:
        with builtins.open(log or pathlib.Path(folder) / "log", "wb") as sink:
            process, port_file = launch(binary, model, folder, *flags, sink=sink, open=open)
        try:
            yield wait_until_ready(process, port_file, limit)
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
            if code != 0:
                raise Failed(f"tokenmill serve exited with {code} after SIGTERM")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


@contextlib.contextmanager
def at(url):
    """A server that runs already, by its URL (http://host:port)."""
    host, _, port = url.split("//")[-1].strip("/").partition(":")
    yield Server(host, int(port or 80))


def at_or_serve(args, binary, model):
    """The server at args.url, or one of its own; `binary` finds the program from args.mill."""
    if args.url:
        return at(args.url)
    return serve(binary(args.mill), model, "--threads", str(args.threads))
