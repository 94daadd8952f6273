#!/usr/bin/env python3
"""The unmodified `openai` Python package as a client of tokenmill, feature by feature.

Each check is one function below and prints one line. The exit code is 1 when any fails.
"""

import argparse
import asyncio
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "oracle")]
import mill  # noqa: E402
import models  # noqa: E402

try:
    import openai
except ImportError:
    models.skip("this test drives the Python package openai; pip install openai")

ASK = [{"role": "user", "content": "Name three rivers and say where each of them flows."}]
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def expect(condition, sentence):
    if not condition:
        raise AssertionError(sentence)


class Talk:
    """A client, the model's name, and the two calls that most checks make."""

    def __init__(self, url):
        options = {"base_url": url + "/v1", "api_key": "none", "max_retries": 0, "timeout": 300}
        self.client = openai.OpenAI(**options)
        self.many = openai.AsyncOpenAI(**options)
        self.model = self.client.models.list().data[0].id

    def chat(self, messages=None, **more):
        more = {"max_tokens": 24, "temperature": 0} | more
        return self.client.chat.completions.create(
            model=self.model, messages=messages or ASK, **more
        )

    def refused(self, kind, **more):
        """The error of a chat that must fail with this class."""
        try:
            self.chat(**more)
        except kind as error:
            return error
        raise AssertionError(f"no {kind.__name__}")


def whole(reply):
    return reply.choices[0].message.content


@check
def lists_and_shows_models(talk):
    expect(talk.client.models.retrieve(talk.model).id == talk.model, "retrieve gives another id")
    try:
        talk.client.models.retrieve("no-such-model")
    except openai.NotFoundError:
        return
    raise AssertionError("an unknown model is no 404")


@check
def answers_whole_with_exact_usage(talk):
    reply = talk.chat()
    usage = reply.usage
    expect(whole(reply), "no content")
    expect(reply.object == "chat.completion", f"object is {reply.object}")
    expect(reply.choices[0].message.role == "assistant", "role is not assistant")
    expect(reply.choices[0].finish_reason in ("stop", "length"), "no finish reason")
    expect(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, "usage adds up")
    if reply.choices[0].finish_reason == "length":
        expect(usage.completion_tokens == 24, f"{usage.completion_tokens} tokens, not max_tokens")


