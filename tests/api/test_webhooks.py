#!/usr/bin/env python3
"""Alerts of a served sim model, received and checked by code that is not ours: the `standardwebhooks` package where this interpreter has it,
else Python's own hmac, by the text of the specification.

The whole way of an operator: organization, prices, webhook, alerts, a request that spends, and kill -9 between the crossing and the
delivery.
"""
import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import mill  # noqa: E402

try:
    import standardwebhooks
except ImportError:
    standardwebhooks = None


class Receiver(http.server.ThreadingHTTPServer):
    """An endpoint that keeps what comes, and answers with `status`."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.got, self.status = [], 204
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait(self, count, seconds=20):
        end = time.monotonic() + seconds
        while len(self.got) < count and time.monotonic() < end:
            time.sleep(0.02)
        if len(self.got) < count:
            raise mill.Failed(f"{len(self.got)} alerts came, not {count}")
        return self.got


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


def verify(secret, headers, body):
    """The event, if its signature is that of the specification."""
    if standardwebhooks:
        return standardwebhooks.Webhook(secret).verify(body.decode(), {k.lower(): v for k, v in headers.items()})
    head = {k.lower(): v for k, v in headers.items()}
    if abs(int(head["webhook-timestamp"]) - time.time()) > 300:
        raise mill.Failed("a timestamp of another time")
    text = f'{head["webhook-id"]}.{head["webhook-timestamp"]}.'.encode() + body
    right = base64.b64encode(hmac.new(base64.b64decode(secret.removeprefix("whsec_")), text, hashlib.sha256).digest()).decode()
    if not any(hmac.compare_digest(one, "v1," + right) for one in head["webhook-signature"].split(" ")):
        raise mill.Failed("a signature that is not right")
    return json.loads(body)


class Killed(Exception):
    pass


def call(url, key, method, path, body=None):
    request = urllib.request.Request(url + path, json.dumps(body).encode() if body is not None else None, method=method)
    request.add_header("Authorization", f"Bearer {key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def types(receiver):
    return [json.loads(body)["type"] for _, body in receiver.got]


def expect(what, is_true):
    if not is_true:
        raise mill.Failed(what)
    print(f"ok  {what}")


@mill.ends_with_a_sentence
def main():
    binary = os.environ.get("TOKENMILL_BINARY")
    if not binary:
        print("TOKENMILL_BINARY names no binary")
        sys.exit(77)
    receiver = Receiver()
    hook = f"http://127.0.0.1:{receiver.server_port}/hook"
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        ledger = ["--ledger", f"{folder}/ledger.db"]
        with mill.serve(binary, "sim:instant", *ledger, log=log, open=False) as server:
            admin = re.search(r"sk-admin-\w+", log.read_text())[0]
            url = f"http://{server.host}:{server.port}"
            org = call(url, admin, "POST", "/v1/organizations", {"name": "Ada", "currency": "USD", "credit": "1.00"})["id"]
            try:
                call(url, admin, "POST", "/v1/organization/webhook", {"url": hook})
                raise mill.Failed("an address of this machine was taken without --webhook-networks")
            except urllib.error.HTTPError as error:
                expect("an address of this machine is refused by default", error.code == 400)
        try:
            with mill.serve(binary, "sim:instant", *ledger, "--webhook-networks", "127.0.0.0/8", log=log, open=False) as server:
                url = f"http://{server.host}:{server.port}"
                model = "sim:instant"
                rates = {"input": "1", "output": "1000"}
                call(url, admin, "POST", "/v1/price_books", {"models": [{"id": model, "prices": [{"currency": "USD", "rates": rates}]}]})
                project = call(url, admin, "POST", "/v1/organization/projects", {"name": "one"})["id"]
                key = call(url, admin, "POST", f"/v1/organization/projects/{project}/api_keys", {"name": "k"})["value"]
                secret = call(url, admin, "POST", "/v1/organization/webhook", {"url": hook})["secret"]
                event = verify(secret, *receiver.wait(1)[0])
                expect("setting a webhook is told, and signed", event["type"] == "webhook.updated")
                call(url, admin, "POST", "/v1/organization/spend_alerts", {"amount": "0.005", "interval": "day", "notify": "ops@example.com"})
                call(url, admin, "POST", "/v1/organization/credit_alert", {"amount": "0.995"})
                receiver.status = 500
                ask = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 16, "ignore_eos": True}
                call(url, key, "POST", "/v1/chat/completions", ask)
                receiver.wait(2)
                raise Killed  # mill.serve ends it by SIGKILL
        except Killed:
            pass
        receiver.status = 204
        before = len(receiver.got)
        with mill.serve(binary, "sim:instant", *ledger, "--webhook-networks", "127.0.0.0/8", log=log, open=False) as server:
            url = f"http://{server.host}:{server.port}"
            receiver.wait(before + 2)
            spend, credit = (verify(secret, *one) for one in receiver.got[-2:])
            expect("after kill -9 both alerts come", [spend["type"], credit["type"]] == ["spend_alert.reached", "credit.low"])
            expect("with the id that they had", spend["id"] == json.loads(receiver.got[1][1])["id"])
            expect("and what was spent", spend["data"]["organization_id"] == org and float(spend["data"]["spent"]) >= 0.016)
            expect("and what is left", abs(float(credit["data"]["left"]) + float(spend["data"]["spent"]) - 1) < 1e-9)
            rotated = call(url, admin, "POST", "/v1/organization/webhook/rotate", {})["secret"]
            headers, body = receiver.wait(before + 3)[-1]
            expect("while a secret is replaced both are right", verify(secret, headers, body) == verify(rotated, headers, body))
            delivered = 'tokenmill_webhook_deliveries_total{outcome="delivered"}'
            end = time.monotonic() + 10
            while server.metrics()[delivered] < 3 and time.monotonic() < end:
                time.sleep(0.05)
            expect("the metrics say so", server.metrics()[delivered] == 3)
            logs = call(url, admin, "GET", f"/v1/organization/audit_logs?organization_id={org}&limit=100")
            expect("the audit log says who set it", [e["type"] for e in logs["data"]].count("webhook.updated") == 2)
            expect("no secret is in the audit log", "whsec" not in json.dumps(logs))
    print(f"checked by {'standardwebhooks' if standardwebhooks else 'hmac'}: {types(receiver)}")


main()
