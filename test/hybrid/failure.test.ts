// What a Redis that is away does to hybrid providers, and what reaches it when it is back: with real servers, real
// clients and real signals.

import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { type Decision, perMinute } from "trypema";
import { createHybridProvider, type HybridOptions } from "trypema/hybrid";
import { createRedisProvider, type RedisClient } from "trypema/redis";
import { afterEach, describe, expect, it } from "vitest";
import { runScript } from "../support/built.ts";
import { failureOf, startCutter } from "../support/failing.ts";
import { RedisServer } from "../support/redis.ts";

const RATE = perMinute(100_000);

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startServer(port?: number): Promise<RedisServer> {
  const server = await RedisServer.start(port);
  cleanups.push(() => server.stop());
  return server;
}

/** Clients that send nothing twice. */
const clients: Record<string, (port: number) => RedisClient> = {
  ioredis(port) {
    const client = new Redis(port, { autoResendUnfulfilledCommands: false });
    client.on("error", () => {});
    cleanups.push(() => client.disconnect());
    return client;
  },

  "node-redis"(port) {
    const client = createClient({ socket: { port } });
    client.on("error", () => {});
    client.connect().catch(() => {});
    cleanups.push(() => client.destroy());
    return client;
  },
};

function open(client: RedisClient, options: HybridOptions = {}) {
  const provider = createHybridProvider(client, { timeoutMs: 100, ...options });
  cleanups.push(() => provider.close());
  return provider;
}

/** What Redis has counted for the key, as another client sees it. */
function totalIn(server: RedisServer): () => Promise<number> {
  const client = new Redis(server.port);
  cleanups.push(() => client.disconnect());
  const { absolute } = createRedisProvider(client, { timeoutMs: 30_000 });
  return async () => (await absolute.get("k")).total;
}

describe.each(Object.keys(clients))("%s", (name) => {
  const connect = clients[name]!;

  /** Calls until the answers come at once and without Redis; returns how many calls were admitted. */
  async function callUntilRefused(limiter: { inc: (key: string, rate: typeof RATE) => Decision | Promise<Decision> }) {
    let admitted = 0;
    for (let attempt = 0; attempt < 100; attempt++) {
      const decisions = Array.from({ length: 10 }, () => limiter.inc("k", RATE));
      for (const decision of await Promise.all(decisions)) if (decision.allowed) admitted++;
      if (decisions.every((decision) => !(decision instanceof Promise) && decision.degraded)) return admitted;
    }
    throw new Error("never refused");
  }

  it("a server that is killed is done without at once, and hears what it missed when it is back", async () => {
    const server = await startServer();
    const { absolute } = open(connect(server.port));
    await expect.poll(async () => (await absolute.inc("other", RATE)).degraded).toBe(false);
    await server.stop();
    const admitted = await callUntilRefused(absolute);
    const again = await startServer(server.port);
    await expect.poll(totalIn(again)).toBe(admitted);
    await expect.poll(async () => (await absolute.inc("other", RATE)).degraded).toBe(false);
    expect(await totalIn(again)()).toBe(admitted);
  });

  it("what a server that hung was sent is counted once when it goes on", async () => {
    const server = await startServer();
    const { absolute } = open(connect(server.port));
    await expect.poll(async () => (await absolute.inc("other", RATE)).degraded).toBe(false);
    server.signal("SIGSTOP");
    const admitted = await callUntilRefused(absolute);
    await sleep(600); // for a probe that hangs, too
    server.signal("SIGCONT");
    await expect.poll(totalIn(server)).toBe(admitted);
    await expect.poll(async () => (await absolute.inc("other", RATE)).degraded).toBe(false);
    await sleep(300);
    expect(await totalIn(server)()).toBe(admitted);
  });

  it("a server that isn't there yet hears all of it when it comes", async () => {
    const first = await startServer();
    await first.stop();
    const { absolute } = open(connect(first.port));
    const admitted = await callUntilRefused(absolute);
    const server = await startServer(first.port);
    await expect.poll(totalIn(server)).toBe(admitted);
  });

  it("a call whose answer is lost is counted once, whoever decides about it", async () => {
    const server = await startServer();
    const cutter = await startCutter(server.port);
    cleanups.push(() => cutter.close());
    const provider = open(connect(cutter.port), { timeoutMs: 2_000 });
    const { absolute } = provider;
    await expect.poll(async () => (await absolute.inc("k", RATE)).degraded).toBe(false);
    // Nothing is on its way, and no lease covers the next calls.
    await expect.poll(() => provider.stats()).toMatchObject({ leased: 0, unconfirmedKeys: 0 });
    const before = await totalIn(server)();
    cutter.cutNextAnswer();
    const decisions = await Promise.all([absolute.inc("k", RATE), absolute.inc("k", RATE)]);
    expect(decisions).toMatchObject([
      { allowed: true, degraded: true },
      { allowed: true, degraded: true },
    ]);
    await expect.poll(async () => (await absolute.inc("other", RATE)).degraded).toBe(false);
    await sleep(300);
    expect(await totalIn(server)()).toBe(before + 2);
  });

  it("forgotten scripts are sent again", async () => {
    const server = await startServer();
    const { absolute } = open(connect(server.port), { timeoutMs: 5_000 });
    await absolute.inc("k", RATE);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const client = new Redis(server.port);
    await client.script("FLUSH");
    client.disconnect();
    expect(await absolute.inc("k", RATE, 5)).toMatchObject({ allowed: true, degraded: false });
  });
});

