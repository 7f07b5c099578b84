// limited.ts
import { createLimits, createLocalProvider, minutes, seconds } from "trypema";

const limits = createLimits(createLocalProvider(), {
  burst: { limit: 10, windowMs: seconds(1) },
  tools: { limit: 30, windowMs: minutes(1) },
});

/** What the tool returns, or an error result that tells the model how long to wait. */
export async function limited<Result>(client: string, cost: number, run: () => Result | Promise<Result>) {
  const taken = await limits.take(client, { tools: cost });
  if (taken.allowed) return run();
  const text = `Rate limit exceeded. Try again in ${Math.ceil(taken.retryAfterMs / 1_000)} seconds.`;
  return { isError: true, content: [{ type: "text" as const, text }] };
}
