#!/usr/bin/env python3
"""The unmodified `openai` package for Python against the server: every shape that it reads, strictly.

    openai_python.py [smollm2] [--mill PROGRAM]               a server of its own with that model
    openai_python.py --url http://127.0.0.1:8080 [--scripted]   one that runs already, and its first model

--scripted: the server is mill_scripted_server, whose words are known. The last line is `N passed, N failed`; exit 77 without the package.
"""
import argparse
import asyncio
import concurrent.futures
import json
import pathlib
import socket
import sys
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "oracle")]
import mill  # noqa: E402
import models  # noqa: E402

try:
    import openai
    from openai.types import Completion
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
except ImportError:
    print("the Python package openai is not installed")
    sys.exit(77)

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Server:
    def __init__(self, url, scripted):
        options = {"base_url": url + "/v1", "api_key": "none", "max_retries": 0, "timeout": 120}
        self.url, self.scripted = url, scripted
        self.client, self.many = openai.OpenAI(**options), openai.AsyncOpenAI(**options)
        self.model = self.client.models.list().data[0].id

    def chat(self, content, **more):
        return self.client.chat.completions.create(model=self.model, messages=[{"role": "user", "content": content}], **more)

    def metric(self, name):
        with urllib.request.urlopen(self.url + "/metrics") as reply:
            for line in reply.read().decode().splitlines():
                if line.startswith(name) and f'"{self.model}"' in line:
                    return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no metric {name}")


def counts(usage):
    """What the same request must always cost; how much of its prompt was cached depends on what came before."""
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


def fails(kind, call, code=None, param=None):
    """Calls; the error must be of that kind and name that code and parameter."""
    try:
        call()
    except kind as error:
        assert code is None or error.code == code, f"code {error.code!r}"
        assert param is None or error.param == param, f"param {error.param!r}"
        assert error.body and error.body.get("message"), error.body
        return error
    raise AssertionError(f"no {kind.__name__}")


@check
def lists_models(server):
    models = list(server.client.models.list())
    assert server.model in [m.id for m in models], models
    one = server.client.models.retrieve(server.model)
    assert one.id == server.model and one.object == "model" and one.created > 0 and one.owned_by
    fails(openai.NotFoundError, lambda: server.client.models.retrieve("no/such"), "model_not_found")


@check
def answers_whole(server):
    answer = server.chat("hi", max_tokens=16, temperature=0)
    ChatCompletion.model_validate(answer.model_dump())
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and isinstance(choice.message.content, str)
    assert choice.finish_reason in ("stop", "length")
    assert answer.object == "chat.completion" and answer.model == server.model and answer.id.startswith("chatcmpl-")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens <= 16 and answer.usage.prompt_tokens > 0
    assert answer._request_id
    if server.scripted:
        assert choice.message.content == "Hello world" and choice.finish_reason == "stop"


@check
def streams_what_it_says_whole(server):
    whole = server.chat("count", max_tokens=12, temperature=0)
    chunks = list(server.chat("count", max_tokens=12, temperature=0, stream=True, stream_options={"include_usage": True}))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.model_dump())
        assert chunk.id == chunks[0].id and chunk.created == chunks[0].created and chunk.model == server.model
        assert chunk.object == "chat.completion.chunk"
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[0].choices[0].delta.content == ""
    assert all(c.choices[0].delta.role is None for c in chunks[1:-1])
    assert chunks[-1].choices == [] and counts(chunks[-1].usage) == counts(whole.usage), (chunks[-1], whole.usage)
    assert all(c.usage is None for c in chunks[:-1])
    reasons = [c.choices[0].finish_reason for c in chunks[:-1]]
    assert reasons[:-1] == [None] * (len(reasons) - 1) and reasons[-1] == whole.choices[0].finish_reason
    text = "".join(c.choices[0].delta.content or "" for c in chunks[:-1])
    assert text == whole.choices[0].message.content, (text, whole)


@check
def streams_without_usage_unless_asked(server):
    chunks = list(server.chat("hi", max_tokens=4, stream=True))
    assert all(c.usage is None and len(c.choices) == 1 for c in chunks)


@check
def reads_parts_and_roles(server):
    answer = server.client.chat.completions.create(
        model=server.model, max_completion_tokens=4,
        messages=[{"role": "developer", "content": "Be brief."},
                  {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "there"}]},
                  {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "hi", "name": "ann"}])
    assert answer.usage.completion_tokens <= 4
    said = lambda messages: server.client.chat.completions.create(
        model=server.model, messages=messages, max_tokens=8, temperature=0).choices[0].message.content
    asked = {"role": "user", "content": "Name a river."}
    assert said([{"role": "system", "content": "Be brief."}, asked]) == said([{"role": "developer", "content": "Be brief."}, asked])
    assert said([asked]) == said([{"role": "user", "content": [{"type": "text", "text": "Name a river."}]}])
    nobody = fails(openai.BadRequestError, lambda: said([{"role": "nobody", "content": "x"}]))
    assert nobody.param.startswith("messages"), nobody.param


