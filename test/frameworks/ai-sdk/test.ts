import assert from "node:assert/strict";
import type { LanguageModelV4StreamPart as StreamPart } from "@ai-sdk/provider";
import { APICallError, generateText, streamText, wrapLanguageModel } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { check } from "../check.ts";
import { limits, limitsOf } from "./limits.ts";

const usage = {
  inputTokens: { total: 30, noCache: 30, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 20, text: 20, reasoning: undefined },
};
const finishReason = { unified: "stop" as const, raw: undefined };
const prompt = "How do you do?";

/** The tokens that are counted while the prompt is on its way with a longest answer of 1 000. */
const ESTIMATE =
  1_000 + Math.ceil(JSON.stringify([{ role: "user", content: [{ type: "text", text: prompt }] }]).length / 4);

function countsOf(user: string): [requests: number, tokens: number] {
  return [limits.limiter("requests").get(user).total, limits.limiter("tokens").get(user).total];
}

/** A model that streams `hello`, and ends when `signal` aborts or `next` resolves. */
function streaming(next: Promise<void>) {
  return new MockLanguageModelV4({
    doStream: async ({ abortSignal }) => ({
      stream: new ReadableStream<StreamPart>({
        async start(controller) {
          abortSignal?.addEventListener("abort", () => controller.error(abortSignal.reason));
          controller.enqueue({ type: "stream-start", warnings: [] });
          controller.enqueue({ type: "text-start", id: "1" });
          controller.enqueue({ type: "text-delta", id: "1", delta: "hello" });
          await next;
          if (abortSignal?.aborted) return;
          controller.enqueue({ type: "text-end", id: "1" });
          controller.enqueue({ type: "finish", finishReason, usage });
          controller.close();
        },
      }),
    }),
  });
}

const answering = new MockLanguageModelV4({
  doGenerate: async () => ({ content: [{ type: "text", text: "Well." }], finishReason, usage, warnings: [] }),
});

await check("a call takes a request and an estimate of tokens, and is settled to what it used", async () => {
  const model = wrapLanguageModel({ model: answering, middleware: limitsOf("ann") });
  const { text } = await generateText({ model, prompt });
  assert.equal(text, "Well.");
  assert.deepEqual(countsOf("ann"), [1, 50]);
});

await check("a call that fails is given back", async () => {
  const failing = new MockLanguageModelV4({ doGenerate: () => Promise.reject(new Error("down")) });
  const model = wrapLanguageModel({ model: failing, middleware: limitsOf("bob") });
  await assert.rejects(generateText({ model, prompt }), /down/);
  assert.deepEqual(countsOf("bob"), [0, 0]);
});

await check("a stream counts the estimate, and at its end what it used", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const model = wrapLanguageModel({ model: streaming(promise), middleware: limitsOf("eve") });
  let text = "";
  for await (const delta of streamText({ model, prompt }).textStream) {
    text += delta;
    assert.deepEqual(countsOf("eve"), [1, ESTIMATE]);
    resolve();
  }
  assert.equal(text, "hello");
  assert.deepEqual(countsOf("eve"), [1, 50]);
});

await check("a stream that is aborted stays counted with the estimate", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const abort = new AbortController();
  const model = wrapLanguageModel({ model: streaming(promise), middleware: limitsOf("joe") });
  for await (const _ of streamText({ model, prompt, abortSignal: abort.signal }).textStream) abort.abort();
  resolve();
  assert.deepEqual(countsOf("joe"), [1, ESTIMATE]);
});

await check("over the limit the model isn't asked, and the error tells the wait", async () => {
  const model = wrapLanguageModel({ model: answering, middleware: limitsOf("sue") });
  const asked = answering.doGenerateCalls.length;
  const error = await generateText({ model, prompt, maxOutputTokens: 20_000 }).catch((caught) => caught);
  assert.ok(APICallError.isInstance(error));
  assert.equal(error.statusCode, 429);
  assert.equal(error.message, "Too many tokens: try again in Infinity s.");
  for (let i = 0; i < 20; i++) await generateText({ model, prompt });
  const last = await generateText({ model, prompt }).catch((caught) => caught);
  assert.ok(APICallError.isInstance(last));
  assert.match(last.message, /^Too many requests: try again in (60|5\d) s\.$/);
  assert.ok(Number(last.responseHeaders?.["retry-after-ms"]) <= 60_100);
  assert.equal(answering.doGenerateCalls.length, asked + 20);
});
