// Several limits in one script: what can go wrong with it, on real servers.

import { createLimits, createLocalProvider, hours, minutes, type Provider, perHour, perSecond, seconds } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisClient, type RedisOptions } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { KeyNames } from "../../src/redis/keys.ts";
import { clientThatSplits, MAIN_CLIENTS, type OpenClient } from "../support/clients.ts";
import { failureOf } from "../support/failing.ts";
import { ALONE } from "../support/in-crowd.ts";
import { RedisCluster } from "../support/redis.ts";
import { sendReport, WINDOW } from "../support/reports.ts";
import { BUCKETS_OF_CHUNK, readStored } from "../support/stored-state.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

const DEFINITIONS = {
  burst: { limit: 10, windowMs: seconds(1) },
  day: { limit: 20, windowMs: hours(24), bucketMs: minutes(1) },
  tokens: { limit: 100, windowMs: minutes(1), strategy: "suppressed" },
} as const;

/** How many buckets a key has that lists a chunk of them when the next one begins. */
const BEFORE_LIST = BUCKETS_OF_CHUNK + 2;

const opened: Provider[] = [];

beforeEach(async () => {
  await redis.client.flushall();
});

afterEach(async () => {
  for (const provider of opened.splice(0)) await provider.close();
});

function limitsOn(client: RedisClient, options: RedisOptions = {}) {
  const provider = createRedisProvider(client, { timeoutMs: 30_000, ...options });
  opened.push(provider);
  return createLimits(provider, DEFINITIONS);
}

async function scriptsDuring(work: () => Promise<unknown>): Promise<number> {
  await redis.client.config("RESETSTAT");
  await work();
  const stats = await redis.client.info("commandstats");
  return Array.from(stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)).reduce((sum, [, calls]) => sum + +calls!, 0);
}

it("a take is one script, whatever the number of limits, and takes that are made together share scripts", async () => {
  const limits = limitsOn(redis.client);
  await limits.take("warm");
  expect(await scriptsDuring(async () => limits.take("user"))).toBe(1);
  const forty = () => Promise.all(Array.from({ length: 40 }, (_, i) => limits.take(`user-${i}`)));
  expect(await scriptsDuring(forty)).toBeLessThanOrEqual(6);
  expect((await limits.limiter("day").get("user-7")).total).toBe(1);
});

/** The first argument of each script that was called meanwhile. */
async function firstArgumentsDuring(work: () => Promise<unknown>): Promise<string[]> {
  await redis.client.config("SET", "slowlog-log-slower-than", "0");
  await redis.client.slowlog("RESET");
  await work();
  await redis.client.config("SET", "slowlog-log-slower-than", "-1");
  const entries = (await redis.client.slowlog("GET", 128)) as [id: number, at: number, usec: number, args: string[]][];
  const scripts = entries.map(([, , , args]) => args).filter(([name]) => /^evalsha$/i.test(name!));
  return scripts.map(([, , keyCount, ...keysAndArguments]) => keysAndArguments[Number(keyCount)]!);
}

it("takes that ask alike have no plan, whatever the rates and the counts are, and any other takes have one", async () => {
  const provider = createRedisProvider(redis.client, { timeoutMs: 30_000 });
  opened.push(provider);
  const limits = createLimits(provider, {
    minute: { limit: 90, windowMs: minutes(1) },
    odd: { limit: 7, windowMs: minutes(11) },
    rate: { rate: perSecond(1 / 3), windowMs: minutes(1), bucketMs: 250 },
    day: { limit: 1e9, windowMs: hours(24), bucketMs: minutes(1) },
  });
  const blocking = createLimits(provider, { minute: { limit: 90, windowMs: minutes(1), blockMs: minutes(1) } });
  await limits.take("user");
  const givenTo = async (...takes: (() => Promise<unknown>)[]) => {
    const given = await firstArgumentsDuring(() => Promise.all(takes.map((take) => take())));
    expect(given.length).toBeGreaterThan(0);
    return given.map((argument) => (argument.startsWith("[") ? "plan" : "plain"));
  };
  expect(await givenTo(() => limits.take("user"))).toEqual(["plain"]);
  expect(await givenTo(() => limits.take("user", { minute: 2, odd: 0, day: 123_456 }))).toEqual(["plain"]);
  expect(await givenTo(() => limits.take({ minute: "user", odd: "user", day: "all" }))).toEqual(["plain"]);
  const fifty = Array.from({ length: 50 }, () => () => limits.take("many"));
  expect(new Set(await givenTo(...fifty))).toEqual(new Set(["plain"]));
  expect(await givenTo(() => blocking.take("user"))).toEqual(["plan"]);
});

it("takes keep each key for its window, a sixteenth and a minute, from each sixteenth of the window on", async () => {
  const clock = manualClock(1_000_000);
  const limits = limitsOn(redis.client, { clock });
  const keptMs = async () => {
    const keys = (await redis.client.keys("trypema:a:*")).sort();
    return Promise.all(keys.map((key) => redis.client.pttl(key)));
  };
  for (const _ of ["the first take", "one in a later sixteenth"]) {
    await limits.take({ burst: "user", day: "user" });
    const kept = await keptMs();
    for (const [i, windowMs] of [seconds(1), hours(24)].entries()) {
      const mostMs = windowMs * (1 + 1 / 16) + minutes(1) + 100;
      expect(kept[i]).toBeGreaterThan(windowMs + minutes(1) - 10_000);
      expect(kept[i]).toBeLessThanOrEqual(mostMs);
    }
    for (const key of await redis.client.keys("trypema:a:*")) await redis.client.pexpire(key, 5_000);
    clock.advance(hours(2));
  }
});

it("takes of a limit that is never to come back tell a wait as long as numbers go", async () => {
  const windowMs = 2 ** 52;
  const provider = createRedisProvider(redis.client, { timeoutMs: 30_000, clock: manualClock(1_000_000) });
  opened.push(provider);
  const limits = createLimits(provider, { trial: { limit: 5, windowMs, bucketMs: 1_000 } });
  const taken = await Promise.all(Array.from({ length: 5 }, () => limits.take("user")));
  const left = taken.map(({ decisions }) => decisions.trial.remaining);
  expect(left).toEqual([4, 3, 2, 1, 0]);
  for (const { decisions } of taken) expect(decisions.trial).toMatchObject({ allowed: true, moreAfterMs: windowMs });
});