@check
def streams_the_same_text_with_usage(talk):
    wanted = talk.chat()
    stream = talk.chat(stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    expect(said == whole(wanted), f"streamed {said!r}, whole {whole(wanted)!r}")
    expect(chunks[0].choices[0].delta.role == "assistant", "the first chunk has no role")
    expect(len({c.id for c in chunks}) == 1, "chunks of one answer have several ids")
    expect([c for c in chunks if c.usage] == chunks[-1:], "usage is not on the last chunk alone")
    expect(not chunks[-1].choices, "the usage chunk has choices")
    expect(chunks[-1].usage.total_tokens == wanted.usage.total_tokens, "usage differs")


@check
def streams_without_usage_unless_asked(talk):
    expect(not any(c.usage for c in talk.chat(stream=True)), "usage that nobody asked for")


@check
def gives_logprobs(talk):
    choice = talk.chat(logprobs=True, top_logprobs=3).choices[0]
    tokens = choice.logprobs.content
    said = b"".join(bytes(token.bytes or []) for token in tokens)
    expect(said.decode(errors="replace").startswith(choice.message.content), "bytes are the text")
    for token in tokens:
        expect(token.logprob <= 0, "a logprob above 0")
        expect(len(token.top_logprobs) == 3, f"{len(token.top_logprobs)} alternatives, not 3")
        best = token.top_logprobs[0]
        expect(abs(best.logprob - token.logprob) < 1e-6, "greedy did not take the best")


@check
def gives_two_choices(talk):
    choices = talk.chat(n=2, temperature=1, seed=1).choices
    expect([choice.index for choice in choices] == [0, 1], "indices are not 0, 1")
    expect(choices[0].message.content != choices[1].message.content, "both choices are the same")


@check
def stops_before_a_stop_string(talk):
    text = whole(talk.chat())
    stop = text[len(text) // 2 : len(text) // 2 + 4]
    reply = talk.chat(stop=[stop])
    wanted = text[: text.index(stop)]
    expect(whole(reply) == wanted, f"{whole(reply)!r}, expected {wanted!r}")
    expect(reply.choices[0].finish_reason == "stop", "finish_reason is not stop")
    chunks = talk.chat(stop=[stop], stream=True)
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    expect(said == wanted, f"streamed {said!r}, expected {wanted!r}")


@check
def repeats_with_a_seed(talk):
    draw = lambda seed: whole(talk.chat(temperature=1, seed=seed))
    expect(draw(7) == draw(7), "one seed, two texts")
    expect(draw(7) != draw(8), "two seeds, one text")


@check
def takes_parts_roles_and_other_names(talk):
    parts = [{"type": "text", "text": ASK[0]["content"]}]
    messages = [{"role": "user", "content": parts}]
    expect(whole(talk.chat(messages)) == whole(talk.chat()), "parts differ from a string")
    system = [{"role": "system", "content": "Answer in French."}, *ASK]
    developer = [{"role": "developer", "content": "Answer in French."}, *ASK]
    expect(whole(talk.chat(system)) == whole(talk.chat(developer)), "developer is not system")
    reply = talk.chat(max_tokens=openai.NOT_GIVEN, max_completion_tokens=5)
    expect(reply.usage.completion_tokens <= 5, "max_completion_tokens is ignored")


@check
def obeys_logit_bias_and_penalties(talk):
    reply = talk.chat(logit_bias={"100": 100}, logprobs=True, max_tokens=6)
    tokens = {token.token for token in reply.choices[0].logprobs.content}
    expect(len(tokens) == 1, f"a bias of 100 on one token gave {tokens}")
    free = talk.chat(logit_bias={"100": 30}, max_tokens=24)
    held = talk.chat(logit_bias={"100": 30}, max_tokens=24, frequency_penalty=2)
    expect(whole(free) != whole(held), "frequency_penalty changes nothing")


@check
def refuses_a_bad_value_by_name(talk):
    error = talk.refused(openai.BadRequestError, extra_body={"temperature": "hot"})
    expect(error.param == "temperature", f"param is {error.param}")
    expect(error.type == "invalid_request_error", f"type is {error.type}")
    error = talk.refused(openai.BadRequestError, messages=[{"role": "nobody", "content": "x"}])
    expect(error.param and error.param.startswith("messages"), f"param is {error.param}")


@check
def ignores_an_unknown_key(talk):
    expect(whole(talk.chat(extra_body={"no_such_key": {"a": [1]}})), "no answer")


@check
def says_what_is_not_built(talk):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    error = talk.refused(openai.BadRequestError, tools=tools)
    expect(error.code == "unsupported_parameter", f"code is {error.code}")


@check
def refuses_a_long_prompt(talk):
    messages = [{"role": "user", "content": "river " * 60000}]
    error = talk.refused(openai.BadRequestError, messages=messages)
    expect(error.code == "context_length_exceeded", f"code is {error.code}")


@check
def refuses_an_unknown_model(talk):
    try:
        talk.client.chat.completions.create(model="no-such-model", messages=ASK)
    except openai.NotFoundError as error:
        expect(error.code == "model_not_found", f"code is {error.code}")
        return
    raise AssertionError("an unknown model is no 404")


@check
def completes_text(talk):
    create = talk.client.completions.create
    more = {"model": talk.model, "max_tokens": 8, "temperature": 0}
    reply = create(prompt="The river flows", logprobs=2, echo=True, **more)
    scores = reply.choices[0].logprobs
    expect(reply.choices[0].text.startswith("The river flows"), "echo does not start the text")
    expect("".join(scores.tokens) == reply.choices[0].text, "tokens are not the text")
    expect(scores.token_logprobs[0] is None, "the first token has a logprob")
    expect(len(scores.text_offset) == len(scores.tokens), "offsets and tokens differ in number")
    chunks = create(prompt="The river flows", stream=True, **more)
    said = "".join(c.choices[0].text for c in chunks if c.choices)
    expect("The river flows" + said == reply.choices[0].text, "streamed text differs")


@check
def serves_sixteen_streams_and_loses_one(talk):
    questions = [[{"role": "user", "content": f"Count to {n + 3} in words."}] for n in range(16)]
    alone = [whole(talk.chat(question)) for question in questions]

    async def ask(question, leave=False):
        stream = await talk.many.chat.completions.create(
            model=talk.model, messages=question, max_tokens=24, temperature=0, stream=True
        )
        said = ""
        async for chunk in stream:
            said += chunk.choices[0].delta.content or "" if chunk.choices else ""
            if leave and said:
                await stream.close()
                break
        return said

    async def everybody():
        return await asyncio.gather(*[ask(q) for q in questions], ask(questions[0], leave=True))

    said = asyncio.run(everybody())[:-1]
    parted = [n for n in range(16) if said[n] != alone[n]]
    expect(not parted, f"streams {parted} differ from their solo answers")


def run(talk):
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function(talk)
            print(f"ok      {name}", flush=True)
        except (AssertionError, openai.OpenAIError) as error:
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
    return failed


@mill.ends_with_a_sentence
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="smollm2", help="short name or file (smollm2)")
    parser.add_argument("--mill", help="the tokenmill program (build/release)")
    parser.add_argument("--url", help="a server that runs already, as http://host:port")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    model = None if args.url else models.path_of(args.model)
    with mill.at_or_serve(args, models.binary, model) as server:
        failed = run(Talk(f"http://{server.host}:{server.port}"))
    print(f"{len(CHECKS) - failed} of {len(CHECKS)} checks with openai {openai.__version__}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
