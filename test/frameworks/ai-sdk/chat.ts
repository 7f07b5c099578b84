// chat.ts
import { streamText } from "ai";
import { createLimits, createLocalProvider, minutes } from "trypema";

export const limits = createLimits(createLocalProvider(), {
  requests: { limit: 20, windowMs: minutes(1) },
  tokens: { limit: 10_000, windowMs: minutes(1) },
});

/** A route handler, such as that of Next in app/api/chat/route.ts. */
export async function POST(request: Request): Promise<Response> {
  const user = request.headers.get("x-user") ?? "nobody"; // take your own session here
  const prompt = await request.text();
  const estimate = Math.ceil(prompt.length / 4) + 1_000;
  const taken = await limits.take(user, { tokens: estimate });
  if (!taken.allowed) {
    const wait = Math.ceil(taken.retryAfterMs / 1_000);
    return new Response(`Too many ${taken.deniedBy}: try again in ${wait} s.`, { status: 429 });
  }
  return streamText({
    model: "openai/gpt-5-mini",
    prompt,
    maxOutputTokens: 1_000,
    abortSignal: request.signal,
    onFinish: ({ totalUsage }) => taken.settle({ tokens: totalUsage.totalTokens ?? estimate }),
    onError: () => taken.refund(),
  }).toTextStreamResponse();
}
