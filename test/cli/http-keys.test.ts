// The commands about a key of a limit for HTTP, which stores keys in a form of its own.

import { trackLimitedKeys } from "trypema";
import { clientAddress, type GuardOptions, type LimiterDefinition, rateLimit, requestHeader } from "trypema/fetch";
import { createRedisProvider } from "trypema/redis";
import { beforeEach, expect, it } from "vitest";
import { useRedis } from "../support/use-redis.ts";
import { trypema } from "./run.ts";

const redis = useRedis();

beforeEach(() => redis.client.flushall());

/** The status of a request of a client at an address, with a header. */
function requester(...limiters: LimiterDefinition<Request>[]) {
  const provider: GuardOptions["provider"] = createRedisProvider(redis.client, { timeoutMs: 30_000 });
  const handler = rateLimit({ provider, limiters }, () => new Response());
  return async (address: string, key = ""): Promise<number> => {
    const headers = { "x-forwarded-for": address, "x-key": key };
    return (await handler(new Request("http://localhost/", { headers }))).status;
  };
}

function run(...args: string[]) {
  return trypema(args, { env: { REDIS_URL: `redis://127.0.0.1:${redis.client.options.port}` } });
}

const MINUTE = { limit: 2, windowMs: 60_000 };
const byAddress = clientAddress({ proxies: 1 });

it("block the address of a client in the limiter that is named, before its first request", async () => {
  const request = requester(
    { name: "address", key: byAddress, ...MINUTE },
    { name: "all", key: () => "all", ...MINUTE },
  );
  const named = ["--http", "address", "--limit", "address", "--window", "1min"];
  const blocked = await run("block", "2001:db8::1", "1h", ...named);
  expect(blocked.stdout).toBe("blocked for 1 h: 2001:db8:0:0::/64 (address, absolute, 1 min)\n");
  expect(await request("2001:db8::2")).toBe(429);
  expect(await request("2001:db8:0:1::1")).toBe(200);
  expect((await run("unblock", "2001:db8::ffff", ...named)).code).toBe(0);
  expect(await request("2001:db8::2")).toBe(200);
});

it("take the name that a limiter without a name has", async () => {
  const request = requester({ key: byAddress, ...MINUTE });
  expect((await run("block", "::ffff:192.0.2.1", "1h", "--http", "address", "--window", "1min")).code).toBe(0);
  expect(await request("192.0.2.1")).toBe(429);
  expect((await run("delete", "192.0.2.1", "--http", "address", "--limit", "default")).code).toBe(0);
  expect(await request("192.0.2.1")).toBe(200);
});

it.each([
  ["a long user", "key", requestHeader("x-key"), "u".repeat(300)],
  ["a secret", "header", requestHeader("x-key", { hash: true }), "s3cret"],
])("find what %s has used", async (_, kind, key, value) => {
  const request = requester({ name: "user", key, ...MINUTE });
  expect(await request("192.0.2.1", value)).toBe(200);
  expect((await run("get", value, "--http", kind)).stdout).toMatch(/^user, absolute, 1 min +1 +0 +2 +1 /m);
});

it.each([false, true])(
  "name a client and a secret in the list of those that are denied most; plain: %s",
  async (plain) => {
    const provider = createRedisProvider(redis.client, { timeoutMs: 30_000 });
    trackLimitedKeys(provider, { plain });
    const one = { limit: 1, windowMs: 60_000 };
    const limiters = [
      { name: "address", key: byAddress, ...one },
      { name: "secret", key: requestHeader("x-key", { hash: true }), ...one },
    ];
    const handlers = limiters.map((limiter) => rateLimit({ provider, limiters: [limiter] }, () => new Response()));
    const headers = { "x-forwarded-for": "2001:db8::1", "x-key": "s3cret" };
    for (const handler of handlers) {
      for (let i = 0; i < 3; i++) await handler(new Request("http://localhost/", { headers }));
    }
    await provider.close();
    const list = await run("limited", "2001:db8::ffff", "--http", "address");
    expect(list.stdout).toMatch(/^2001:db8::ffff +address, absolute, 1 min +2 +2$/m);
    expect((await run("limited", "s3cret", "--http", "header")).stdout).toMatch(
      /^s3cret +secret, absolute, 1 min +2 /m,
    );
    expect((await run("limited", "ann", "--http", "address")).code).toBe(2);
  },
);

it("find what the requests without a key have used together", async () => {
  const request = requester({
    name: "user",
    key: requestHeader("x-key"),
    onMissingKey: { shared: "nobody" },
    ...MINUTE,
  });
  await request("192.0.2.1");
  expect((await run("get", "nobody", "--http", "shared")).stdout).toMatch(/^user, absolute, 1 min +1 /m);
});

it.each([
  [["ann", "--http", "address"], "ann: expected an IP address, because of --http address"],
  [["ann", "--http", "user"], "--http user: expected one of address, key, header, shared"],
  [["::1", "--http", "address", "--ipv6-prefix", "0"], "--ipv6-prefix 0: expected a whole number from 1 to 128"],
  [["", "--http", "key"], "name a key"],
])("%j is wrong usage", async (args, message) => {
  expect(await run("get", ...args)).toEqual({ stdout: "", code: 2, stderr: `trypema get: ${message}\n` });
});
