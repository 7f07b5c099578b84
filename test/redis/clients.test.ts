// What clients do differently: errors in words of their own, key prefixes, automatic pipelines. The contract runs over
// all of them in test/contract.

import { Cluster, Redis } from "ioredis";
import { Redis as Iovalkey, Cluster as IovalkeyCluster } from "iovalkey";
import { createClient, createClientPool, createCluster } from "redis";
import { perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisClient } from "trypema/redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MAIN_CLIENTS, type OpenClient, OTHER_CLIENTS } from "../support/clients.ts";
import { failureOf } from "../support/failing.ts";
import { RedisCluster, RedisServer } from "../support/redis.ts";

const RATE = perSecond(1);
const OPTIONS = { timeoutMs: 30_000 };

let server: RedisServer;
let cluster: RedisCluster;
/** A client of each server, and one of the Cluster. */
let admins: Redis[];
let clusterAdmin: Cluster;

beforeAll(async () => {
  [server, cluster] = await Promise.all([RedisServer.start(), RedisCluster.start()]);
  admins = [server, ...cluster.servers].map(({ port }) => new Redis(port));
  clusterAdmin = new Cluster(hosts());
});

afterAll(async () => {
  for (const client of [...admins, clusterAdmin]) client.disconnect();
  await Promise.all([server.stop(), cluster.stop()]);
});

function hosts() {
  return cluster.servers.map(({ port }) => ({ host: "127.0.0.1", port }));
}

async function onAllServers(command: string, ...args: string[]): Promise<void> {
  await Promise.all(admins.map((admin) => admin.call(command, ...args)));
}

/** The names of all keys on all servers. */
async function names(): Promise<string[]> {
  return (await Promise.all(admins.map((admin) => admin.keys("*")))).flat().sort();
}

describe.each(Object.entries({ ...MAIN_CLIENTS, ...OTHER_CLIENTS }))("%s", (name, open) => {
  const admin = () => (name.includes("Cluster") ? clusterAdmin : admins[0]!);
  let opened: OpenClient;

  beforeAll(async () => {
    opened = await open({ server, cluster });
    await onAllServers("FLUSHALL");
  });

  afterAll(() => opened.close());

  it("goes on after a server has forgotten the scripts, and counts each call once", async () => {
    const { absolute } = createRedisProvider(opened.client, { ...OPTIONS, prefix: "forgetful" });
    for (let call = 1; call <= 5; call++) {
      await onAllServers("SCRIPT", "FLUSH");
      expect(await absolute.inc("k", RATE)).toMatchObject({ allowed: true, remaining: 60 - call });
    }
  });

  it("blames a key that holds something else for its own errors only, with the error of the client as cause", async () => {
    const { absolute } = createRedisProvider(opened.client, { ...OPTIONS, prefix: "blaming" });
    // A key can imitate no error, whatever the client says around it.
    const keys = ["list", "text", "Command failed: NOSCRIPT", 'x, command was: ["evalsha"', "NoScriptError: x"];
    for (const key of keys) await admin().rpush(`blaming:a:60000:100:{:${key}}`, "1");
    await admin().del("blaming:a:60000:100:{:text}");
    await admin().set("blaming:a:60000:100:{:text}", "no state");
    for (let call = 0; call < 4; call++) {
      for (const key of keys) {
        const failure = await failureOf(absolute.inc(key, RATE));
        expect(failure).toMatchObject({
          code: "BACKEND_SCRIPT",
          message: expect.stringMatching(/^Redis: (ERR|WRONGTYPE)/),
        });
        expect(failure.cause).toMatchObject({ message: expect.stringMatching(/user_script|WRONGTYPE/) });
      }
    }
    expect(await absolute.inc("k", RATE)).toMatchObject({ allowed: true, degraded: false });
  });

  it("blames such a key alone also among calls that are made together", async () => {
    const { absolute } = createRedisProvider(opened.client, { ...OPTIONS, prefix: "together" });
    await admin().rpush("together:a:60000:100:{:list}", "1");
    const keys = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? "list" : "k"));
    const outcomes = await Promise.all(keys.map((key) => absolute.inc(key, RATE).catch((error) => error)));
    for (const [index, outcome] of outcomes.entries()) {
      if (keys[index] === "k") expect(outcome).toMatchObject({ allowed: true, degraded: false });
      else
        expect(outcome).toMatchObject({
          code: "BACKEND_SCRIPT",
          message: expect.stringMatching(/^Redis: (ERR .*)?WRONGTYPE/),
        });
    }
  });

  it("clears many keys, and no others", async () => {
    const settings = { ...OPTIONS, prefix: "[clear]*" };
    const hybrid = createHybridProvider(opened.client, settings);
    const { absolute, suppressed } = createRedisProvider(opened.client, settings);
    const stranger = createRedisProvider(opened.client, { ...settings, prefix: "c" }).absolute;
    // More than a page of SCAN.
    const more = Array.from({ length: 1_100 }, (_, index) => `[clear]*:a:60000:100:{:key ${index}}`);
    await Promise.all(more.map((key) => admin().set(key, "")));
    await Promise.all(["a", "é€😀", "\r\n", "{}*"].map((key) => hybrid.absolute.inc(key, RATE)));
    await hybrid.close();
    await suppressed.inc("k", RATE);
    await stranger.inc("k", RATE);
    const namesOfAbsolute = async () => (await names()).filter((key) => key.startsWith("[clear]*:a:"));
    expect((await namesOfAbsolute()).length).toBeGreaterThan(more.length);
    await absolute.clear();
    expect(await namesOfAbsolute()).toEqual([]);
    expect(await Promise.all([suppressed.get("k"), stranger.get("k")])).toMatchObject([{ total: 1 }, { total: 1 }]);
    await suppressed.clear();
    expect((await suppressed.get("k")).total).toBe(0);
  });

  it("decides about many keys at once", async () => {
    const { absolute } = createRedisProvider(opened.client, { ...OPTIONS, prefix: "many" });
    const keys = Array.from({ length: 200 }, (_, index) => `key ${index % 50}`);
    const decisions = await Promise.all(keys.map((key) => absolute.inc(key, perSecond(0.05))));
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(150);
  });
});