it("takes count up to the largest whole number, as Local's do, and begin anew when that has expired", async () => {
  const clock = manualClock(1_000_000);
  const definitions = { all: { rate: perSecond(1e16), windowMs: seconds(1) } };
  const provider = createRedisProvider(redis.client, { timeoutMs: 30_000, clock });
  opened.push(provider);
  const [limits, local] = [
    createLimits(provider, definitions),
    createLimits(createLocalProvider({ clock }), definitions),
  ];
  for (const [waitMs, count] of [
    [0, Number.MAX_SAFE_INTEGER - 3],
    ...[0, 0, 200, 0, 200, 200].map((ms) => [ms, 2] as const),
    ...[399, 1, 1, 0, 200, 1_000].map((ms) => [ms, 3] as const),
  ] as const) {
    clock.advance(waitMs);
    expect((await limits.take("k", count)).decisions).toEqual(local.take("k", count).decisions);
    expect(await limits.limiter("all").get("k")).toEqual(local.limiter("all").get("k"));
  }
});

it("a take is answered as by Local where used and wait, as one number, are just too large for that", async () => {
  const clock = manualClock(1_000_000);
  const windowMs = hours(24);
  const definitions = { day: { limit: 1e9, windowMs } };
  const provider = createRedisProvider(redis.client, { timeoutMs: 30_000, clock });
  opened.push(provider);
  const [limits, local] = [
    createLimits(provider, definitions),
    createLimits(createLocalProvider({ clock }), definitions),
  ];
  const most = Math.floor(1e15 / (windowMs + 2));
  for (let count = most - 3; count <= most + 3; count++) {
    for (const more of [count, 0, 1]) {
      const { decisions } = await limits.take(`k-${count}`, more);
      expect(decisions).toEqual(local.take(`k-${count}`, more).decisions);
    }
  }
});

it("takes that come one after the other in the cell of a bucket are answered and counted as by Local", async () => {
  const clock = manualClock(1_000_500);
  const definitions = {
    second: { limit: 6, windowMs: seconds(1), bucketMs: seconds(1) },
    day: { limit: 90, windowMs: hours(24), bucketMs: minutes(1) },
  };
  const provider = createRedisProvider(redis.client, { timeoutMs: 30_000, clock });
  opened.push(provider);
  const [limits, local] = [
    createLimits(provider, definitions),
    createLimits(createLocalProvider({ clock }), definitions),
  ];
  for (const [waitMs, second] of [
    // One bucket, whose time is that of its last hit.
    ...[[0, 1] as const, [100, 1] as const, [50, 0] as const],
    // Another one, which is still hit when the first one has expired. A count of 0 leaves it as it is.
    ...[[450, 1] as const, [200, 0] as const, [300, 1] as const],
    // Up to the limit. There not even a count of 0 is admitted.
    ...[[50, 4] as const, [10, 0] as const, [10, 1] as const],
    // The bucket expires as late as its last hit.
    ...[[960, 1] as const, [20, 1] as const],
  ]) {
    clock.advance(waitMs);
    expect((await limits.take("k", { second })).decisions).toEqual(local.take("k", { second }).decisions);
    for (const name of ["second", "day"] as const) {
      expect(await limits.limiter(name).get("k")).toEqual(local.limiter(name).get("k"));
    }
  }
});

it("a take in the cell of the newest bucket, of a caller whose clock is behind, has no count expire sooner", async () => {
  const [clock, behind] = [manualClock(1_050_000), manualClock(1_030_000)];
  const [limits, limitsBehind] = [limitsOn(redis.client, { clock }), limitsOn(redis.client, { clock: behind })];
  await limits.take({ day: "k" });
  await limitsBehind.take({ day: "k" });
  behind.advance(hours(24) + 10_000);
  expect((await limitsBehind.take({ day: "k" })).decisions.day).toMatchObject({ remaining: 17, moreAfterMs: 10_000 });
});

it("a take in the cell of the newest bucket gives the key the rate of another limit", async () => {
  const limits = limitsOn(redis.client, { clock: manualClock(1_000_000) });
  await limits.take({ day: "k" });
  await limits.take({ day: "k" }, 1, { day: { limit: 30 } });
  expect(await limits.limiter("day").get("k")).toMatchObject({ total: 2, limit: 30 });
});

it("a denied take can block for a single millisecond", async () => {
  const clock = manualClock(1_000_000);
  const options = { clock, timeoutMs: 30_000 };
  for (const provider of [createRedisProvider(redis.client, options), createHybridProvider(redis.client, options)]) {
    opened.push(provider);
    const limits = createLimits(provider, { once: { limit: 1, windowMs: seconds(1), blockMs: 1 } });
    const key = `k-${opened.length}`;
    await limits.take(key);
    expect((await limits.take(key)).decisions.once).toMatchObject({ blocked: true, retryAfterMs: 1 });
    clock.advance(1);
    expect((await limits.peek(key)).decisions.once).toMatchObject({ allowed: false, retryAfterMs: 999 });
  }
});

it("a key that a block has left without counts has the rate of the next take", async () => {
  const clock = manualClock(1_000_000);
  const provider = createRedisProvider(redis.client, { timeoutMs: 30_000, clock });
  opened.push(provider);
  // All within one bucket.
  const limits = createLimits(provider, { login: { limit: 2, windowMs: seconds(1), bucketMs: 1_000, blockMs: 1 } });
  expect((await limits.take("k", 3)).decisions.login).toMatchObject({ blocked: true, retryAfterMs: Infinity });
  clock.advance(1);
  // Counts nothing, and drops the block, which is over.
  expect((await limits.take("k", 0)).allowed).toBe(true);
  expect((await limits.take("k")).allowed).toBe(true);
  expect(await limits.limiter("login").get("k")).toMatchObject({ total: 1, limit: 2 });
});

it("suppressed takes say what is left by their counts where totals have stopped, as Local's do", async () => {
  const half = 2 ** 52;
  const clock = manualClock(1_000_000);
  const options = { clock, random: () => 0.9, hardLimitFactor: 4 };
  const provider = createRedisProvider(redis.client, { timeoutMs: 30_000, ...options });
  opened.push(provider);
  for (const rate of [1e16, 2 * half].map(perSecond)) {
    const windowMs = seconds(1);
    const definitions = {
      [`few-${rate}`]: { limit: 1, windowMs },
      [`many-${rate}`]: { rate, windowMs, strategy: "suppressed" },
    } as const;
    const [few, many] = Object.keys(definitions) as [string, string];
    const local = createLimits(createLocalProvider(options), definitions);
    const limits = createLimits(provider, definitions);
    for (const counts of [
      // Denied by `few`, so half of what can be counted is declined.
      { [few]: 2, [many]: half },
      ...[half, half + 1, 2 * half - 1, 0].map((count) => ({ [many]: count })),
    ]) {
      const keys = Object.fromEntries(Object.keys(counts).map((name) => [name, "k"]));
      const { allowed, decisions } = local.take(keys, counts);
      expect(allowed).toBe(!(few in counts));
      expect((await limits.take(keys, counts)).decisions).toEqual(decisions);
      expect(await limits.limiter(many).get("k")).toEqual(local.limiter(many).get("k"));
    }
  }
});

