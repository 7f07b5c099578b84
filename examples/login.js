// Logins: few failures for an address, fewer for a name, shared by all servers.
// While Redis is away nobody gets in, because nothing could count the failures.
// Run: REDIS_URL=redis://127.0.0.1:6379 node examples/login.js
// Try: curl -d '{"user":"ann","password":"wrong"}' -H "content-type: application/json" localhost:3000/login

import express from "express";
import { Redis } from "ioredis";
import { perMinute } from "trypema";
import { rateLimit } from "trypema/express";
import { createRedisProvider } from "trypema/redis";
import { listen } from "./listen.js";

const { REDIS_URL = "redis://127.0.0.1:6379" } = process.env;
const client = new Redis(REDIS_URL);
client.on("error", () => {}); // While Redis is away, onBackendFailure decides.
const provider = createRedisProvider(client, { windowMs: 15 * 60_000 });

/** @type {{ onBackendFailure: "deny", uncounted: "successful" }} */
const strict = { onBackendFailure: "deny", uncounted: "successful" };
const limit = rateLimit({
  provider,
  limiters: [
    { ...strict, name: "login-address", rate: perMinute(20 / 15) },
    { ...strict, name: "login-user", rate: perMinute(5 / 15), key: ({ raw }) => String(raw.body?.user ?? "") },
  ],
});

const app = express();
app.post("/login", express.json(), limit, (request, response) => {
  const isRight = request.body.user === "ann" && request.body.password === "secret";
  response.status(isRight ? 200 : 401).send(isRight ? "welcome\n" : "wrong\n");
});
listen(app);
