import assert from "node:assert/strict";
import type { LanguageModelV4StreamPart as StreamPart } from "@ai-sdk/provider";
import { customProvider } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { check } from "../check.ts";
import { limits, POST } from "./chat.ts";

const usage = {
  inputTokens: { total: 30, noCache: 30, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 20, text: 20, reasoning: undefined },
};
const finishReason = { unified: "stop" as const, raw: undefined };
const PROMPT = "How do you do?";

/** The tokens that are counted while the prompt is on its way with a longest answer of 1 000. */
const ESTIMATE = 1_000 + Math.ceil(PROMPT.length / 4);

/** What a model streams after its first word. */
let next: (controller: ReadableStreamDefaultController<StreamPart>) => Promise<void> = async () => {};
/** What it does before it streams. */
let begin: () => Promise<void> = async () => {};

const model = new MockLanguageModelV4({
  doStream: async ({ abortSignal }) => {
    await begin();
    return {
      stream: new ReadableStream<StreamPart>({
        async start(controller) {
          abortSignal?.addEventListener("abort", () => controller.error(abortSignal.reason));
          controller.enqueue({ type: "stream-start", warnings: [] });
          controller.enqueue({ type: "text-start", id: "1" });
          controller.enqueue({ type: "text-delta", id: "1", delta: "hello" });
          await next(controller);
          if (abortSignal?.aborted) return;
          controller.enqueue({ type: "text-end", id: "1" });
          controller.enqueue({ type: "finish", finishReason, usage });
          controller.close();
        },
      }),
    };
  },
});
// A model that is only named is that of the default provider.
globalThis.AI_SDK_DEFAULT_PROVIDER = customProvider({ languageModels: { "openai/gpt-5-mini": model } });

function ask(user: string, { prompt = PROMPT, signal = new AbortController().signal } = {}): Promise<Response> {
  const headers = { "x-user": user };
  return POST(new Request("http://localhost/", { method: "POST", headers, body: prompt, signal }));
}

function countsOf(user: string): [requests: number, tokens: number] {
  return [limits.limiter("requests").get(user).total, limits.limiter("tokens").get(user).total];
}

await check("a stream counts the estimate, and at its end what it used", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  next = () => promise;
  const response = await ask("eve");
  assert.deepEqual(countsOf("eve"), [1, ESTIMATE]);
  resolve();
  assert.equal(await response.text(), "hello");
  assert.deepEqual(countsOf("eve"), [1, 50]);
});

await check("a call that fails is given back", async () => {
  begin = () => Promise.reject(new Error("down"));
  await (await ask("bob")).text();
  begin = async () => {};
  assert.deepEqual(countsOf("bob"), [0, 0]);
});

await check("a stream that is aborted stays counted with the estimate", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  next = () => promise;
  const abort = new AbortController();
  const response = await ask("joe", { signal: abort.signal });
  const reader = response.body!.getReader();
  await reader.read();
  abort.abort();
  while (!(await reader.read().catch(() => ({ done: true }))).done);
  resolve();
  assert.deepEqual(countsOf("joe"), [1, ESTIMATE]);
});

await check("over the limit the model isn't asked, and the answer tells the wait", async () => {
  next = async () => {};
  const asked = model.doStreamCalls.length;
  const never = await ask("sue", { prompt: "x".repeat(40_000) });
  assert.deepEqual([never.status, await never.text()], [429, "Too many tokens: try again in Infinity s."]);
  for (let i = 0; i < 20; i++) await (await ask("sue")).text();
  const denied = await ask("sue");
  assert.equal(denied.status, 429);
  assert.match(await denied.text(), /^Too many requests: try again in (60|5\d) s\.$/);
  assert.equal(model.doStreamCalls.length, asked + 20);
});