it("takes in a crowd are decided in their order, as Local decides them", async () => {
  const clock = manualClock(1_000_000);
  const options = { clock, random: () => 0.5 };
  const limits = limitsOn(redis.client, options);
  await Promise.all([1, 2, 3, 4, 5].map((i) => limits.take(`warm-${i}`)));
  const local = createLimits(createLocalProvider(options), DEFINITIONS);
  const calls = Array.from({ length: 60 }, (_, i) => [`k${i % 3}`, { tokens: (i % 7) + 1, day: i % 2 }] as const);
  const taken = await Promise.all(calls.map(([key, counts]) => limits.take(key, counts)));
  for (const [index, [key, counts]] of calls.entries()) {
    const { allowed, deniedBy, retryAfterMs, decisions } = local.take(key, counts);
    expect(taken[index]).toMatchObject({ allowed, deniedBy, retryAfterMs });
    expect(taken[index]!.decisions).toEqual(decisions);
  }
});

it.each(["", "x".repeat(256)])("a take with the key %j is refused, and nothing of it is counted", async (day) => {
  const limits = limitsOn(redis.client);
  expect(await failureOf(limits.take({ burst: "ip", day }))).toMatchObject({ code: "INVALID_KEY" });
  expect(await redis.client.dbsize()).toBe(0);
});

it("a key that holds something else fails its own takes only, and counts in none of their limits", async () => {
  const limits = limitsOn(redis.client);
  await limits.take("warm");
  const dayMs = hours(24);
  const foreign = `trypema:a:${dayMs}:${minutes(1)}:day:{:foreign}`;
  await redis.client.rpush(foreign, "not ours");
  const takes = ["fine", "foreign", "also fine"].map((key) => limits.take(key));
  expect(await failureOf(takes[1]!)).toMatchObject({ code: "BACKEND_SCRIPT" });
  expect((await takes[0]!).allowed && (await takes[2]!).allowed).toBe(true);
  expect((await limits.limiter("burst").get("foreign")).total).toBe(0);
  expect((await limits.limiter("tokens").get("foreign")).total).toBe(0);
  expect(await redis.client.lrange(foreign, 0, -1)).toEqual(["not ours"]);
});

it("what a take has counted is given back where a later limit's list is something else", async () => {
  const clock = manualClock(1_000_000);
  const limits = limitsOn(redis.client, { clock });
  for (let i = 0; i < BEFORE_LIST; i++) {
    clock.advance(60_000);
    await limits.take("k");
  }
  clock.advance(60_000);
  await redis.client.set(`trypema:a:${hours(24)}:${minutes(1)}:day:{:k}b`, "not ours");
  expect(await failureOf(limits.take("k"))).toMatchObject({ code: "BACKEND_SCRIPT" });
  expect((await limits.limiter("burst").get("k")).total).toBe(0);
});

