import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GlideClient, GlideClusterClient } from "@valkey/valkey-glide";
import { Cluster, Redis } from "ioredis";
import { createCluster } from "redis";
import { perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisClient } from "trypema/redis";
import { expect, it, onTestFinished } from "vitest";
import { ALONE } from "../support/in-crowd.ts";
import { ROOT } from "../support/process.ts";
import { RedisCluster } from "../support/redis.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

const RATE = perSecond(3);

/** What docs/redis.md has a user type: the rights for limits, then those that clients need besides. */
const [RULE, CLIENTS_RULE] = Array.from(
  readFileSync(join(ROOT, "docs/redis.md"), "utf8").matchAll(/^ACL (SETUSER limits .*)$/gm),
  ([, rule]) => rule!,
) as [string, string];

const USER = { username: "limits", password: "password" };

/**
 * The commands that the user was denied. Redis 6.2 also denies a subcommand that it doesn't know, and names only the
 * command: node-redis tries one of newer servers.
 */
async function deniedTo(server: Redis): Promise<string[]> {
  const log = (await server.acl("LOG")) as unknown as string[][];
  return log.map((entry) => entry[entry.indexOf("object") + 1]!).filter((command) => command !== "client");
}

async function addUser(client: Redis, ...rules: string[]): Promise<void> {
  for (const rule of rules) await client.acl(...(rule.split(" ") as ["SETUSER", string]));
}

it("a user with the rights that docs/redis.md names can do all that it says, and has no use for fewer", async () => {
  await addUser(redis.client, RULE);
  const { port } = redis.client.options;
  const asLittle = { enableReadyCheck: false, disableClientInfo: true };
  const client = new Redis({ port: port!, ...USER, ...asLittle });
  try {
    let nowMs = 0;
    // Each call begins a bucket.
    const options = { windowMs: 1_000, bucketMs: 1, timeoutMs: 30_000, clock: () => nowMs++ };
    const { absolute, suppressed } = createRedisProvider(client, options);
    await createRedisProvider(client, { timeoutMs: 30_000 }).absolute.inc("key", RATE);
    for (const [limiter, rate] of [
      [absolute, perSecond(100)],
      [suppressed, RATE],
    ] as const) {
      for (let call = 0; call < 30; call++) await limiter.inc("key", rate);
      for (let round = 0; round < 12; round++) {
        await Promise.all([...ALONE, "key", "2"].map((key) => limiter.inc(key, rate)));
      }
      await limiter.isAllowed("key");
      await limiter.adjust("key", -15);
      expect((await limiter.get("key")).total).toBeGreaterThan(0);
      await limiter.setIf("key", RATE, { op: "always" }, 2, "preserve-newest");
      await limiter.adjust("key", -1);
      await limiter.delete("key");
    }
    expect(await redis.client.acl("LOG")).toEqual([]);
    const used = await redis.client.info("commandstats");
    for (const right of RULE.match(/(?<=\+)\w+/g)!) expect(used).toContain(`cmdstat_${right}:`);
    await expect(absolute.clear()).rejects.toThrow(/NOPERM/);
    await redis.client.acl("SETUSER", "limits", "+scan", "+unlink");
    await absolute.inc("key", RATE);
    await absolute.clear();
    expect((await absolute.get("key")).total).toBe(0);
    await redis.client.acl("SETUSER", "limits", "+hget", "+hgetall", "+hset", "+hdel");
    const hybrid = createHybridProvider(client, {
      windowMs: 1_000,
      bucketMs: 1,
      timeoutMs: 30_000,
      onFailure: "throw",
    });
    for (let call = 0; call < 30; call++) await hybrid.absolute.inc("key", RATE);
    await hybrid.close();
  } finally {
    client.disconnect();
  }
});

it("with the rights for clients each of them connects, also to a Cluster, and asks for no other", async () => {
  const cluster = await RedisCluster.start();
  onTestFinished(() => cluster.stop());
  const servers = [redis.client, ...cluster.servers.map(({ port }) => new Redis(port))];
  for (const server of servers) {
    await addUser(server, RULE, CLIENTS_RULE);
    // Before 7.2 there is no such command, and a client that tries it does no harm.
    await addUser(server, "SETUSER limits +client|setinfo").catch(() => {});
    await server.acl("LOG", "RESET");
  }
  const single = { host: "127.0.0.1", port: redis.client.options.port! };
  const [node] = cluster.servers.map(({ port }) => ({ host: "127.0.0.1", port }));
  const glide = { credentials: USER, requestTimeout: 30_000 };
  const clients: [RedisClient, () => unknown][] = [];
  try {
    for (const client of [new Redis({ ...single, ...USER }), new Cluster([node!], { redisOptions: USER })])
      clients.push([client, () => client.disconnect()]);
    const ofNodeRedis = await createCluster({ rootNodes: [{ socket: node! }], defaults: USER }).connect();
    clients.push([ofNodeRedis, () => ofNodeRedis.destroy()]);
    for (const client of [
      await GlideClient.createClient({ addresses: [single], ...glide }),
      await GlideClusterClient.createClient({ addresses: [node!], ...glide }),
    ])
      clients.push([client, () => client.close()]);
    for (const [client] of clients)
      expect(await createRedisProvider(client, { timeoutMs: 30_000 }).absolute.inc("key", RATE)).toMatchObject({
        allowed: true,
      });
    for (const server of servers) expect(await deniedTo(server)).toEqual([]);
  } finally {
    for (const [, close] of clients) close();
    for (const server of servers.slice(1)) server.disconnect();
  }
});
