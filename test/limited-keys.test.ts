// Who is limited now: the list of the keys with the most denials, of each kind of provider and of several processes.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { Cluster, Redis } from "ioredis";
import {
  createLimits,
  createLocalProvider,
  type LimitedKeys,
  type LimiterOptions,
  minutes,
  type Provider,
  perMinute,
  TrypemaError,
  trackLimitedKeys,
} from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { createFakeRedisProvider, manualClock } from "trypema/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { familyOf } from "../src/core/family.ts";
import { merged, Sketch } from "../src/core/sketch.ts";
import { runScript } from "./support/built.ts";
import { RedisCluster } from "./support/redis.ts";
import { useRedis } from "./support/use-redis.ts";

const redis = useRedis();
/** Patient, because the machine may be busy. */
const timeoutMs = 60_000;

let prefix: string;
let prefixes = 0;

beforeEach(() => {
  prefix = `limited-${prefixes++}`;
});

const kinds: Record<string, (options?: LimiterOptions) => Provider> = {
  Local: (options) => createLocalProvider(options),
  Redis: (options) => createRedisProvider(redis.client, { prefix, timeoutMs, ...options }),
  Hybrid: (options) => createHybridProvider(redis.client, { prefix, timeoutMs, ...options }),
  "the fake": (options) => createFakeRedisProvider(options),
};

/** What a list says of each key. */
async function denied(limited: LimitedKeys): Promise<Record<string, number>> {
  return Object.fromEntries((await limited.list()).map((one) => [one.key, one.denied]));
}

async function call({ absolute }: Provider, key: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await absolute.inc(key, perMinute(5));
}

describe.each(Object.entries(kinds))("%s", (_, create) => {
  it("lists the keys with the most denials first, each with its limit", async () => {
    const provider = create();
    const limited = trackLimitedKeys(provider, { plain: true });
    await call(provider, "ann", 7);
    await call(provider, "bob", 15);
    await call(provider, "cid", 5);
    const limit = { name: "", strategy: "absolute", windowMs: 60_000 };
    const expected = [
      { ...limit, key: "bob", denied: 10, errorAtMost: 0 },
      { ...limit, key: "ann", denied: 2, errorAtMost: 0 },
    ];
    expect(await limited.list()).toEqual(expected);
    expect(await limited.listOfProcess()).toEqual(expected);
    await provider.close();
  });

  it("has the start of a key's SHA-256 in place of the key, unless it is asked for keys as they are", async () => {
    const provider = create();
    const limited = trackLimitedKeys(provider);
    await call(provider, "ann", 6);
    const hash = createHash("sha256").update("ann").digest("hex").slice(0, 16);
    for (const list of [await limited.list(), await limited.listOfProcess()]) expect(list[0]?.key).toBe(hash);
    if (await redis.client.exists(`${prefix}:limited`)) {
      expect(await redis.client.get(`${prefix}:limited`)).not.toContain("ann");
    }
    await provider.close();
  });

  it("counts calls to blocked keys and those that suppression denies, and no admitted ones", async () => {
    const provider = create({ random: () => 0 });
    const limited = trackLimitedKeys(provider, { plain: true });
    await provider.absolute.block("ann", minutes(1));
    await call(provider, "ann", 3);
    for (let i = 0; i < 9; i++) await provider.suppressed.inc("bob", perMinute(5));
    for (const { strategy, key, denied: count } of await limited.list()) {
      expect([strategy, key, count]).toEqual(key === "ann" ? ["absolute", "ann", 3] : ["suppressed", "bob", 4]);
    }
    expect(await limited.list()).toHaveLength(2);
    await provider.close();
  });

  it("counts a denied take for the limits that deny it, by the keys that they were asked for", async () => {
    const provider = create();
    const limited = trackLimitedKeys(provider, { plain: true });
    const limits = createLimits(provider, {
      small: { limit: 2, windowMs: minutes(1) },
      large: { limit: 100, windowMs: minutes(1) },
    });
    for (let i = 0; i < 5; i++) await limits.take({ small: "203.0.113.9", large: "ann" });
    await limits.take({ small: "203.0.113.9" }, 0);
    await limits.peek("203.0.113.9");
    expect(await limited.list()).toMatchObject([{ name: "small", key: "203.0.113.9", denied: 3 }]);
    await provider.close();
  });

  it("forgets what was denied ten minutes ago, and nothing of the last five", async () => {
    const clock = manualClock();
    const provider = create({ clock });
    const limited = trackLimitedKeys(provider, { plain: true });
    await call(provider, "ann", 7);
    expect(await denied(limited)).toEqual({ ann: 2 });
    clock.advance(minutes(5));
    await call(provider, "bob", 6);
    expect(await denied(limited)).toEqual({ ann: 2, bob: 1 });
    clock.advance(minutes(5));
    expect(await denied(limited)).toEqual({ bob: 1 });
    clock.advance(minutes(5));
    expect(await denied(limited)).toEqual({});
    expect(await limited.listOfProcess()).toEqual([]);
    await provider.close();
  });

  it("tracks a provider once, and again after it was stopped", async () => {
    const provider = create();
    const first = trackLimitedKeys(provider.withWindow({ windowMs: 1_000 }), { plain: true });
    expect(() => trackLimitedKeys(provider)).toThrow(/tracked already/);
    first.stop();
    await call(provider, "ann", 6);
    expect(await first.listOfProcess()).toEqual([]);
    const second = trackLimitedKeys(provider, { plain: true });
    await call(provider, "ann", 1);
    expect(await denied(second)).toEqual({ ann: 1 });
    await provider.close();
  });
});