describe("in a script with others", () => {
  const LIST = `trypema:a:${hours(24)}:${minutes(1)}:day:{:k}b`;

  /** Limits whose key "k" of the day has so many buckets, and for its list something else. 17 more are admitted. */
  async function withForeignList(buckets: number) {
    const clock = manualClock(1_000_000);
    const provider = createRedisProvider(redis.client, { timeoutMs: 30_000, clock });
    opened.push(provider);
    const limits = createLimits(provider, { ...DEFINITIONS, day: { ...DEFINITIONS.day, limit: buckets + 17 } });
    for (let i = 0; i < buckets; i++) {
      clock.advance(60_000);
      await limits.take({ day: "k" });
    }
    await redis.client.set(LIST, "not ours");
    return { clock, limits, day: limits.limiter("day"), burst: limits.limiter("burst") };
  }

  it("a take that fails at the list of a key takes nothing from the takes before it, nor from those after it", async () => {
    const { limits, day, burst } = await withForeignList(BEFORE_LIST + 1);
    const taken = await Promise.allSettled([
      ...ALONE.map((key) => limits.take(key)),
      limits.take({ burst: "ip", day: "k" }),
      // To say how long to wait it needs the list.
      limits.take({ burst: "ip", day: "k" }, { burst: 2, day: 18 }),
      limits.take({ burst: "ip", day: "k" }, { day: 5 }),
      limits.take({ burst: "ip" }),
      limits.take({ burst: "ip", day: "k" }, { day: 13 }),
      limits.take({ burst: "ip", day: "k" }),
    ]);
    expect(taken.map(({ status }) => status === "fulfilled")).toEqual([
      ...ALONE.map(() => true),
      ...[true, false, true, true, false, true],
    ]);
    const admitted = taken.flatMap((each) => (each.status === "fulfilled" ? [each.value.allowed] : []));
    expect(admitted).toEqual([...ALONE.map(() => true), true, true, true, true]);
    expect((await burst.get("ip")).total).toBe(4);
    await redis.client.del(LIST);
    expect((await day.get("k")).total).toBe(BEFORE_LIST + 1 + 1 + 5 + 1);
  });

  it("a take that fails after it has counted elsewhere gives that back, and no more than that", async () => {
    const { clock, limits, burst } = await withForeignList(BEFORE_LIST);
    const stateOfDay = () => redis.client.getBuffer(LIST.slice(0, -1));
    const stateBefore = await stateOfDay();
    clock.advance(60_000);
    const taken = await Promise.allSettled([
      ...ALONE.map((key) => limits.take(key)),
      limits.take({ burst: "ip" }, { burst: 2 }),
      limits.take({ burst: "ip", day: "k" }),
      limits.take({ burst: "ip", day: "k" }),
      limits.take({ burst: "ip" }, { burst: 3 }),
      limits.take({ burst: "ip", day: "other", tokens: "t" }),
    ]);
    expect(taken.map(({ status }) => status === "fulfilled")).toEqual([
      ...ALONE.map(() => true),
      ...[true, false, false, true, true],
    ]);
    expect((await burst.get("ip")).total).toBe(6);
    expect(await stateOfDay()).toEqual(stateBefore);
    expect((await limits.limiter("tokens").get("t")).total).toBe(1);
  });

  it("a take that fails at one limit leaves what others have counted in the next one", async () => {
    const { clock, limits } = await withForeignList(BEFORE_LIST);
    clock.advance(60_000);
    const taken = await Promise.allSettled([
      ...ALONE.map((key) => limits.take(key)),
      limits.take({ tokens: "t" }, { tokens: 2 }),
      limits.take({ day: "k", tokens: "t" }),
    ]);
    expect(taken.slice(ALONE.length)).toMatchObject([{ value: { allowed: true } }, { status: "rejected" }]);
    expect((await limits.limiter("tokens").get("t")).total).toBe(2);
  });

  it("takes that are the same are admitted up to the least limit, and each leaves one less", async () => {
    const clock = manualClock(1_000_000);
    for (const options of [{}, { clock }]) {
      const limits = limitsOn(redis.client, { ...options, prefix: `same-${Object.keys(options)}` });
      // The windows are long, so that a slow machine changes nothing.
      const { day } = DEFINITIONS;
      const both = createLimits(opened.at(-1)!, { day, wide: { ...day, limit: 1_000 } });
      await both.take("k");
      const taken = await Promise.all(Array.from({ length: 30 }, () => both.take("k")));
      expect(taken.map(({ allowed }) => allowed)).toEqual(Array.from({ length: 30 }, (_, i) => i < 19));
      expect(taken.map(({ decisions }) => decisions.wide.remaining)).toEqual(
        Array.from({ length: 30 }, (_, i) => (i < 19 ? 998 - i : 980)),
      );
      expect((await both.limiter("wide").get("k")).total).toBe(20);
      expect((await limits.limiter("day").get("k")).total).toBe(20);
    }
  });

  it("keeps no new key for ever that one take has counted and another one is denied", async () => {
    const limits = limitsOn(redis.client);
    const taken = await Promise.all([...ALONE, ...Array<string>(15).fill("new")].map((key) => limits.take(key)));
    expect(taken.filter(({ allowed }) => allowed)).toHaveLength(ALONE.length + 10);
    const names = await redis.client.keys("*{:new}*");
    expect(names).toHaveLength(3);
    for (const name of names) expect(await redis.client.pttl(name)).toBeGreaterThan(0);
  });

  it("takes that are the same leave what another process has leased", async () => {
    const clock = manualClock(1_000_000);
    const name = "leased";
    for (const strategy of ["absolute", "suppressed"] as const) {
      const keys = new KeyNames("trypema", { name, strategy, ...WINDOW }).withLeases("k");
      await sendReport(redis.client, clock(), { wanted: 4 }, keys);
      const provider = createRedisProvider(redis.client, { clock, timeoutMs: 30_000 });
      const limits = createLimits(provider, { [name]: { limit: 10, hardLimitFactor: 1, strategy, ...WINDOW } });
      const taken = await Promise.all(Array.from({ length: 20 }, () => limits.take("k")));
      expect(taken.filter(({ allowed }) => allowed)).toHaveLength(6);
      expect(taken.map(({ decisions }) => decisions[name]!.remaining)).toEqual([5, 4, 3, 2, 1, ...Array(15).fill(0)]);
    }
  });

  it("takes leave the headroom that another process has been given", async () => {
    const clock = manualClock(1_000_000);
    const keys = new KeyNames("trypema", { name: "shed", strategy: "suppressed", ...WINDOW }).withLeases("k");
    await sendReport(redis.client, clock(), { suppressionCacheMs: 0, hardLimit: 15, wantedHeadroom: 3 }, keys);
    // Each draw admits, so only the hard limit denies.
    limitsOn(redis.client, { clock, random: () => 0.999_999 });
    const shed = { limit: 10, hardLimitFactor: 1.5, strategy: "suppressed", ...WINDOW } as const;
    const limits = createLimits(opened.at(-1)!, { shed });
    const taken = await Promise.all(Array.from({ length: 20 }, () => limits.take("k")));
    expect(taken.map(({ allowed }) => allowed)).toEqual(Array.from({ length: 20 }, (_, i) => i < 15 - 3));
  });

  it("a bucket that one take has begun and another one finds full expires when it should", async () => {
    const clock = manualClock(1_000_000);
    limitsOn(redis.client, { clock });
    const limits = createLimits(opened.at(-1)!, { short: { limit: 10, windowMs: seconds(16), bucketMs: 100 } });
    const counted = async () => (await limits.limiter("short").get("k")).total;
    await limits.take("k");
    clock.advance(500);
    // The first one goes alone, and the others together.
    const keys = ["other", ...Array<string>(20).fill("k")];
    const taken = await Promise.all(keys.map((key) => limits.take(key)));
    expect(taken.filter(({ allowed }) => allowed)).toHaveLength(1 + 9);
    clock.advance(seconds(16) - 500);
    expect(await counted()).toBe(9);
    clock.advance(500);
    expect(await counted()).toBe(0);
  });

  it("fails as a whole on a server that can't write, and counts nothing", async () => {
    const counting = limitsOn(redis.client);
    await Promise.all([counting.take("k"), counting.take("l")]);
    const admin = redis.client;
    for (const [begin, end, message] of [
      [() => admin.config("SET", "maxmemory", "1"), () => admin.config("SET", "maxmemory", "0"), /OOM/],
      [() => admin.replicaof("127.0.0.1", 1), () => admin.replicaof("NO", "ONE"), /READONLY/],
    ] as const) {
      // Others, because these send nothing for a while after so many failures.
      const limits = limitsOn(redis.client);
      await begin();
      const failed = await Promise.allSettled([...ALONE, "k", "l", "new"].map((key) => limits.take({ day: key })));
      await end();
      for (const each of failed) {
        expect(each).toMatchObject({
          reason: { code: "BACKEND_UNAVAILABLE", message: expect.stringMatching(message) },
        });
      }
      const totals = await Promise.all(["k", "l", "new"].map((key) => counting.limiter("day").get(key)));
      expect(totals.map(({ total }) => total)).toEqual([1, 1, 0]);
    }
  });
});

/** A client that notes what Redis refuses, but for scripts that it doesn't know yet. */
function clientThatListens() {
  const refusals: string[] = [];
  const client: RedisClient = {
    async sendCommand([command, ...args]: string[]) {
      return redis.client.call(command!, ...args).catch((error) => {
        if (!/^NOSCRIPT/.test(error.message)) refusals.push(String(error.message));
        throw error;
      });
    },
  };
  return { client, refusals };
}

