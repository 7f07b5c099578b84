// limits.ts
import type {
  LanguageModelV4CallOptions as CallOptions,
  LanguageModelV4Middleware as Middleware,
  LanguageModelV4StreamPart as StreamPart,
  LanguageModelV4Usage as Usage,
} from "@ai-sdk/provider";
import { APICallError } from "ai";
import { createLimits, createLocalProvider, minutes } from "trypema";

export const limits = createLimits(createLocalProvider(), {
  requests: { limit: 20, windowMs: minutes(1) },
  tokens: { limit: 10_000, windowMs: minutes(1) },
});

/** Takes a request, and as many tokens as the prompt and the longest answer may have. */
async function reserve(user: string, { prompt, maxOutputTokens = 1_000 }: CallOptions) {
  const tokens = Math.ceil(JSON.stringify(prompt).length / 4) + maxOutputTokens;
  const taken = await limits.take(user, { tokens });
  const settle = async ({ inputTokens, outputTokens }: Usage) => {
    const used = (inputTokens.total ?? Number.NaN) + (outputTokens.total ?? Number.NaN);
    if (used >= 0) await taken.settle({ tokens: used }); // a provider that doesn't tell is left with the estimate
  };
  const refund = async (error: unknown) => {
    await taken.refund();
    throw error;
  };
  if (taken.allowed) return { settle, refund };
  const message = `Too many ${taken.deniedBy}: try again in ${Math.ceil(taken.retryAfterMs / 1_000)} s.`;
  const responseHeaders = { "retry-after-ms": String(taken.retryAfterMs) };
  const denial = { message, statusCode: 429, responseHeaders, isRetryable: false };
  throw new APICallError({ ...denial, url: "", requestBodyValues: {} });
}

export const limitsOf = (user: string): Middleware => ({
  specificationVersion: "v4",
  wrapGenerate: async ({ doGenerate, params }) => {
    const { settle, refund } = await reserve(user, params);
    const result = await doGenerate().then(undefined, refund);
    await settle(result.usage);
    return result;
  },
  wrapStream: async ({ doStream, params }) => {
    const { settle, refund } = await reserve(user, params);
    const { stream, ...rest } = await doStream().then(undefined, refund);
    const settled = new TransformStream<StreamPart, StreamPart>({
      async transform(part, controller) {
        if (part.type === "finish") await settle(part.usage);
        controller.enqueue(part);
      },
    });
    return { ...rest, stream: stream.pipeThrough(settled) };
  },
});