@check
def gives_logprobs(server):
    answer = server.chat("hi", max_tokens=3, temperature=0, logprobs=True, top_logprobs=3)
    entries = answer.choices[0].logprobs.content
    assert entries and all(len(e.top_logprobs) == 3 and e.logprob <= 0 for e in entries)
    assert "".join(e.token for e in entries) == answer.choices[0].message.content
    assert all(bytes(e.bytes).decode() == e.token for e in entries)
    if not server.scripted:
        assert all(e.top_logprobs[0].logprob >= e.logprob - 1e-6 for e in entries)
        assert all(e.top_logprobs[0].token == e.token for e in entries), "greedy takes the first"
    streamed = [e for c in server.chat("hi", max_tokens=3, temperature=0, logprobs=True, top_logprobs=3, stream=True)
                if c.choices[0].logprobs for e in c.choices[0].logprobs.content]
    assert [e.token for e in streamed] == [e.token for e in entries]


@check
def gives_several_choices(server):
    answer = server.chat("hi", max_tokens=8, n=3, temperature=1, seed=5)
    assert [c.index for c in answer.choices] == [0, 1, 2]
    one = server.chat("hi", max_tokens=8, temperature=1, seed=5)
    assert answer.usage.prompt_tokens == one.usage.prompt_tokens, "the prompt counts once"
    texts, reasons = ["", "", ""], [None] * 3
    for chunk in server.chat("hi", max_tokens=8, n=3, temperature=1, seed=5, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    assert texts == [c.message.content for c in answer.choices], (texts, answer)
    assert reasons == [c.finish_reason for c in answer.choices]


@check
def stops_where_told(server):
    full = server.chat("count", max_tokens=24, temperature=0).choices[0].message.content
    stop = full[len(full) // 2:len(full) // 2 + 3]
    assert len(stop) == 3, full
    whole = server.chat("count", max_tokens=24, temperature=0, stop=[stop, "never said"])
    assert whole.choices[0].message.content == full[:full.index(stop)] and whole.choices[0].finish_reason == "stop"
    parts = [c.choices[0].delta.content or "" for c in server.chat("count", max_tokens=24, temperature=0, stop=stop, stream=True)]
    assert "".join(parts) == full[:full.index(stop)]


@check
def repeats_itself_with_a_seed(server):
    texts = {server.chat("hi", max_tokens=12, temperature=1.5, seed=42).choices[0].message.content for _ in range(3)}
    assert len(texts) == 1, texts
    if not server.scripted:
        other = server.chat("hi", max_tokens=12, temperature=1.5, seed=43).choices[0].message.content
        assert other not in texts, "two seeds, one text"


@check
def honours_logit_bias(server):
    if server.scripted:
        return  # its words don't come from logits
    first = server.chat("hi", max_tokens=1, temperature=0, logprobs=True).choices[0].logprobs.content[0]
    for token in range(200):
        biased = server.chat("hi", max_tokens=1, temperature=0, logprobs=True, logit_bias={str(token): 100})
        entry = biased.choices[0].logprobs.content
        if entry and entry[0].token != first.token:
            break
    else:
        raise AssertionError("a bias of 100 changed nothing")


@check
def honours_penalties(server):
    if server.scripted:
        return
    say = lambda **more: server.chat("Write the word mill ten times.", max_tokens=24, temperature=0, **more).choices[0].message.content
    assert say(extra_body={"repetition_penalty": 10}) != say(), "repetition_penalty changes nothing"
    pushed = {"100": 30}  # a token that is said again and again, until the penalty outweighs the bias
    assert say(logit_bias=pushed, frequency_penalty=2) != say(logit_bias=pushed), "frequency_penalty changes nothing"


@check
def names_what_is_wrong(server):
    fails(openai.BadRequestError, lambda: server.chat("hi", temperature=3), None, "temperature")
    fails(openai.BadRequestError, lambda: server.chat("hi", n=0), None, "n")
    fails(openai.BadRequestError, lambda: server.chat("hi", max_tokens=-5), None, "max_tokens")
    fails(openai.BadRequestError, lambda: server.chat("hi", response_format={"type": "json_object"}), "unsupported_parameter", "response_format")
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    fails(openai.BadRequestError, lambda: server.chat("hi", tools=[tool]), "unsupported_parameter", "tools")
    fails(openai.BadRequestError, lambda: server.chat("x" * 4_000_000), "context_length_exceeded", "messages")
    fails(openai.NotFoundError, lambda: server.client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "x"}]),
          "model_not_found", "model")