it("a replica's refusal reaches the client as an error, which clients listen to, also where it is about one key", async () => {
  const { client, refusals } = clientThatListens();
  const clock = manualClock(1_000_000);
  const limits = limitsOn(client, { clock });
  await limits.take({ tokens: "k" });
  // What has expired is deleted when the key is looked at.
  clock.advance(minutes(1));
  await redis.client.replicaof("127.0.0.1", 1);
  const failure = await failureOf(limits.take({ tokens: "k" }));
  await redis.client.replicaof("NO", "ONE");
  expect(failure).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  expect(refusals).toEqual([expect.stringMatching(/^READONLY/)]);
});

it("a take that is alone counts nothing where the server can't write, and the client is told so, also right after others", async () => {
  const { client, refusals } = clientThatListens();
  const limits = limitsOn(client, { clock: manualClock(1_000_000) });
  const takes = [() => limits.take({ burst: "k", day: "k" }), () => limits.take({ day: "k" })];
  const admin = redis.client;
  for (const [begin, end] of [
    [() => admin.config("SET", "maxmemory", "1"), () => admin.config("SET", "maxmemory", "0")],
    [() => admin.replicaof("127.0.0.1", 1), () => admin.replicaof("NO", "ONE")],
  ] as const) {
    await takes[0]!();
    await begin();
    for (const take of takes) await failureOf(take());
    await end();
  }
  // Redis 6.2 says where in the script it was refused, before it says OOM.
  const codes = ["OOM", "OOM", "READONLY", "READONLY"];
  expect(refusals).toEqual(codes.map((code) => expect.stringContaining(code)));
  expect((await limits.take("k")).decisions).toMatchObject({ burst: { remaining: 7 }, day: { remaining: 17 } });
});

it("a take whose script the server has lost is sent again as a whole, and counts once", async () => {
  const limits = limitsOn(redis.client);
  await limits.take("k");
  await redis.client.script("FLUSH");
  expect((await limits.take("k")).allowed).toBe(true);
  expect((await limits.limiter("day").get("k")).total).toBe(2);
});

it("asks slot after slot where something in between refuses keys of several slots, and gives back what a later one denies", async () => {
  let refused = 0;
  const strict: RedisClient = {
    async sendCommand([command, ...args]: string[]) {
      const keys = args.slice(2, 2 + Number(args[1]));
      const tags = new Set(keys.map((key) => /\{(.*?)\}/.exec(key)?.[1]));
      if (tags.size > 1) {
        refused++;
        throw new Error("CROSSSLOT Keys in request don't hash to the same slot");
      }
      return redis.client.call(command!, ...args);
    },
  };
  const limits = limitsOn(strict, { clock: manualClock(1_000_000) });
  const day = limits.limiter("day");
  for (let i = 0; i < 3; i++)
    expect((await limits.take({ burst: "ip", day: "user", tokens: "org" })).allowed).toBe(true);
  expect(refused).toBe(1);
  const denied = await limits.take({ burst: "ip", day: "user", tokens: "org" }, { day: 18, tokens: 2 });
  expect(denied).toMatchObject({ allowed: false, deniedBy: "day" });
  expect(denied.decisions.burst).toMatchObject({ allowed: true, remaining: 7 });
  expect((await limits.limiter("burst").get("ip")).total).toBe(3);
  expect((await day.get("user")).total).toBe(3);
  // A suppressed limit counts what it was asked for, as declined.
  expect(await limits.limiter("tokens").get("org")).toMatchObject({ total: 5, declined: 2 });
  // What the first slot denies, no later one counts.
  const deniedFirst = await limits.take({ burst: "ip", day: "user", tokens: "org" }, { burst: 11 });
  expect(deniedFirst).toMatchObject({ allowed: false, deniedBy: "burst" });
  expect((await day.get("user")).total).toBe(3);
  expect(await limits.limiter("tokens").get("org")).toMatchObject({ total: 6, declined: 3 });
});

const clientOfSlots = (before: (key: string) => unknown) => clientThatSplits(() => redis.client, before);

it("a slot that fails after another one has denied the take leaves the denial as it is, and what others have counted", async () => {
  for (const onFailure of ["throw", "allow", "deny", "local"] as const) {
    let isAway = false;
    const strict = clientOfSlots((key) => {
      if (isAway && key.includes("{:org}")) throw new Error("CLUSTERDOWN Hash slot not served");
    });
    const options = { clock: manualClock(1_000_000), prefix: onFailure, onFailure, onEvent: false } as const;
    const limits = limitsOn(strict, options);
    const keys = { burst: "ip", day: "user", tokens: "org" };
    for (let i = 0; i < 3; i++) expect((await limits.take(keys)).allowed).toBe(true);
    isAway = true;
    const denied = await limits.take(keys, { day: 18 });
    expect(denied).toMatchObject({ allowed: false, deniedBy: "day", retryAfterMs: hours(24) });
    expect(denied.decisions.burst).toMatchObject({ allowed: true, degraded: false });
    expect(denied.decisions.tokens).toMatchObject({ allowed: true, degraded: true });
    expect((await limits.limiter("burst").get("ip")).total).toBe(3);
    expect((await limits.limiter("day").get("user")).total).toBe(3);
    // What the first slots have admitted is given back once.
    const undecided = limits.take(keys);
    if (onFailure === "throw") expect((await failureOf(undecided)).code).toBe("BACKEND_UNAVAILABLE");
    else expect((await undecided).allowed).toBe(onFailure !== "deny");
    expect((await limits.limiter("burst").get("ip")).total).toBe(3);
    expect((await limits.limiter("day").get("user")).total).toBe(3);
  }
});

it("what slots have counted isn't given back once its window has passed: others may have used that much since", async () => {
  const clock = manualClock(1_000_000);
  const others = limitsOn(redis.client, { clock });
  let waits = false;
  const strict = clientOfSlots(async (key) => {
    if (!(waits && key.includes("{:user}"))) return;
    clock.advance(seconds(1));
    await others.take({ burst: "ip" }, 7);
  });
  const limits = limitsOn(strict, { clock });
  await limits.take({ burst: "first", day: "user" });
  waits = true;
  const denied = await limits.take({ burst: "ip", day: "user" }, { burst: 5, day: 20 });
  expect(denied).toMatchObject({ allowed: false, deniedBy: "day" });
  expect((await others.limiter("burst").get("ip")).total).toBe(7);
});

