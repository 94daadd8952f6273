// The unmodified `openai` npm package as a client of a running tokenmill:
//   npm install openai && node openai_client.mjs http://127.0.0.1:8080
// Prints one line per check; the exit code is 1 when any fails, 77 when the package is absent.
import assert from "node:assert/strict";

const url = process.argv[2];
if (!url || url === "--help") {
  console.log("usage: node openai_client.mjs URL   (a running server, e.g. http://127.0.0.1:8080)");
  process.exit(url ? 0 : 2);
}
let OpenAI;
try {
  ({ default: OpenAI } = await import("openai"));
} catch {
  console.error("skipped: this test drives the npm package openai; npm install openai");
  process.exit(77);
}

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const ask = [{ role: "user", content: "Name three rivers and say where each of them flows." }];
const chat = (more = {}) =>
  client.chat.completions.create({ model, messages: ask, max_tokens: 24, temperature: 0, ...more });
const said = async (stream) => {
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text, usage };
};
const refused = async (more) => {
  try {
    await chat(more);
  } catch (error) {
    assert(error instanceof OpenAI.APIError, String(error));
    return error;
  }
  assert.fail("the request was not refused");
};

const checks = {
  "shows a model": async () => {
    assert.equal((await client.models.retrieve(model)).id, model);
  },
  "streams the whole answer's text, with usage": async () => {
    const whole = await chat();
    const stream = await said(await chat({ stream: true, stream_options: { include_usage: true } }));
    assert.equal(stream.text, whole.choices[0].message.content);
    assert.equal(stream.usage.total_tokens, whole.usage.total_tokens);
  },
  "gives logprobs": async () => {
    const choice = (await chat({ logprobs: true, top_logprobs: 2 })).choices[0];
    assert.equal(choice.logprobs.content[0].top_logprobs.length, 2);
  },
  "gives two choices": async () => {
    const { choices } = await chat({ n: 2, temperature: 1, seed: 1 });
    assert.deepEqual(choices.map((choice) => choice.index), [0, 1]);
  },
  "stops before a stop string": async () => {
    const text = (await chat()).choices[0].message.content;
    const stop = text.slice(text.length / 2, text.length / 2 + 4);
    const reply = (await chat({ stop })).choices[0];
    assert.equal(reply.message.content, text.slice(0, text.indexOf(stop)));
    assert.equal(reply.finish_reason, "stop");
  },
  "repeats with a seed": async () => {
    const draw = async (seed) => (await chat({ temperature: 1, seed })).choices[0].message.content;
    assert.equal(await draw(7), await draw(7));
  },
  "refuses a bad value by name": async () => {
    const error = await refused({ temperature: "hot" });
    assert.equal(error.status, 400);
    assert.equal(error.param, "temperature");
  },
  "refuses a long prompt": async () => {
    const error = await refused({ messages: [{ role: "user", content: "river ".repeat(60000) }] });
    assert.equal(error.code, "context_length_exceeded");
  },
  "serves sixteen streams and loses one": async () => {
    const asked = Array.from({ length: 16 }, (_, n) => ({
      messages: [{ role: "user", content: `Count to ${n + 3} in words.` }],
    }));
    const alone = [];
    for (const question of asked) alone.push((await chat(question)).choices[0].message.content);
    const leave = async () => {
      const stream = await chat({ ...asked[0], stream: true });
      for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
    };
    const together = asked.map(async (question) => said(await chat({ ...question, stream: true })));
    const answers = await Promise.all([...together, leave()]);
    assert.deepEqual(answers.slice(0, 16).map((answer) => answer.text), alone);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message}`);
  }
}
process.exit(failed ? 1 : 0);
