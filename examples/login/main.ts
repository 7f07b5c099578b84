// Logins: few failures for an address, fewer for an address and a name together, which are then blocked for an hour.
// All servers count together. While Redis is away nobody gets in, because nothing could count the failures.
// Try: curl -d '{"user":"ann","password":"wrong"}' -H "content-type: application/json" localhost:3000/login

import type { AddressInfo } from "node:net";
import express, { type Request } from "express";
import { Redis } from "ioredis";
import { days, hours, minutes } from "trypema";
import { clientAddress, combined, type Key, rateLimit } from "trypema/express";
import { createRedisProvider } from "trypema/redis";

const client = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
client.on("error", () => {}); // While Redis is away, onBackendFailure decides.

// Anybody may send anything: what is no text is no name, and is answered with 400.
const user: Key<Request> = ({ raw: { body } }) => (typeof body?.user === "string" ? body.user : undefined);
// A name alone is never blocked, because anybody could then lock out anybody else.
const pair = combined(clientAddress(), user);

const strict = { onBackendFailure: "deny", uncounted: "successful" } as const;
const limit = rateLimit({
  provider: createRedisProvider(client),
  limiters: [
    { ...strict, name: "login-address", limit: 20, windowMs: minutes(15) },
    { ...strict, name: "login-pair", limit: 5, windowMs: minutes(15), blockMs: hours(1), key: pair },
    { ...strict, name: "login-user", limit: 100, windowMs: days(1), bucketMs: minutes(1), key: user },
  ],
});

const app = express();
app.post("/login", express.json(), limit, (request, response) => {
  const isRight = request.body.user === "ann" && request.body.password === "secret";
  response.status(isRight ? 200 : 401).send(isRight ? "welcome\n" : "wrong\n");
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