it("what slots give back is their own, and no hit of another call that was counted meanwhile, in a later bucket", async () => {
  const clock = manualClock(1_000_000);
  const others = limitsOn(redis.client, { clock });
  let meanwhile: (() => Promise<unknown>) | undefined;
  const strict = clientOfSlots((key) => (key.includes("{:user}") ? meanwhile?.() : undefined));
  const limits = limitsOn(strict, { clock });
  await limits.take({ burst: "first", day: "user" });
  const burst = limits.limiter("burst");
  for (const laterMs of [100, 300, 790]) {
    const key = `ip-${laterMs}`;
    await others.take({ burst: key }, 2);
    clock.advance(200);
    meanwhile = async () => {
      clock.advance(laterMs);
      await others.take({ burst: key }, 3);
    };
    const denied = await limits.take({ burst: key, day: "user" }, { burst: 5, day: 20 });
    expect(denied).toMatchObject({ allowed: false, deniedBy: "day" });
    expect((await burst.get(key)).total).toBe(2 + 3);
    clock.advance(999);
    expect((await burst.get(key)).total).toBe(3);
    expect((await others.take({ burst: key }, 8)).allowed).toBe(false);
    clock.advance(1);
    expect((await burst.get(key)).total).toBe(0);
  }
});

it("nor is it another's on the server's clock, nor where denied calls are counted as declined", async () => {
  const window = { windowMs: minutes(1), bucketMs: 1 };
  const definitions = {
    first: { limit: 10, ...window },
    shed: { limit: 10, strategy: "suppressed", ...window },
    last: { limit: 1, blockMs: 1, ...window },
  } as const;
  const others = createRedisProvider(redis.client, { timeoutMs: 30_000 });
  let laterMs = 0;
  let meanwhile: (() => Promise<unknown>) | undefined;
  const strict = clientOfSlots((key) => (key.includes("{:last}") ? meanwhile?.() : undefined));
  const provider = createRedisProvider(strict, { timeoutMs: 30_000 });
  opened.push(others, provider);
  const limits = createLimits(provider, definitions);
  const serversMs = async () => {
    const [seconds, micros] = (await redis.client.time()) as unknown as [string, string];
    return Number(seconds) * 1_000 + Number(micros) / 1_000;
  };
  const nextMs = async () => {
    const fromMs = await serversMs();
    do laterMs = await serversMs();
    while (laterMs < fromMs + 2);
  };
  await limits.take({ first: "warm", last: "last" });
  meanwhile = async () => {
    meanwhile = undefined;
    await nextMs();
    await createLimits(others, definitions).take({ first: "ip", shed: "org" }, 3);
  };
  const denied = await limits.take({ first: "ip", shed: "org", last: "last" }, { first: 5, shed: 6 });
  expect(denied).toMatchObject({ allowed: false, deniedBy: "last" });
  const bucketsOf = async (name: "first" | "shed", key: string) => {
    const strategy = name === "shed" ? "suppressed" : "absolute";
    const stored = await readStored(redis.client, new KeyNames("trypema", { name, strategy, ...window }).of(key)[0]);
    return stored.state!.buckets.map(({ hitMs, ...counts }) => ({ isLater: hitMs >= laterMs, ...counts }));
  };
  expect(await bucketsOf("first", "ip")).toEqual([{ isLater: true, count: 3, declined: 0 }]);
  expect(await bucketsOf("shed", "org")).toEqual([
    { isLater: false, count: 6, declined: 6 },
    { isLater: true, count: 3, declined: 0 },
  ]);
});

it("what slots have counted is given back also where the clock is behind a key's newest hit", async () => {
  const ahead = limitsOn(redis.client, { clock: manualClock(1_000_500) });
  const limits = limitsOn(
    clientOfSlots(() => {}),
    { clock: manualClock(1_000_000) },
  );
  await ahead.take({ burst: "ip" }, 2);
  expect(await limits.take({ burst: "ip", day: "user" }, { burst: 5, day: 21 })).toMatchObject({ deniedBy: "day" });
  expect((await ahead.limiter("burst").get("ip")).total).toBe(2);
});

it("nobody is blocked by what a slot has counted of a take that a limit of another slot denies", async () => {
  const login = { limit: 2, windowMs: minutes(15), blockMs: hours(1) };
  const others = createRedisProvider(redis.client, { timeoutMs: 30_000 });
  let meanwhile: (() => Promise<unknown>) | undefined;
  const strict = clientOfSlots((key) => (key.includes("{:ip}") ? meanwhile?.() : undefined));
  const provider = createRedisProvider(strict, { timeoutMs: 30_000 });
  opened.push(others, provider);
  const limits = createLimits(provider, { login, ...DEFINITIONS });
  await limits.take({ login: "ann", day: "ip" });
  const admitted: boolean[] = [];
  meanwhile = async () => admitted.push((await createLimits(others, { login }).take({ login: "ann" })).allowed);
  const denied = await limits.take({ login: "ann", tokens: "org", day: "ip" }, { day: 20 });
  expect(denied.decisions.day.allowed).toBe(false);
  expect(admitted).toEqual([true]);
});

it("what slots have counted is given back also where other slots fail so often that calls are refused", async () => {
  let hangs = false;
  const strict = clientOfSlots((key) => (hangs && key.includes("{:user}") ? new Promise(() => {}) : undefined));
  const provider = createRedisProvider(strict, { timeoutMs: 500 });
  opened.push(provider);
  const limits = createLimits(provider, DEFINITIONS);
  await limits.take({ day: "ip", burst: "user" });
  hangs = true;
  const takes = Array.from({ length: 8 }, () => failureOf(limits.take({ day: "ip", burst: "user" })));
  for (const failure of await Promise.all(takes)) expect(failure).toMatchObject({ code: "BACKEND_TIMEOUT" });
  expect(provider.stats().breakerOpenings).toBe(1);
  expect((await limitsOn(redis.client).limiter("day").get("ip")).total).toBe(1);
});

it("a suppressed limit whose slot admits a take has it declined where a later slot denies, and counted once where that fails", async () => {
  let fails = false;
  let scripts = 0;
  const strict = clientOfSlots(() => {
    scripts++;
    if (fails && scripts > 2) throw new Error("CLUSTERDOWN Hash slot not served");
  });
  const provider = createRedisProvider(strict, { timeoutMs: 30_000, clock: manualClock(1_000_000), random: () => 0.5 });
  opened.push(provider);
  const tokens = { limit: 10, windowMs: minutes(1), strategy: "suppressed" } as const;
  const limits = createLimits(provider, { requests: tokens, tokens });
  const keys = { requests: "user", tokens: "org" };
  await limits.take(keys);
  const denied = await limits.take(keys, { requests: 4, tokens: 16 });
  expect(denied).toMatchObject({ allowed: false, deniedBy: "tokens" });
  expect(denied.decisions.requests).toMatchObject({ outcome: "allowed", remaining: 9 });
  expect(await limits.limiter("requests").get("user")).toMatchObject({ total: 5, declined: 4 });
  // Over the soft limit a factor of 0 admits it, and it leaves what was left without it.
  const drawn = await limits.take({ requests: "new", tokens: "org" }, { requests: 11, tokens: 16 });
  expect(drawn.decisions.requests).toMatchObject({ outcome: "suppressed", allowed: true, remaining: 10 });
  expect(await limits.limiter("requests").get("new")).toMatchObject({ total: 11, declined: 11 });
  [fails, scripts] = [true, 0];
  expect((await limits.take(keys, { requests: 2, tokens: 16 })).allowed).toBe(false);
  fails = false;
  expect(await limits.limiter("requests").get("user")).toMatchObject({ total: 7, declined: 4 });
});

