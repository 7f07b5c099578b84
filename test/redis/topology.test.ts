// A Cluster whose slots move, and a Sentinel that fails over, under real clients.

import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, Redis } from "ioredis";
import { createCluster, createSentinel } from "redis";
import { perHour, perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisClient } from "trypema/redis";
import { expect, it, onTestFinished } from "vitest";
import { failureOf, recovery } from "../support/failing.ts";
import { RedisCluster, RedisServer } from "../support/redis.ts";
import { startServer } from "../support/use-redis.ts";

const RATE = perSecond(1);

const POLICIES = ["throw", "allow", "deny", "local"] as const;

function connected(port: number): Redis {
  const client = new Redis(port);
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

const clusterClients: Record<string, (ports: number[]) => RedisClient | Promise<RedisClient>> = {
  ioredis(ports) {
    const client = new Cluster(ports.map((port) => ({ host: "127.0.0.1", port })));
    client.on("error", () => {});
    onTestFinished(() => client.disconnect());
    return client;
  },

  async "node-redis"(ports) {
    const rootNodes = ports.map((port) => ({ socket: { host: "127.0.0.1", port } }));
    const client = createCluster({ rootNodes });
    client.on("error", () => {});
    await client.connect();
    onTestFinished(() => client.destroy());
    return client;
  },
};

it.each(Object.keys(clusterClients))("%s: a slot that moves to another node takes its counts with it", async (name) => {
  const cluster = await RedisCluster.start();
  onTestFinished(() => cluster.stop());
  const client = await clusterClients[name]!(cluster.servers.map(({ port }) => port));
  const { absolute } = createRedisProvider(client, { timeoutMs: 10_000, bucketMs: 1 });
  // So many calls that there is a list too.
  for (let i = 0; i < 15; i++) {
    await absolute.inc("k", RATE);
    await sleep(2);
  }
  await moveSlotOf("trypema:a:60000:1:{:k}", cluster);
  expect((await absolute.inc("k", RATE)).remaining).toBe(44);
  expect((await absolute.get("k")).total).toBe(16);
});

it.each(Object.keys(clusterClients))("%s: a slot that moves takes its leases with it", async (name) => {
  const cluster = await RedisCluster.start();
  onTestFinished(() => cluster.stop());
  const client = await clusterClients[name]!(cluster.servers.map(({ port }) => port));
  const hybrid = createHybridProvider(client, { timeoutMs: 10_000 });
  onTestFinished(() => hybrid.close());
  const limiter = hybrid.absolute;
  for (let i = 0; i < 50; i++) await limiter.inc("k", perSecond(100));
  await expect.poll(async () => (await limiter.get("k")).total).toBe(50);
  for (let i = 0; i < 50; i++) await limiter.inc("k", perSecond(100));
  await moveSlotOf("trypema:a:60000:100:{:k}", cluster);
  for (let i = 0; i < 50; i++) expect(await limiter.inc("k", perSecond(100))).toMatchObject({ degraded: false });
  expect((await limiter.get("k")).total).toBe(150);
});

async function moveSlotOf(key: string, cluster: RedisCluster): Promise<void> {
  const nodes = cluster.servers.map(({ port }) => connected(port));
  const slot = await nodes[0]!.cluster("KEYSLOT", key);
  const ids = await Promise.all(nodes.map((node) => node.cluster("MYID") as Promise<string>));
  const counts = await Promise.all(nodes.map((node) => node.cluster("COUNTKEYSINSLOT", slot)));
  const from = counts.findIndex((count) => count > 0);
  const to = (from + 1) % nodes.length;
  await nodes[to]!.cluster("SETSLOT", slot, "IMPORTING", ids[from]!);
  await nodes[from]!.cluster("SETSLOT", slot, "MIGRATING", ids[to]!);
  const keys = (await nodes[from]!.cluster("GETKEYSINSLOT", slot, 100)) as string[];
  expect(keys.length).toBeGreaterThanOrEqual(2);
  await nodes[from]!.migrate("127.0.0.1", cluster.servers[to]!.port, "", 0, 5_000, "KEYS", ...keys);
  for (const node of nodes) await node.cluster("SETSLOT", slot, "NODE", ids[to]!);
}

it.each(Object.keys(clusterClients))(
  "%s: a Cluster that lost a master fails calls in time, decides by the policies, and recovers",
  async (name) => {
    const cluster = await RedisCluster.start("--cluster-node-timeout", "1000");
    onTestFinished(() => cluster.stop());
    const client = await clusterClients[name]!(cluster.servers.map(({ port }) => port));
    const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
    const before = createRedisProvider(client, { timeoutMs: 10_000 }).absolute;
    for (const key of keys) await before.inc(key, RATE);

    const [lost, ...alive] = cluster.servers;
    await connected(lost!.port).save();
    lost!.signal("SIGKILL");
    for (const { port } of alive) {
      const admin = connected(port);
      await expect.poll(() => admin.cluster("INFO")).toMatch(/cluster_state:fail/);
    }
    const providers = POLICIES.map((onFailure) => createRedisProvider(client, { timeoutMs: 100, onFailure }).absolute);
    const [failing, allowing, denying, local] = providers;
    for (const key of keys) {
      expect((await failureOf(failing!.inc(key, RATE))).code).toMatch(/^BACKEND_(UNAVAILABLE|TIMEOUT)$/);
      expect(await allowing!.inc(key, RATE)).toMatchObject({ allowed: true, degraded: true });
      expect(await denying!.inc(key, RATE)).toMatchObject({ allowed: false, degraded: true });
      expect(await local!.inc(key, RATE)).toMatchObject({ allowed: true, degraded: true, remaining: 59 });
    }
    await lost!.restart();
    for (const key of keys) {
      const { total } = await recovery(() => failing!.get(key));
      expect(total).toBeGreaterThanOrEqual(1);
      // Of the five calls, counting the first, that were sent each may have been counted, but once.
      expect(total).toBeLessThanOrEqual(5);
    }
  },
);

const sentinelClients: Record<string, (port: number) => RedisClient | Promise<RedisClient>> = {
  ioredis(port) {
    const client = new Redis({ sentinels: [{ host: "127.0.0.1", port }], name: "limits" });
    client.on("error", () => {});
    onTestFinished(() => client.disconnect());
    return client;
  },

  async "node-redis"(port) {
    const sentinel = createSentinel({ name: "limits", sentinelRootNodes: [{ host: "127.0.0.1", port }] });
    sentinel.on("error", () => {});
    await sentinel.connect();
    onTestFinished(() => sentinel.destroy());
    return sentinel;
  },
};

/** A master, its replica and the Sentinel that looks after them. */
async function startSentinel() {
  const master = await startServer();
  const replica = await startServer(undefined, "--replicaof", "127.0.0.1", String(master.port));
  const sentinel = await RedisServer.startSentinel("limits", master.port);
  onTestFinished(() => sentinel.stop());
  await expect.poll(() => connected(sentinel.port).call("SENTINEL", "replicas", "limits")).toHaveLength(1);
  const offsetOf = async (port: number, field: string) =>
    Number(new RegExp(`^${field}:(\\d+)`, "m").exec(await connected(port).info("replication"))?.[1]);
  return {
    master,
    sentinel,
    /** Waits until the replica has all that the master has now. */
    replicated: async () => {
      const all = await offsetOf(master.port, "master_repl_offset");
      await expect.poll(() => offsetOf(replica.port, "slave_repl_offset")).toBeGreaterThanOrEqual(all);
    },
    failOver: () =>
      expect.poll(() => connected(sentinel.port).call("SENTINEL", "FAILOVER", "limits").catch(String)).toBe("OK"),
  };
}

it.each(Object.keys(sentinelClients))("%s: after a failover the replica goes on with the counts", async (name) => {
  const { master, sentinel, replicated, failOver } = await startSentinel();
  const client = await sentinelClients[name]!(sentinel.port);
  const [windowMs, rate] = [3_600_000, perHour(60)];
  const patient = createRedisProvider(client, { timeoutMs: 30_000, windowMs }).absolute;
  for (let i = 0; i < 5; i++) await patient.inc("k", rate);
  await replicated();
  await master.stop();
  await failOver();
  const { absolute } = createRedisProvider(client, { timeoutMs: 500, windowMs });
  const decision = await recovery(() => absolute.inc("k", rate));
  expect(decision.allowed).toBe(true);
  expect(decision.remaining).toBeLessThanOrEqual(60 - 6);
});

it.each(Object.keys(sentinelClients))(
  "%s: Hybrid decides through a failover, and reports what it missed",
  async (name) => {
    const { master, sentinel, replicated, failOver } = await startSentinel();
    const client = await sentinelClients[name]!(sentinel.port);
    const hybrid = createHybridProvider(client, { timeoutMs: 500 });
    onTestFinished(() => hybrid.close());
    const limiter = hybrid.absolute;
    await expect.poll(async () => (await limiter.inc("other", RATE)).degraded).toBe(false);
    let admitted = 0;
    const call = async () => {
      const decision = await limiter.inc("k", perSecond(1_000));
      if (decision.allowed) admitted++;
      return decision;
    };
    for (let i = 0; i < 50; i++) await call();
    await expect.poll(async () => (await limiter.get("k")).total).toBe(50);
    await replicated();
    await master.stop();
    await expect.poll(async () => (await call()).degraded, { interval: 1 }).toBe(true);
    await failOver();
    await expect.poll(async () => (await call()).degraded, { interval: 20 }).toBe(false);
    expect(admitted).toBeGreaterThanOrEqual(52);
    await expect.poll(async () => (await limiter.get("k")).total).toBe(admitted);
  },
);

it.each(Object.keys(clusterClients))(
  "%s: calls that are made together are counted once, whatever their slots",
  async (name) => {
    const cluster = await RedisCluster.start();
    onTestFinished(() => cluster.stop());
    const client = await clusterClients[name]!(cluster.servers.map(({ port }) => port));
    const { absolute, suppressed } = createRedisProvider(client, { timeoutMs: 30_000 });
    const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
    const calls = Array.from({ length: 10 }, () =>
      keys.flatMap((key) => [absolute.inc(key, RATE), suppressed.inc(key, RATE)]),
    );
    for (const decision of await Promise.all(calls.flat())) expect(decision.allowed).toBe(true);
    for (const key of keys) expect((await absolute.get(key)).total + (await suppressed.get(key)).total).toBe(20);
  },
);