it("refuses what is no option and no provider", () => {
  const provider = createLocalProvider();
  for (const options of [{ size: 0 }, { size: 1_001 }, { size: 1.5 }, { plain: 1 }, { sizes: 1 }, null]) {
    expect(() => trackLimitedKeys(provider, options as object)).toThrow(TrypemaError);
  }
  expect(() => trackLimitedKeys({} as Provider)).toThrow(/provider of this package/);
});

it("changes no decision where the user's clock throws", () => {
  let isBroken = false;
  let reads = 0;
  // The decision itself reads the clock first.
  const clock = () => {
    if (isBroken && ++reads % 2 === 0) throw new Error("no clock");
    return 0;
  };
  const provider = createLocalProvider({ clock });
  trackLimitedKeys(provider);
  for (let i = 0; i < 5; i++) provider.absolute.inc("ann", perMinute(5));
  isBroken = true;
  expect(provider.absolute.inc("ann", perMinute(5)).outcome).toBe("rejected");
  expect(reads).toBe(2);
});

describe("in Redis", () => {
  it("processes share what they deny: each lists the denials of all", async () => {
    const source = (kind: string, key: string) => `
      import { perMinute, trackLimitedKeys } from "trypema";
      import { create${kind}Provider } from "trypema/${kind.toLowerCase()}";
      import { Redis } from "ioredis";
      const client = new Redis(${redis.client.options.port});
      const provider = create${kind}Provider(client, { prefix: "${prefix}", timeoutMs: 60_000 });
      const limited = trackLimitedKeys(provider, { plain: true });
      for (let i = 0; i < 8; i++) await provider.absolute.inc("${key}", perMinute(5));
      await provider.close();
      client.disconnect();
    `;
    await Promise.all([runScript(source("Redis", "ann")), runScript(source("Hybrid", "bob"))]);
    const limited = trackLimitedKeys(createRedisProvider(redis.client, { prefix, timeoutMs }));
    expect(await denied(limited)).toEqual({ ann: 3, bob: 3 });
    expect(await limited.listOfProcess()).toEqual([]);
  });

  it("a process that nobody asks tells its denials within some seconds, and lets itself end meanwhile", async () => {
    const provider = createRedisProvider(redis.client, { prefix, timeoutMs });
    trackLimitedKeys(provider, { plain: true });
    await call(provider, "ann", 7);
    const reader = trackLimitedKeys(createHybridProvider(redis.client, { prefix, timeoutMs }));
    await expect.poll(() => denied(reader)).toEqual({ ann: 2 });
    const { stdout } = await runScript(`
      import { once } from "node:events";
      import { perMinute, trackLimitedKeys } from "trypema";
      import { createRedisProvider } from "trypema/redis";
      import { Redis } from "ioredis";
      const client = new Redis(${redis.client.options.port});
      const provider = createRedisProvider(client, { prefix: "${prefix}-ends", timeoutMs: 60_000 });
      trackLimitedKeys(provider);
      for (let i = 0; i < 8; i++) await provider.absolute.inc("ann", perMinute(5));
      client.disconnect();
      await once(client, "end");
      // These are only the timers that the process would wait for.
      console.log(process.getActiveResourcesInfo().filter((name) => name === "Timeout").length);
    `);
    expect(stdout).toBe("0\n");
  });

  it("is one Redis key that ends when it says nothing any longer, and another by each prefix", async () => {
    const provider = createRedisProvider(redis.client, { prefix, timeoutMs });
    const limited = trackLimitedKeys(provider, { plain: true });
    await limited.list();
    expect(await redis.client.exists(`${prefix}:limited`)).toBe(0);
    await call(provider, "ann", 6);
    await limited.list();
    const leftMs = await redis.client.pttl(`${prefix}:limited`);
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(minutes(10));
    const other = trackLimitedKeys(createRedisProvider(redis.client, { prefix: `${prefix}-other`, timeoutMs }));
    expect(await other.list()).toEqual([]);
  });

  it("loses what a failed message had and nothing else, changes no decision, and leaves no rejection", async () => {
    const rejections = vi.fn();
    process.on("unhandledRejection", rejections);
    const provider = createRedisProvider(redis.client, { prefix, timeoutMs });
    const limited = trackLimitedKeys(provider, { plain: true });
    await redis.client.set(`${prefix}:limited`, "something else");
    await call(provider, "ann", 7);
    await expect(limited.list()).rejects.toThrow(/BACKEND_SCRIPT|Redis: /);
    await call(provider, "ann", 3);
    await provider.close();
    await redis.client.del(`${prefix}:limited`);
    await call(provider, "ann", 1);
    expect(await denied(limited)).toEqual({ ann: 1 });
    expect(await limited.listOfProcess()).toMatchObject([{ key: "ann", denied: 6 }]);
    expect(rejections).not.toHaveBeenCalled();
    process.off("unhandledRejection", rejections);
  });

  it("lists those of this process while Redis is away, and keeps what it could not send", async () => {
    const provider = createFakeRedisProvider({ onFailure: "local" });
    const limited = trackLimitedKeys(provider, { plain: true });
    provider.redis = "down";
    await call(provider, "ann", 7);
    expect(await limited.listOfProcess()).toMatchObject([{ key: "ann", denied: 2 }]);
    const away = new Redis({ port: 1, lazyConnect: true, enableOfflineQueue: false, retryStrategy: () => null });
    const real = createRedisProvider(away, { onFailure: "local" });
    const tracked = trackLimitedKeys(real, { plain: true });
    await call(real, "bob", 8);
    await expect(tracked.list()).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    expect(await tracked.listOfProcess()).toMatchObject([{ key: "bob", denied: 3 }]);
    await real.close();
  });

  it("keeps what the sketch promises, whichever processes send what in which order", async () => {
    const id = fc.oneof(fc.constantFrom("a", "b"), fc.integer({ min: 0, max: 60 }).map(String));
    const parts = fc.array(fc.array(id, { maxLength: 120 }), { maxLength: 6 });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(parts, fc.integer({ min: 1, max: 9 }), async (streams, size) => {
        const provider = createRedisProvider(redis.client, { prefix: `${prefix}-${runs++}`, timeoutMs });
        const shared = familyOf(provider)!.sharedDenials!;
        for (const stream of streams) {
          const sketch = new Sketch(size);
          for (const one of stream) sketch.add(one);
          await shared.add(sketch.summary, size, minutes(5));
        }
        const all = streams.flat();
        const summaries = await shared.addAndRead({ counters: [], floor: 0 }, size, minutes(5));
        // In Redis too, however many processes send theirs.
        for (const summary of summaries) expect(summary.counters.length).toBeLessThanOrEqual(size);
        const { counters, floor } = merged(summaries, size);
        expect(counters.length).toBeLessThanOrEqual(size);
        const known = new Map(counters.map((counter) => [counter.id, counter]));
        for (const one of new Set(all)) {
          const times = all.filter((other) => other === one).length;
          const counter = known.get(one);
          if (times > all.length / size) expect(counter).toBeDefined();
          if (counter === undefined) expect(times).toBeLessThanOrEqual(floor);
          else expect([counter.count >= times, counter.count - counter.error <= times]).toEqual([true, true]);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("in a Cluster", () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await RedisCluster.start();
  });
  afterAll(() => cluster.stop());

  it("is shared as in one server", async () => {
    const client = new Cluster(cluster.servers.map(({ port }) => ({ host: "127.0.0.1", port })));
    const provider = createRedisProvider(client, { prefix, timeoutMs });
    const limited = trackLimitedKeys(provider, { plain: true });
    for (const key of ["ann", "bob", "cid"]) await call(provider, key, 7);
    expect(await denied(limited)).toEqual({ ann: 2, bob: 2, cid: 2 });
    client.disconnect();
  });
});

it("takes bounded memory, however many and however long the keys of an attack are", async () => {
  const { stdout } = await runScript(
    `
    import { createLimits, createLocalProvider, trackLimitedKeys } from "trypema";
    const provider = createLocalProvider({ maxKeys: 1 });
    const limits = createLimits(provider, { api: { limit: 1, windowMs: 60_000 } });
    const limited = trackLimitedKeys(provider, { plain: true });
    const usedBytes = () => (gc(), gc(), process.memoryUsage().heapUsed);
    const attack = (keyOf, times) => {
      for (let i = 0; i < times; i++) {
        limits.take({ api: keyOf(i) }, { api: 2 });
        if (i % 50 === 0) limits.take({ api: "heavy" }, { api: 2 });
      }
    };
    attack((i) => "a" + i, 200_000);
    const before = usedBytes();
    attack((i) => "b" + i, 1_000_000);
    attack((i) => (i + "c").padEnd(250, "x"), 1_000_000);
    // A piece of a long header, which a list of keys must not keep.
    const header = "x".repeat(200_000);
    attack((i) => (i + header).slice(0, 250), 500);
    const grownBytes = usedBytes() - before;
    const list = await limited.list();
    console.log(JSON.stringify({ grownBytes, keys: list.length, first: list[0].key }));
    `,
    ["--expose-gc"],
  );
  const { grownBytes, keys, first } = JSON.parse(stdout);
  expect({ keys, first }).toEqual({ keys: 100, first: "heavy" });
  expect(grownBytes).toBeLessThan(2e6);
});