describe("when Redis doesn't answer", () => {
  const dead: RedisClient = { sendCommand: () => Promise.reject(new Error("ECONNREFUSED")) };
  const hung: RedisClient = { sendCommand: () => new Promise(() => {}) };

  it("a take fails as a call does, and within its deadline", async () => {
    expect(await failureOf(limitsOn(dead).take("k"))).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    expect(await failureOf(limitsOn(hung, { timeoutMs: 20 }).take("k"))).toMatchObject({ code: "BACKEND_TIMEOUT" });
  });

  it.each([
    ["allow", [true, true, true]],
    ["deny", [false, false, false]],
    ["local", [true, true, false]],
  ] as const)("onFailure %j decides about the whole take", async (onFailure, expected) => {
    for (const client of [dead, hung]) {
      const limits = limitsOn(client, { onFailure, timeoutMs: 20 });
      const taken = [];
      for (const day of [8, 8, 8]) taken.push(await limits.take({ burst: "ip", day: "user" }, { day }));
      expect(taken.map(({ allowed }) => allowed)).toEqual(expected);
      for (const { decisions } of taken) {
        expect(decisions.burst.degraded && decisions.day.degraded).toBe(true);
      }
      await taken[0]!.refund();
      if (onFailure === "local") expect((await limits.take({ day: "user" }, { day: 12 })).allowed).toBe(true);
    }
  });

  it("a refund gives back to Redis what that has counted, or fails, and never to Local in its place", async () => {
    let isOut = false;
    const flaky: RedisClient = {
      async sendCommand([command, ...args]: string[]) {
        if (isOut) throw new Error("ECONNREFUSED");
        return redis.client.call(command!, ...args);
      },
    };
    const limits = limitsOn(flaky, { onFailure: "local" });
    const before = await limits.take("user");
    isOut = true;
    await limits.take("user");
    expect(await failureOf(before.refund())).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    expect((await limits.limiter("day").get("user")).total).toBe(1);
    isOut = false;
    expect((await limits.limiter("day").get("user")).total).toBe(1);
  });

  it("Hybrid decides by Local, keeps the take whole, and reports it when Redis is back", async () => {
    let isOut = true;
    const flaky: RedisClient = {
      async sendCommand([command, ...args]: string[]) {
        if (isOut) throw new Error("ECONNREFUSED");
        return redis.client.call(command!, ...args);
      },
    };
    const provider = createHybridProvider(flaky, { timeoutMs: 5_000 });
    opened.push(provider);
    const limits = createLimits(provider, DEFINITIONS);
    // The breaker opens with the fifth failure; until then Redis may have counted what failed, so nothing is reported.
    for (let i = 0; i < 5; i++) await limits.take({ burst: "warm" });
    const taken = await Promise.all(
      Array.from({ length: 12 }, () => limits.take({ burst: "ip", day: "user" }, { day: 2 })),
    );
    expect(taken.filter(({ allowed }) => allowed)).toHaveLength(10);
    expect(taken.every(({ decisions }) => decisions.day.degraded)).toBe(true);
    isOut = false;
    await expect.poll(async () => (await redis.client.keys("*day*user*")).length).toBeGreaterThan(0);
    expect((await limits.limiter("day").get("user")).total).toBe(20);
  });
});