it("calls whose answer is lost are counted once, though deciding about them takes longer than a bucket", async () => {
  const server = await startServer();
  const redis = new Redis(server.port);
  cleanups.push(() => redis.disconnect());
  let losing = false;
  const sendCommand = async ([command, ...args]: string[]) => {
    const reply = await redis.call(command!, ...args);
    if (!losing) return reply;
    losing = false;
    throw new Error("Connection is closed.");
  };
  let nowMs = 0;
  const clock = () => (nowMs += 0.01);
  const { absolute } = open({ sendCommand }, { timeoutMs: 30_000, bucketMs: 1, clock });
  await absolute.inc("other", RATE);
  losing = true;
  const decisions = await Promise.all(Array.from({ length: 1_000 }, () => absolute.inc("k", RATE)));
  expect(decisions.filter(({ degraded }) => degraded)).toHaveLength(1_000);
  expect((await absolute.get("k")).total).toBe(1_000);
});

it.each([1, 100])("calls to %i keys that fail at once leave the event loop free between slices", async (keys) => {
  const { absolute } = open({ sendCommand: () => new Promise<never>(() => {}) });
  let settled = 0;
  const calls = Array.from({ length: 5_000 }, async (_, i) => {
    expect(await absolute.inc(`k${i % keys}`, RATE)).toMatchObject({ degraded: true });
    settled++;
  });
  let isOver = false;
  const all = Promise.all(calls).finally(() => {
    isOver = true;
  });
  let most = 0;
  for (let before = 0; !isOver; before = settled) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, settled - before);
  }
  await all;
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(2 * 500);
});

describe("without Redis", () => {
  async function withoutRedis(options: HybridOptions) {
    const server = await startServer();
    await server.stop();
    return open(Object.values(clients)[0]!(server.port), options);
  }

  it.each(["absolute", "suppressed"] as const)("%s: each failure policy does what it says", async (strategy) => {
    const rate = perMinute(1);
    const allowing = (await withoutRedis({ onFailure: "allow" }))[strategy];
    for (let i = 0; i < 20; i++) expect(await allowing.inc("k", rate)).toMatchObject({ allowed: true, degraded: true });
    const denying = (await withoutRedis({ onFailure: "deny" }))[strategy];
    for (let i = 0; i < 20; i++) expect(await denying.inc("k", rate)).toMatchObject({ allowed: false, degraded: true });
    const throwing = (await withoutRedis({ onFailure: "throw" }))[strategy];
    for (let i = 0; i < 20; i++) {
      expect((await failureOf(Promise.resolve(throwing.inc("k", rate)))).code).toMatch(/^BACKEND_/);
    }
    const limiting = (await withoutRedis({ hardLimitFactor: 1 }))[strategy];
    const decisions = [];
    for (let i = 0; i < 20; i++) decisions.push(await limiting.inc("k", rate));
    expect(decisions.every(({ degraded }) => degraded)).toBe(true);
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(1);
  });

  it("closes in time, with something that can't be reported", async () => {
    const provider = await withoutRedis({});
    await provider.absolute.inc("k", RATE);
    await provider.close();
    expect(await provider.absolute.inc("k", RATE)).toMatchObject({ degraded: true });
  });

  it("nothing grows, however many ask", async () => {
    const server = await startServer();
    const { stdout } = await runScript(
      `
      import { Redis } from "ioredis";
      import { perSecond } from "trypema";
      import { createHybridProvider } from "trypema/hybrid";
      const client = new Redis(${server.port});
      const { absolute } = createHybridProvider(client, { timeoutMs: 50, windowMs: 500 });
      const rate = perSecond(1e6);
      function usedBytes() {
        gc();
        const { heapUsed, arrayBuffers } = process.memoryUsage();
        return heapUsed + arrayBuffers;
      }
      async function ask(times) {
        for (let i = 0; i < times; i++) {
          await absolute.inc("key-" + (i % 1_000), rate);
          if (i % 1_000 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
      await absolute.inc("key", rate);
      process.kill(${server.pid}, "SIGSTOP");
      await ask(200_000);
      const before = usedBytes();
      await ask(800_000);
      console.log(Math.round((usedBytes() - before) / 1024));
      process.exit();
      `,
      ["--expose-gc"],
    );
    expect(Number(stdout)).toBeLessThan(2_048);
  });

  it("no more keys are known than fit into memory, however many there are", async () => {
    const server = await startServer();
    await server.stop();
    const { stdout } = await runScript(
      `
      import { setTimeout as sleep } from "node:timers/promises";
      import { Redis } from "ioredis";
      import { perSecond } from "trypema";
      import { createHybridProvider } from "trypema/hybrid";
      const client = new Redis(${server.port}, { retryStrategy: null });
      client.on("error", () => {});
      const { absolute } = createHybridProvider(client, { timeoutMs: 50, onFailure: "allow" });
      const rate = perSecond(1);
      function usedBytes() {
        gc();
        const { heapUsed, arrayBuffers } = process.memoryUsage();
        return heapUsed + arrayBuffers;
      }
      async function ask(from, times) {
        for (let i = from; i < from + times; i++) {
          const decision = await absolute.inc("key-" + i, rate);
          if (!decision.degraded) throw new Error("decided by whom?");
        }
      }
      await ask(0, 300_000);
      const before = usedBytes();
      await ask(300_000, 300_000);
      // Rounds look at all of them.
      await sleep(500);
      console.log(Math.round((usedBytes() - before) / 2 ** 20));
      process.exit();
      `,
      ["--expose-gc"],
    );
    expect(Number(stdout)).toBeLessThan(16);
  });
});