const keyPrefix = "app:*";

const prefixed: Record<string, () => OpenClient | Promise<OpenClient>> = {
  ioredis() {
    const client = new Redis({ port: server.port, keyPrefix });
    return { client, close: () => client.disconnect() };
  },

  "ioredis, Cluster"() {
    const client = new Cluster(hosts(), { keyPrefix });
    return { client, close: () => client.disconnect() };
  },

  "ioredis, Cluster, as an option of its nodes"() {
    const client = new Cluster(hosts(), { redisOptions: { keyPrefix }, enableAutoPipelining: true });
    return { client, close: () => client.disconnect() };
  },

  iovalkey() {
    const client = new Iovalkey({ port: server.port, keyPrefix, enableAutoPipelining: true });
    return { client, close: () => client.disconnect() };
  },

  "iovalkey, Cluster"() {
    const client = new IovalkeyCluster(hosts(), { keyPrefix, enableAutoPipelining: true });
    return { client, close: () => client.disconnect() };
  },

  async "node-redis"() {
    const client = await createClient({ socket: { port: server.port }, keyPrefix }).connect();
    return { client, close: () => client.destroy() };
  },

  async "node-redis, pool"() {
    const client = createClientPool({ socket: { port: server.port }, keyPrefix });
    await client.connect();
    return { client, close: () => client.destroy() };
  },

  async "node-redis, Cluster"() {
    const rootNodes = hosts().map((socket) => ({ socket }));
    const client = await createCluster({ rootNodes, keyPrefix }).connect();
    return { client, close: () => client.destroy() };
  },
};

it.each(Object.entries(prefixed))("%s: its key prefix is before all keys, and clear() heeds it", async (_, open) => {
  await onAllServers("FLUSHALL");
  const { client, close } = await open();
  try {
    const { absolute } = createRedisProvider(client, OPTIONS);
    for (const key of ["a", "b", "c"]) await absolute.inc(key, RATE);
    expect(await names()).toEqual(["a", "b", "c"].map((key) => `app:*trypema:a:60000:100:{:${key}}`));
    await inRedisWithoutPrefix((plain) => plain.inc("a", RATE));
    await absolute.clear();
    expect(await names()).toEqual(["trypema:a:60000:100:{:a}"]);
  } finally {
    await close();
  }
});

/** What has the same names, except for the prefix, on the server or in the Cluster that has keys. */
async function inRedisWithoutPrefix(
  use: (limiter: ReturnType<typeof createRedisProvider>["absolute"]) => Promise<unknown>,
): Promise<void> {
  const client: RedisClient = (await admins[0]!.dbsize()) > 0 ? admins[0]! : clusterAdmin;
  await use(createRedisProvider(client, OPTIONS).absolute);
}