describe("on Hybrid", () => {
  it("reports what a policy decided about takes that Redis refused, suppressed calls that it denied as declined", async () => {
    let refusal: string | undefined;
    const flaky: RedisClient = {
      async sendCommand([command, ...args]: string[]) {
        if (refusal !== undefined) throw new Error(refusal);
        return redis.client.call(command!, ...args);
      },
    };
    const provider = createHybridProvider(flaky, { timeoutMs: 30_000, onEvent: false });
    opened.push(provider);
    const limits = createLimits(provider, DEFINITIONS);
    refusal = "OOM command not allowed when used memory > 'maxmemory'.";
    // The breaker opens with the fifth failure, and then refuses too.
    for (let i = 0; i < 12; i++) await limits.take("k", { day: 2, tokens: 3 });
    refusal = undefined;
    await expect.poll(() => provider.stats().unconfirmedKeys, { timeout: 5_000 }).toBe(0);
    const on = limitsOn(redis.client);
    expect((await on.limiter("day").get("k")).total).toBe(20);
    expect(await on.limiter("tokens").get("k")).toMatchObject({ total: 36, declined: 6 });
    // What fails in any other way may have been counted.
    refusal = "socket hang up";
    await limits.take("other");
    refusal = undefined;
    await provider.close();
    expect((await on.limiter("day").get("other")).total).toBe(0);
  });

  it("takes from the leases of all limits without asking Redis, and denies without asking", async () => {
    const provider = createHybridProvider(redis.client, { timeoutMs: 30_000 });
    opened.push(provider);
    const limits = createLimits(provider, {
      burst: { limit: 1_000_000, windowMs: seconds(1) },
      day: { limit: 2_000_000, windowMs: hours(24), bucketMs: minutes(1) },
    });
    const until = async (isValue: (taken: unknown) => boolean) => {
      for (let i = 0; i < 2_000; i++) {
        const taken = limits.take("k");
        if (isValue(taken)) return;
        await taken;
      }
      throw new Error("it always asked Redis");
    };
    await until((taken) => !(taken instanceof Promise));
    const taken = limits.take("k");
    expect(taken).not.toBeInstanceOf(Promise);
    expect(await taken).toMatchObject({ allowed: true });
    await provider.close();
    const counted = createLimits(createRedisProvider(redis.client, { timeoutMs: 30_000 }), {
      burst: { limit: 1_000_000, windowMs: seconds(1) },
      day: { limit: 2_000_000, windowMs: hours(24), bucketMs: minutes(1) },
    });
    const { total } = await counted.limiter("day").get("k");
    expect(total).toBeGreaterThan(1);
  });

  it("counts what a take is settled to after it was settled to nothing, which forgets the key", async () => {
    const provider = createHybridProvider(redis.client, { timeoutMs: 30_000 });
    opened.push(provider);
    const limits = createLimits(provider, DEFINITIONS);
    const taken = await limits.take({ day: "k" });
    await taken.settle({ day: 0 });
    expect((await limits.limiter("day").get("k")).total).toBe(0);
    await taken.settle({ day: 3 });
    expect((await limits.limiter("day").get("k")).total).toBe(3);
  });

  it("a refund while Redis is away gives back what Redis has not been told of, and says how much that was", async () => {
    let isOut = false;
    const flaky: RedisClient = {
      async sendCommand([command, ...args]: string[]) {
        if (isOut) throw new Error("ECONNREFUSED");
        return redis.client.call(command!, ...args);
      },
    };
    // With one report in an hour, so that hits stay here.
    const provider = createHybridProvider(flaky, { timeoutMs: 30_000, syncIntervalMs: hours(1) });
    opened.push(provider);
    const limits = createLimits(provider, { all: { rate: perHour(50), windowMs: hours(24), bucketMs: minutes(1) } });
    const first = await limits.take("k", 5);
    const all = limits.limiter("all");
    await all.inc("k", perHour(50));
    const here = limits.take("k", 2);
    expect(here).not.toBeInstanceOf(Promise);
    isOut = true;
    const failure = await failureOf(Promise.resolve(first.refund()));
    expect(failure).toMatchObject({ code: "BACKEND_UNAVAILABLE", message: expect.stringMatching(/gave back 2 of 5/) });
    isOut = false;
    await first.refund();
    expect((await all.get("k")).total).toBe(5 + 1);
  });

  it("takes a limit for used by the takes that were admitted only", async () => {
    const provider = createHybridProvider(redis.client, { timeoutMs: 30_000 });
    opened.push(provider);
    const limits = createLimits(provider, {
      wide: { limit: 20, windowMs: hours(1), bucketMs: minutes(1) },
      tight: { limit: 3, windowMs: hours(1), bucketMs: minutes(1) },
    });
    // So that this process knows the key before Redis decides.
    await limits.limiter("wide").inc("k", perHour(20));
    for (let i = 0; i < 8; i++) await limits.take("k");
    const { used } = limits.limiter("wide").getEstimate("k")!;
    expect(used).toBe((await limits.limiter("wide").get("k")).total);
  });

  it("counts every admitted take once in each limit, with other processes beside it", async () => {
    const providers = [1, 2, 3].map(() => createHybridProvider(redis.client, { timeoutMs: 30_000 }));
    opened.push(...providers);
    const definitions = {
      wide: { limit: 100_000, windowMs: hours(1), bucketMs: minutes(1) },
      tight: { limit: 150, windowMs: hours(1), bucketMs: minutes(1) },
    };
    const fleet = providers.map((provider) => createLimits(provider, definitions));
    let admitted = 0;
    const call = async (member: number) => {
      for (let i = 0; i < 40; i++) {
        const taken = await fleet[member]!.take("k", { wide: 3 });
        if (taken.allowed) admitted++;
      }
    };
    await Promise.all([0, 1, 2].flatMap((member) => [call(member), call(member)]));
    expect(admitted).toBeLessThanOrEqual(150);
    await Promise.all(providers.map((provider) => provider.close()));
    const counted = createLimits(createRedisProvider(redis.client, { timeoutMs: 30_000 }), definitions);
    expect((await counted.limiter("tight").get("k")).total).toBe(admitted);
    expect((await counted.limiter("wide").get("k")).total).toBe(3 * admitted);
    // Leases may strand some, but not most of it.
    expect(admitted).toBeGreaterThan(100);
  });
});

describe("in a Cluster", () => {
  let cluster: RedisCluster;
  const clients: Record<string, OpenClient> = {};

  beforeAll(async () => {
    cluster = await RedisCluster.start();
  });

  afterAll(async () => {
    for (const { close } of Object.values(clients)) await close();
    await cluster.stop();
  });

  it.each(["ioredis, Cluster", "node-redis, Cluster"])(
    "keys of other slots are one take too, with %s",
    async (name) => {
      clients[name] ??= await MAIN_CLIENTS[name]!({ server: undefined as never, cluster });
      const limits = limitsOn(clients[name].client, { prefix: name.replace(", ", "-"), clock: manualClock(1_000_000) });
      const keys = { burst: "203.0.113.9", day: "user-1", tokens: "org-7" };
      const taken = await limits.take(keys, { tokens: 60 });
      expect(taken).toMatchObject({ allowed: true, deniedBy: undefined });
      const denied = await limits.take(keys, { day: 20 });
      expect(denied).toMatchObject({ allowed: false, deniedBy: "day" });
      expect(denied.decisions.burst).toMatchObject({ allowed: true, remaining: 9 });
      expect((await limits.limiter("burst").get(keys.burst)).total).toBe(1);
      expect(await limits.limiter("tokens").get(keys.tokens)).toMatchObject({ total: 61, declined: 1 });
      await taken.settle({ tokens: 40 });
      expect((await limits.limiter("tokens").get(keys.tokens)).accepted).toBe(40);
      await taken.refund();
      for (const limit of ["burst", "day"] as const) {
        expect((await limits.limiter(limit).get(keys[limit])).total).toBe(0);
      }
    },
  );

  it.each(["ioredis, Cluster", "node-redis, Cluster"])(
    "takes of one slot and of several share scripts on the server's clock, with %s",
    async (name) => {
      clients[name] ??= await MAIN_CLIENTS[name]!({ server: undefined as never, cluster });
      const prefix = `shared-${name.replace(", ", "-")}`;
      const provider = createRedisProvider(clients[name].client, { timeoutMs: 30_000, prefix });
      opened.push(provider);
      const day = { windowMs: hours(24), bucketMs: minutes(1) };
      const limits = createLimits(provider, { wide: { limit: 1_000, ...day }, tight: { limit: 20, ...day } });
      const taken = await Promise.all(
        Array.from({ length: 60 }, (_, i) => {
          const wide = `user-${i % 3}`;
          return i % 2 === 0 ? limits.take({ wide }) : limits.take({ wide, tight: "all" });
        }),
      );
      expect(taken.filter(({ allowed }) => allowed)).toHaveLength(30 + 20);
      const users = await Promise.all([0, 1, 2].map((user) => limits.limiter("wide").get(`user-${user}`)));
      expect(users.reduce((sum, { total }) => sum + total, 0)).toBe(30 + 20);
      expect(provider.stats().scripts).toBeLessThan(60 + 30);
    },
  );
});
