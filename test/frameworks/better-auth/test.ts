// The storage, behind better-auth's own handler.

import { ok, rejects, deepStrictEqual as same } from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type BetterAuthOptions, betterAuth } from "better-auth";
import { Redis } from "ioredis";
import { createLocalProvider, type Provider } from "trypema";
import { rateLimitStorage } from "trypema/better-auth";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { check } from "../check.ts";
import { auth } from "./auth.ts";

type RateLimitOptions = NonNullable<BetterAuthOptions["rateLimit"]>;

function authWith(rateLimit: RateLimitOptions) {
  return betterAuth({
    secret: "a secret of thirty-two characters or more",
    baseURL: "http://localhost:3000",
    emailAndPassword: { enabled: true },
    logger: { disabled: true },
    rateLimit: { enabled: true, ...rateLimit },
  });
}

function withProvider(provider: Provider, rateLimit: RateLimitOptions = {}) {
  return authWith({ ...rateLimit, customStorage: rateLimitStorage(provider) });
}

/** better-auth takes the client's address from this header. */
function ask({ handler }: { handler(request: Request): Promise<Response> }, path: string, address = "203.0.113.7") {
  return handler(new Request(`http://localhost:3000/api/auth${path}`, { headers: { "x-forwarded-for": address } }));
}

function signIn({ handler }: { handler(request: Request): Promise<Response> }, address = "203.0.113.7") {
  const headers = { "x-forwarded-for": address, "content-type": "application/json", origin: "http://localhost:3000" };
  const body = JSON.stringify({ email: "ann@example.com", password: "wrong password" });
  return handler(new Request("http://localhost:3000/api/auth/sign-in/email", { method: "POST", headers, body }));
}

async function statuses(count: number, one: () => Promise<Response>): Promise<number[]> {
  const got = [];
  for (let i = 0; i < count; i++) got.push((await one()).status);
  return got;
}

/** With a client, and a prefix that no other run has: the server is there for other projects too. */
async function withRedis(use: (client: Redis, prefix: string) => Promise<void>) {
  const client = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
  await use(client, randomUUID());
  client.disconnect();
}

const away = new Redis("redis://127.0.0.1:1", { lazyConnect: true, retryStrategy: () => null });
away.on("error", () => undefined);

await check("better-auth: the recipe limits sign-ins to three in ten seconds, as better-auth has it", async () => {
  const got = await statuses(5, () => signIn(auth));
  same(got.slice(3), [429, 429]);
  ok(!got.slice(0, 3).includes(429), got.join());
  same((await ask(auth, "/ok")).status, 200);
});

await check("better-auth: in a simple run clients are told the same as with its own storage", async () => {
  const customRules = { "/ok": { window: 60, max: 2 } };
  const run = async (checked: ReturnType<typeof authWith>) => {
    const answers = [];
    for (let i = 0; i < 4; i++) {
      const response = await ask(checked, "/ok", "198.51.100.1");
      // The wait is right to a few seconds on a busy machine.
      const wait = Math.round(Number(response.headers.get("x-retry-after")) / 20);
      answers.push([response.status, wait, await response.text()]);
    }
    return answers;
  };
  const expected = await run(authWith({ customRules }));
  same(
    expected.map(([status]) => status),
    [200, 200, 429, 429],
  );
  same(await run(withProvider(createLocalProvider(), { customRules })), expected);
  await withRedis(async (client, prefix) => {
    const redis = createRedisProvider(client, { prefix });
    same(await run(withProvider(redis, { customRules })), expected);
    await redis.close();
    const hybrid = createHybridProvider(client, { prefix: `${prefix}-hybrid` });
    same(await run(withProvider(hybrid, { customRules })), expected);
    await hybrid.close();
  });
});

await check("better-auth: what was used comes back as its window slides, and not only after a pause", async () => {
  const clock = manualClock();
  const sliding = withProvider(createLocalProvider({ clock }), { customRules: { "/ok": { window: 10, max: 2 } } });
  const one = async () => (await ask(sliding, "/ok")).status;
  const got = [await one()];
  clock.advance(6_000);
  got.push(await one());
  clock.advance(5_000); // the first is eleven seconds old
  got.push(await one(), await one());
  same(got, [200, 200, 200, 429]);
});

await check("better-auth: clients and paths count apart, and retryAfter is whole seconds", async () => {
  const { consume } = rateLimitStorage(createLocalProvider({ clock: () => 0 }));
  const rule = { window: 1.5, max: 1 };
  same(await consume("a", rule), { allowed: true, retryAfter: null });
  same(await consume("a", rule), { allowed: false, retryAfter: 2 });
  same(await consume("b", rule), { allowed: true, retryAfter: null });
  same(await consume("c", { window: 7, max: 0 }), { allowed: false, retryAfter: 7 });
  for (const key of [`1.2.3.4|/${"x".repeat(9_000)}`, "1.2.3.4|/\ud800", "{a}|/b"]) {
    same([(await consume(key, rule)).allowed, (await consume(key, rule)).allowed], [true, false]);
  }
  await rejects(consume("a", { window: 0, max: 1 }), { code: "INVALID_OPTION" });
});

await check(
  "better-auth: a crowd that comes at once is counted exactly, also by two processes' worth of storages",
  () =>
    withRedis(async (client, prefix) => {
      const provider = createRedisProvider(client, { prefix });
      const rule = { window: 60, max: 25 };
      const storages = [rateLimitStorage(provider), rateLimitStorage(provider)];
      const answers = await Promise.all([...Array(80)].map((_, i) => storages[i % 2]!.consume("crowd", rule)));
      same(answers.filter(({ allowed }) => allowed).length, 25);
      await provider.close();
    }),
);

await check("better-auth: while Redis is away the provider's failure policy decides", async () => {
  const customRules = { "/ok": { window: 60, max: 1 } };
  for (const [onFailure, expected] of [
    ["allow", [200, 200]],
    ["deny", [429, 429]],
    ["local", [200, 429]],
  ] as const) {
    const provider = createRedisProvider(away, { onFailure });
    const checked = withProvider(provider, { customRules });
    same([onFailure, ...(await statuses(2, () => ask(checked, "/ok")))], [onFailure, ...expected]);
    await provider.close();
  }
  const throwing = createRedisProvider(away);
  await rejects(ask(withProvider(throwing), "/ok"), { code: "BACKEND_UNAVAILABLE" });
  await throwing.close();
});

await check("better-auth: what is no provider is refused at once", () =>
  rejects(async () => rateLimitStorage({} as Provider), { code: "INVALID_OPTION" }),
);

process.exit();