@check
def refuses_what_is_not_json(server):
    request = urllib.request.Request(server.url + "/v1/chat/completions", b'{"model": ', {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        body = json.loads(error.read())
        assert error.code == 400 and body["error"]["type"] == "invalid_request_error", body
        assert error.headers["X-Request-Id"]
        return
    raise AssertionError("taken")


@check
def ignores_what_it_does_not_know(server):
    server.chat("hi", max_tokens=2, user="u", metadata={"a": "b"}, store=False, service_tier="auto", parallel_tool_calls=True,
                extra_body={"unknown": {"deep": [1, 2]}, "top_k": 5, "min_p": 0.1})


@check
def takes_the_extensions(server):
    known = {"top_k": 40, "min_p": 0.05, "typical_p": 0.9, "repetition_penalty": 1.1, "priority": -1, "cache_salt": "mine",
             "speculate": False}
    server.chat("hi", max_tokens=2, extra_body=known)
    server.client.completions.create(model=server.model, prompt="hi", max_tokens=2, extra_body=known)
    for name, value in (("top_k", -2), ("min_p", 1.5), ("typical_p", -1), ("repetition_penalty", 0), ("priority", "high"),
                        ("cache_salt", ""), ("speculate", "no")):
        fails(openai.BadRequestError, lambda: server.chat("hi", extra_body={name: value}), None, name)


@check
def details_its_usage(server):
    chunks = list(server.chat("cached", max_tokens=12, temperature=0, stream=True, stream_options={"include_usage": True}))
    for usage in (server.chat("cached", max_tokens=12, temperature=0).usage, chunks[-1].usage):
        cached = usage.prompt_tokens_details.cached_tokens
        accepted = usage.completion_tokens_details.accepted_prediction_tokens
        rejected = usage.completion_tokens_details.rejected_prediction_tokens
        assert 0 <= cached < usage.prompt_tokens and 0 <= accepted <= usage.completion_tokens and rejected >= 0, usage
        if server.scripted:
            assert (cached, accepted, rejected) == (16, 2, 5), usage


@check
def caches_prefixes_for_one_key_alone(server):
    if server.scripted:
        return  # it has no cache
    text = f"Remember the number {time.time_ns()}. " + "The mill stands by the river and grinds all day. " * 12

    def cached(key, **body):
        client = openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0, timeout=120)
        answer = client.chat.completions.create(model=server.model, messages=[{"role": "user", "content": text}], max_tokens=1,
                                                temperature=0, extra_body=body)
        return answer.usage.prompt_tokens_details.cached_tokens, answer.usage.prompt_tokens

    assert cached("ann")[0] < 64, "a prompt that was never seen"
    hit, prompt = cached("ann")
    assert prompt // 2 < hit < prompt, (hit, prompt)
    assert cached("bob")[0] < 64, "another key's prompt"
    assert cached("ann", cache_salt="x")[0] < 64, "another salt"
    assert cached("ann", cache_salt="x")[0] == hit


@check
def says_when_to_come_back(server):
    if not server.scripted:
        return  # a real queue isn't full on demand
    error = fails(openai.InternalServerError, lambda: server.chat("busy"), "overloaded")
    assert error.status_code == 503 and error.response.headers["retry-after"] == "7", error.response.headers
    fails(openai.InternalServerError, lambda: server.chat("busy", stream=True), "overloaded")


@check
def carries_the_request_id(server):
    raw = server.client.chat.completions.with_raw_response.create(
        model=server.model, messages=[{"role": "user", "content": "hi"}], max_tokens=1, extra_headers={"X-Request-Id": "mine_1"})
    assert raw.headers["x-request-id"] == "mine_1" and int(raw.headers["openai-processing-ms"]) >= 0


@check
def completes_text(server):
    answer = server.client.completions.create(model=server.model, prompt="hi", max_tokens=4, temperature=0)
    Completion.model_validate(answer.model_dump())
    assert answer.object == "text_completion" and answer.choices[0].finish_reason in ("stop", "length")
    parts = [c.choices[0].text for c in
             server.client.completions.create(model=server.model, prompt="hi", max_tokens=4, temperature=0, stream=True)]
    assert "".join(parts) == answer.choices[0].text
    echoed = server.client.completions.create(model=server.model, prompt="hi", max_tokens=4, temperature=0, echo=True)
    assert echoed.choices[0].text == "hi" + answer.choices[0].text
    batch = server.client.completions.create(model=server.model, prompt=["hi", "count"], max_tokens=4, temperature=0)
    assert [c.index for c in batch.choices] == [0, 1] and batch.choices[0].text == answer.choices[0].text
    ids = server.client.completions.create(model=server.model, prompt=[5, 6, 7], max_tokens=1)
    assert ids.usage.prompt_tokens == 3


@check
def scores_a_prompt(server):
    answer = server.client.completions.create(model=server.model, prompt="count on", max_tokens=0, echo=True, logprobs=2)
    scored = answer.choices[0].logprobs
    assert answer.choices[0].text == "count on" and answer.usage.completion_tokens == 0
    assert len(scored.tokens) == len(scored.token_logprobs) == len(scored.text_offset) == answer.usage.prompt_tokens
    assert scored.token_logprobs[0] is None and all(x <= 0 for x in scored.token_logprobs[1:])
    assert all(len(t) in (2, 3) for t in scored.top_logprobs[1:])
    assert scored.text_offset == sorted(scored.text_offset) and scored.text_offset[0] == 0


@check
def serves_sixteen_streams_at_once(server):
    def one(i):
        chunks = list(server.chat(f"count {i}", max_tokens=16, temperature=0, stream=True, stream_options={"include_usage": True}))
        return "".join(c.choices[0].delta.content or "" for c in chunks[:-1]), counts(chunks[-1].usage)

    alone = one(3)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        together = list(pool.map(one, [3] * 16))
    assert all(t[1] == alone[1] for t in together), together
    if server.scripted:
        assert all(t == alone for t in together)


@check
def keeps_different_streams_apart(server):
    questions = [f"count to {n + 3} in words" for n in range(16)]
    alone = [server.chat(q, max_tokens=24, temperature=0).choices[0].message.content for q in questions]

    async def ask(question, leave=False):
        stream = await server.many.chat.completions.create(
            model=server.model, messages=[{"role": "user", "content": question}], max_tokens=24, temperature=0, stream=True)
        said = ""
        async for chunk in stream:
            said += chunk.choices[0].delta.content or ""
            if leave and said:
                await stream.close()
                break
        return said

    async def everybody():
        return await asyncio.gather(*[ask(q) for q in questions], ask(questions[0], leave=True))

    assert asyncio.run(everybody())[:-1] == alone


@check
def notices_a_client_that_is_killed(server):
    words = "forever" if server.scripted else "Count from 1 to 1000, in words."
    body = json.dumps({"model": server.model, "stream": True, "ignore_eos": True,
                       "messages": [{"role": "user", "content": words}]})
    url = urllib.parse.urlparse(server.url)
    connection = socket.create_connection((url.hostname, url.port))
    connection.sendall((f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
    seen = b""
    while seen.count(b"data: ") < 4:
        part = connection.recv(4096)
        assert part, seen
        seen += part
    assert server.metric("tokenmill_sequences_running") >= 1
    connection.close()
    deadline = time.monotonic() + 10
    while server.metric("tokenmill_sequences_running") > 0:
        assert time.monotonic() < deadline, "it goes on for nobody"
        time.sleep(0.01)


@check
def raises_when_the_model_fails_in_the_middle(server):
    if not server.scripted:
        return  # a real model doesn't fail on demand
    try:
        for _ in server.chat("fail", stream=True):
            pass
    except openai.APIError as error:
        assert error.code == "internal_error"
        fails(openai.InternalServerError, lambda: server.chat("fail"), "internal_error")
        return
    raise AssertionError("the stream ended as if it were whole")


@check
def streams_whole_characters(server):
    if not server.scripted:
        return
    parts = [c.choices[0].delta.content for c in server.chat("unicode", stream=True) if c.choices[0].delta.content]
    assert parts == ["é", "日本", "ü"], parts


@check
def says_it_is_well(server):
    for path in ("/health", "/ready", "/"):
        for method in ("GET", "HEAD"):
            with urllib.request.urlopen(urllib.request.Request(server.url + path, method=method)) as reply:
                assert reply.status == 200 and (method == "GET") == bool(reply.read())


def run(server):
    passed = failed = 0
    for function in CHECKS:
        try:
            function(server)
            passed += 1
            print("ok  ", function.__name__)
        except Exception as error:  # each check stands alone
            failed += 1
            print("FAIL", function.__name__, type(error).__name__, str(error)[:500])
    print(f"openai {openai.__version__}")
    print(f"{passed} passed, {failed} failed")
    return failed


@mill.ends_with_a_sentence
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default="smollm2", help="a short name or a GGUF file (smollm2)")
    parser.add_argument("--mill", help="the tokenmill program (build/release)")
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scripted", action="store_true")
    args = parser.parse_args()
    with mill.at_or_serve(args, models.binary, None if args.url else models.path_of(args.file)) as server:
        failed = run(Server(f"http://{server.host}:{server.port}", args.scripted))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
