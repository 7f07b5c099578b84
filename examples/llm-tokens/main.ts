// Requests and LLM tokens, limited in one step: where no tokens are left, no request is used up either. The most tokens
// that an answer may take are reserved first, and corrected when the answer is known.
// Try: curl -d "say hello" -H "x-user: ann" localhost:3000/chat

import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { createLocalProvider, minutes } from "trypema";
import { rateLimit, requestHeader, reservationOf } from "trypema/hono";

const MOST_TOKENS = 1_000;

/** A stand-in for a model. */
async function complete(prompt: string): Promise<{ text: string; tokens: number }> {
  return { text: `You said: ${prompt}\n`, tokens: prompt.length };
}

const app = new Hono();
const key = requestHeader("x-user");
const windowMs = minutes(1);
const limiters = [
  { name: "requests", limit: 20, windowMs, key },
  { name: "tokens", limit: 5_000, windowMs, key, cost: MOST_TOKENS },
];
app.use(rateLimit({ provider: createLocalProvider(), limiters }));
app.post("/chat", async (context) => {
  const { text, tokens } = await complete(await context.req.text());
  await reservationOf(context).adjust(tokens - MOST_TOKENS, "tokens");
  return context.text(text);
});

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000), hostname: "127.0.0.1" }, ({ port }) => {
  console.log(`listening on http://127.0.0.1:${port}`);
});
