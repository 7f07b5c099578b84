// Fastify, plans: so many requests a second and a day for each API key, as its plan says. A request that comes too fast
// doesn't use up the day. Only the hash of a key is kept.
// Try: curl -H "x-api-key: free-key" localhost:3000

import type { AddressInfo } from "node:net";
import Fastify from "fastify";
import { createLocalProvider, days, minutes, seconds } from "trypema";
import { rateLimit, requestHeader } from "trypema/fastify";

const plans = {
  free: { second: 5, day: 1_000 },
  pro: { second: 50, day: 100_000 },
};
const plansByKey: Record<string, keyof typeof plans> = { "free-key": "free", "pro-key": "pro" };

function planOf({ header }: { header(name: string): string | undefined }) {
  return plans[plansByKey[header("x-api-key") ?? ""] ?? "free"];
}

const app = Fastify();
// Unknown keys are turned away first: a client that made up new ones would never reach a limit.
app.addHook("onRequest", async (request, reply) => {
  const key = String(request.headers["x-api-key"]);
  if (!Object.hasOwn(plansByKey, key)) await reply.code(401).send("unknown API key\n");
});
const key = requestHeader("x-api-key", { hash: true });
await app.register(rateLimit, {
  provider: createLocalProvider(),
  limiters: [
    { name: "second", limit: (request) => planOf(request).second, windowMs: seconds(1), key },
    { name: "day", limit: (request) => planOf(request).day, windowMs: days(1), bucketMs: minutes(1), key },
  ],
});
app.get("/", () => "hello\n");

await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" });
console.log(`listening on http://127.0.0.1:${(app.server.address() as AddressInfo).port}`);
