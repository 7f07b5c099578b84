// A rate by plan, for each API key; only the hash of a key is kept. Run: node examples/api-key-tiers.js
// Try: curl -H "x-api-key: free-key" localhost:3000

import Fastify from "fastify";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit, requestHeader } from "trypema/fastify";

const { PORT = "3000" } = process.env;
const rates = { free: perMinute(5), pro: perMinute(600) };
/** @type {Record<string, keyof typeof rates>} */
const plans = { "free-key": "free", "pro-key": "pro" };

const app = Fastify();
// Unknown keys are turned away first: a client that made up new ones would never reach a limit.
app.addHook("onRequest", async (request, reply) => {
  const key = String(request.headers["x-api-key"]);
  if (!Object.hasOwn(plans, key)) await reply.code(401).send("unknown API key\n");
});
await app.register(rateLimit, {
  provider: createLocalProvider(),
  name: "api",
  key: requestHeader("x-api-key", { hash: true }),
  rate: (request) => rates[plans[request.header("x-api-key") ?? ""] ?? "free"],
});
app.get("/", () => "hello\n");
await app.listen({ port: Number(PORT), host: "127.0.0.1" });
const address = app.server.address();
if (typeof address === "object") console.log(`listening on http://127.0.0.1:${address?.port}`);
