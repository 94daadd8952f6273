#!/usr/bin/env node
// The unmodified `openai` package for Node.js against a running server.
//
//   openai_node.mjs URL MODEL FOLDER [--scripted]
//
// FOLDER holds node_modules with openai in it (npm install --prefix FOLDER openai). The last line is `N passed, N failed`; exit 77
// without the package.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const [url, model, folder, ...flags] = process.argv.slice(2);
const scripted = flags.includes("--scripted");
let OpenAI;
try {
  OpenAI = createRequire(path.join(path.resolve(folder), "x.js"))("openai");
} catch (error) {
  console.log(`the npm package openai is not in ${folder}: ${error.code}`);
  process.exit(77);
}
const client = new OpenAI({ baseURL: url + "/v1", apiKey: "none", maxRetries: 0, timeout: 120_000 });
const chat = (content, more = {}) =>
  client.chat.completions.create({ model, messages: [{ role: "user", content }], ...more });

async function running() {
  const text = await (await fetch(url + "/metrics")).text();
  const line = text.split("\n").find((l) => l.startsWith("tokenmill_sequences_running") && l.includes(`"${model}"`));
  return Number(line.split(" ").at(-1));
}

const checks = {
  async lists_models() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    assert(ids.includes(model));
    assert.equal((await client.models.retrieve(model)).id, model);
    await assert.rejects(client.models.retrieve("no/such"), (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
  },
  async answers_whole() {
    const answer = await chat("hi", { max_tokens: 8, temperature: 0 });
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert(answer._request_id);
    if (scripted) assert.equal(answer.choices[0].message.content, "Hello world");
  },
  async streams_what_it_says_whole() {
    const whole = await chat("count", { max_tokens: 12, temperature: 0 });
    const stream = await chat("count", { max_tokens: 12, temperature: 0, stream: true, stream_options: { include_usage: true } });
    let text = "", usage = null, reason = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      reason = chunk.choices[0]?.finish_reason ?? reason;
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(reason, whole.choices[0].finish_reason);
    const counts = (u) => [u.prompt_tokens, u.completion_tokens, u.total_tokens];
    assert.deepEqual(counts(usage), counts(whole.usage));
  },
  async streams_through_its_own_helper() {
    const runner = client.chat.completions.stream({ model, messages: [{ role: "user", content: "hi" }], max_tokens: 8, temperature: 0 });
    let text = "";
    runner.on("content", (delta) => (text += delta));
    assert.equal((await runner.finalChatCompletion()).choices[0].message.content, text);
  },
  async gives_logprobs_and_choices() {
    const answer = await chat("hi", { max_tokens: 3, n: 2, seed: 1, logprobs: true, top_logprobs: 2 });
    assert.deepEqual(answer.choices.map((c) => c.index), [0, 1]);
    for (const choice of answer.choices) {
      assert(choice.logprobs.content.length > 0);
      assert.equal(choice.logprobs.content[0].top_logprobs.length, 2);
    }
  },
  async stops_where_told() {
    const full = (await chat("count", { max_tokens: 24, temperature: 0 })).choices[0].message.content;
    const middle = Math.floor(full.length / 2);
    const stop = full.slice(middle, middle + 3);
    const answer = await chat("count", { max_tokens: 24, temperature: 0, stop: [stop] });
    assert.equal(answer.choices[0].message.content, full.slice(0, full.indexOf(stop)));
    assert.equal(answer.choices[0].finish_reason, "stop");
  },
  async names_what_is_wrong() {
    const bad = (more, code, param) =>
      assert.rejects(chat("hi", more), (e) => e instanceof OpenAI.BadRequestError && e.code == code && e.param === param);
    await bad({ temperature: 3 }, null, "temperature");
    await bad({ response_format: { type: "json_object" } }, "unsupported_parameter", "response_format");
    await assert.rejects(chat("x".repeat(4_000_000)), (e) => e.code === "context_length_exceeded");
  },
  async takes_the_extensions() {
    await chat("hi", { max_tokens: 2, top_k: 40, min_p: 0.05, typical_p: 0.9, repetition_penalty: 1.1, priority: -1, cache_salt: "mine",
                       speculate: false });
    for (const [name, value] of Object.entries({ top_k: -2, min_p: 1.5, typical_p: -1, repetition_penalty: 0, priority: "high",
                                                 cache_salt: "", speculate: "no" })) {
      await assert.rejects(chat("hi", { [name]: value }), (e) => e instanceof OpenAI.BadRequestError && e.param === name);
    }
  },
  async details_its_usage() {
    const { usage } = await chat("cached", { max_tokens: 12, temperature: 0 });
    const { accepted_prediction_tokens: accepted, rejected_prediction_tokens: rejected } = usage.completion_tokens_details;
    const cached = usage.prompt_tokens_details.cached_tokens;
    assert(cached >= 0 && cached < usage.prompt_tokens && accepted >= 0 && accepted <= usage.completion_tokens && rejected >= 0);
    if (scripted) assert.deepEqual([cached, accepted, rejected], [16, 2, 5]);
  },
  async says_when_to_come_back() {
    if (!scripted) return; // a real queue isn't full on demand
    await assert.rejects(chat("busy"), (e) => e instanceof OpenAI.InternalServerError && e.status === 503 && e.code === "overloaded" &&
      (e.headers.get?.("retry-after") ?? e.headers["retry-after"]) === "7");
  },
  async serves_sixteen_streams_at_once() {
    const one = async () => {
      let text = "";
      for await (const chunk of await chat("count", { max_tokens: 16, temperature: 0, stream: true })) {
        text += chunk.choices[0].delta.content ?? "";
      }
      return text;
    };
    const alone = await one();
    const together = await Promise.all(Array.from({ length: 16 }, one));
    if (scripted) assert(together.every((text) => text === alone));
    assert(together.every((text) => text.length > 0));
  },
  async notices_a_client_that_aborts() {
    const stream = await chat(scripted ? "forever" : "Count from 1 to 1000, in words.", { stream: true, ignore_eos: true });
    let seen = 0;
    for await (const _ of stream) {
      if (++seen === 4) break; // leaves the stream: the package closes the connection
    }
    const deadline = Date.now() + 10_000;
    while ((await running()) > 0) assert(Date.now() < deadline, "it goes on for nobody");
  },
  async raises_when_the_model_fails_in_the_middle() {
    if (!scripted) return; // a real model doesn't fail on demand
    await assert.rejects(async () => {
      for await (const _ of await chat("fail", { stream: true }));
    }, (e) => e instanceof OpenAI.APIError && e.code === "internal_error");
  },
  async completes_text() {
    const answer = await client.completions.create({ model, prompt: "hi", max_tokens: 4, temperature: 0, logprobs: 1 });
    assert.equal(answer.object, "text_completion");
    assert.equal(answer.choices[0].logprobs.tokens.join(""), answer.choices[0].text);
    let text = "";
    for await (const chunk of await client.completions.create({ model, prompt: "hi", max_tokens: 4, temperature: 0, stream: true })) {
      text += chunk.choices[0].text;
    }
    assert.equal(text, answer.choices[0].text);
  },
};

let passed = 0, failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    ++passed;
    console.log("ok  ", name);
  } catch (error) {
    ++failed;
    console.log("FAIL", name, String(error).slice(0, 500));
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
