// A budget of LLM tokens: the most that an answer may take is reserved first, and corrected when the answer is known.
// Run: node examples/llm-tokens.js
// Try: curl -d "say hello" -H "x-user: ann" localhost:3000/chat

import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit, requestHeader, reservationOf } from "trypema/hono";
import { listen } from "./listen.js";

const MOST_TOKENS = 1_000;

/** A stand-in for a model. @param {string} prompt */
async function complete(prompt) {
  return { text: `You said: ${prompt}\n`, tokens: prompt.length };
}

const app = new Hono();
const provider = createLocalProvider();
const key = requestHeader("x-user");
app.use(rateLimit({ provider, name: "tokens", rate: perMinute(5_000), cost: MOST_TOKENS, key }));
app.post("/chat", async (context) => {
  const { text, tokens } = await complete(await context.req.text());
  await reservationOf(context).adjust(tokens - MOST_TOKENS);
  return context.text(text);
});
listen(getRequestListener(app.fetch));
