// What SYNC makes of a report, whoever sends it and however often.

import { perSecond } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { describe, expect, it } from "vitest";
import type { SyncArguments } from "../../src/redis/lua.generated.ts";
import { KEYS, LEASE_MS, LIMIT, RATE, SUPPRESSED_KEYS, sendReport, useReports, WINDOW } from "../support/reports.ts";
import { BUCKETS_OF_CHUNK } from "../support/stored-state.ts";

const reports = useReports();
const { redis, sync, openRedis } = reports;

it("a report that comes twice is refused, and counted once", async () => {
  const report = { report: 2, hits: [{ report: 2, ageMs: 5, count: 3, declined: 0 }], wanted: 2 };
  expect(await sync(report)).toMatchObject({ total: 3, granted: 2 });
  await expect(sync(report)).rejects.toThrow(/^STALE/);
  expect((await openRedis().get("k")).total).toBe(3);
});

it("a report that a later one has overtaken is refused", async () => {
  await sync({ report: 4 });
  await sync({ report: 6, held: 0, hits: [{ report: 6, ageMs: 0, count: 1, declined: 0 }] });
  await expect(sync({ report: 4, hits: [{ report: 4, ageMs: 0, count: 1, declined: 0 }] })).rejects.toThrow(/^STALE/);
  expect((await openRedis().get("k")).total).toBe(1);
});

it("hits that come again with the next report, because the answer was lost, are counted once", async () => {
  const hit = { report: 2, ageMs: 5, count: 3, declined: 0 };
  await sync({ report: 2, hits: [hit] });
  expect(await sync({ report: 4, hits: [hit, { ...hit, report: 4, count: 1 }] })).toMatchObject({ total: 4 });
});

it("what was counted for calls that waited is counted once, though the process reports it in case", async () => {
  expect(await sync({ report: 2, asked: 1, needed: 2 })).toMatchObject({ counted: 2, total: 2 });
  const inCase = { report: 3, ageMs: 5, count: 2, declined: 0 };
  reports.clock.advance(50);
  // It expires a window after Redis has counted it, and no later.
  const once = { total: 2, buckets: 1, firstExpiresInMs: WINDOW.windowMs - 50 };
  expect(await sync({ report: 4, hits: [inCase] })).toMatchObject(once);
});

it("a report that fails because the list of chunks is none has counted and leased nothing", async () => {
  const [state, list] = KEYS;
  const calls = { rate: perSecond(10), limit: 100 };
  const limiter = openRedis();
  for (let i = 0; i < BUCKETS_OF_CHUNK + 3; i++) {
    reports.clock.advance(WINDOW.bucketMs);
    await limiter.inc("k", calls.rate);
  }
  const stored = await redis.client.getBuffer(state!);
  const hit = { report: 2, ageMs: 0, count: 5, declined: 0 };
  await redis.client.rename(list!, "kept");
  await redis.client.set(list!, "not ours");
  await expect(sync({ ...calls, report: 2, hits: [hit], wanted: 7 })).rejects.toThrow(/^(ERR .*)?WRONGTYPE/);
  await redis.client.rename("kept", list!);
  expect(await redis.client.getBuffer(state!)).toEqual(stored);
  // The process sends the hit again with its next report, and has no lease that it could give back.
  const total = BUCKETS_OF_CHUNK + 3 + 5;
  expect(await sync({ ...calls, report: 4, hits: [hit] })).toMatchObject({ total, leasedByOthers: 0 });
});

it.each([
  // Room for 10.
  { asked: 2, needed: 8, isAlike: true, counted: 8, granted: 0, waits: false },
  { asked: 2, needed: 10, isAlike: true, counted: 10, granted: 0, waits: false },
  { asked: 3, needed: 12, isAlike: true, counted: 9, granted: 0, waits: true },
  { asked: 6, needed: 12, isAlike: true, counted: 6, granted: 0, waits: true },
  { asked: 3, needed: 12, isAlike: false, counted: 0, granted: 10, waits: false },
  { asked: 3, needed: 8, isAlike: false, counted: 8, granted: 0, waits: false },
])("of calls that wait, $asked of $needed in all, alike: $isAlike, are $counted counted", async (example) => {
  const { counted, granted, waits, ...asks } = example;
  const answer = await sync(asks);
  expect(answer).toMatchObject({ counted, granted, total: counted });
  expect(answer.waitMs > 0).toBe(waits);
});

it("what was counted for some of the calls that waited is counted once, though the process reports more", async () => {
  expect(await sync({ report: 2, asked: 3, needed: 15, isAlike: true })).toMatchObject({ counted: 9 });
  const hits = [
    { report: 3, ageMs: 0, count: 6, declined: 0 },
    { report: 3, ageMs: 0, count: 7, declined: 0 },
  ];
  expect(await sync({ report: 4, hits })).toMatchObject({ total: 13 });
  expect(await sync({ report: 6, hits })).toMatchObject({ total: 13 });
});

it("what was counted for one of the calls that waited is counted once, though the process reports more", async () => {
  await sync({ process: "b", hits: [{ report: 2, ageMs: 0, count: LIMIT - 1, declined: 0 }] });
  expect(await sync({ report: 2, asked: 1, needed: 3, isAlike: true })).toMatchObject({ counted: 1 });
  const hits = [{ report: 3, ageMs: 0, count: 3, declined: 0 }];
  expect(await sync({ report: 4, hits })).toMatchObject({ total: LIMIT + 2 });
});

it("of hits that are known in part, only the rest counts, and no more of it is declined than that", async () => {
  expect(await sync({ report: 2, asked: 3, needed: 15, isAlike: true })).toMatchObject({ counted: 9 });
  const hits = [
    { report: 3, ageMs: 0, count: 12, declined: 10 },
    { report: 3, ageMs: 0, count: 5, declined: 1 },
  ];
  expect(await sync({ report: 4, hits })).toMatchObject({ total: 9 + 3 + 5, declined: 3 + 1 });
});

it("what a crashed process had leased stays taken until a window after the lease's time", async () => {
  const absolute = openRedis();
  expect(await sync({ wanted: LIMIT })).toMatchObject({ granted: LIMIT });
  for (const waitMs of [LEASE_MS - 1, 1, WINDOW.windowMs - 1]) {
    reports.clock.advance(waitMs);
    expect(await absolute.inc("k", RATE)).toMatchObject({ allowed: false });
    expect(await sync({ process: "b", report: reports.clock(), wanted: LIMIT })).toMatchObject({
      leasedByOthers: LIMIT,
      granted: 0,
    });
  }
  reports.clock.advance(1);
  expect(await absolute.inc("k", RATE, LIMIT)).toMatchObject({ allowed: true });
});

it("a key that is deleted while a process has a lease forgets all that it counted, and the lease stays taken", async () => {
  const absolute = openRedis();
  await sync({ wanted: 4 });
  for (let i = 0; i < 4; i++) {
    reports.clock.advance(WINDOW.bucketMs);
    await absolute.inc("k", RATE);
  }
  expect(await absolute.delete("k")).toBe(4);
  expect(await redis.client.exists(KEYS[1]!)).toBe(0);
  for (let i = 0; i < 2; i++) {
    reports.clock.advance(WINDOW.bucketMs);
    expect(await absolute.inc("k", RATE, 3)).toMatchObject({ allowed: true });
  }
  expect(await absolute.inc("k", RATE)).toMatchObject({ allowed: false });
  // All that was deleted would have expired by the first of these times.
  for (const [waitMs, total] of [
    [WINDOW.windowMs - 2 * WINDOW.bucketMs, 6],
    [WINDOW.bucketMs, 3],
  ] as const) {
    reports.clock.advance(waitMs);
    expect((await absolute.get("k")).total).toBe(total);
  }
});

describe("headroom, the room between the capacity and the hard limit,", () => {
  const SHED = { suppressionCacheMs: 100, hardLimit: 15 };
  const hits = (count: number) => [{ report: 2, ageMs: 0, count, declined: 0 }];

  it("is granted to one process whole, and to others in equal parts of half of it", async () => {
    expect(await sync({ ...SHED, hits: hits(LIMIT), wantedHeadroom: 2 })).toMatchObject({
      grantedHeadroom: 2,
      freeHeadroom: 3,
    });
    expect(await sync({ ...SHED, report: 4, heldHeadroom: 1, wantedHeadroom: 9 })).toMatchObject({
      grantedHeadroom: 4,
      freeHeadroom: 0,
    });
    expect(await sync({ ...SHED, report: 6, heldHeadroom: 1 })).toMatchObject({ freeHeadroom: 4 });
    expect(await sync({ ...SHED, process: "b", wantedHeadroom: 9 })).toMatchObject({ grantedHeadroom: 1 });
  });

  it("is granted first to calls that wait, twice what their factor admits", async () => {
    const hardLimit = 100;
    // 20 a second of a rate of 1: the factor is 0.95.
    await sync({ ...SHED, hardLimit, process: "b", hits: hits(20), wantedHeadroom: 1 });
    const asks = { asked: 1, needed: 39, isAlike: true };
    expect(await sync({ ...SHED, hardLimit, ...asks })).toMatchObject({
      counted: 0,
      granted: 0,
      factor: 0.95,
      grantedHeadroom: 1 + 4,
    });
  });

  it("and what is left of the capacity cover a call that weighs more than all headroom", async () => {
    await sync({ ...SHED, hits: hits(4) });
    const asks = { report: 4, asked: 9, needed: 9, isAlike: true };
    expect(await sync({ ...SHED, ...asks })).toMatchObject({ granted: 4, grantedHeadroom: 5, freeHeadroom: 2 });
  });

  it("is taken under the hard limit for everybody else, and of the capacity for nobody", async () => {
    const options = { ...WINDOW, clock: reports.clock, timeoutMs: 30_000, random: () => 0.999_999 };
    const { suppressed } = createRedisProvider(redis.client, options);
    await sendReport(redis.client, reports.clock(), { ...SHED, hits: hits(8), wantedHeadroom: 3 }, SUPPRESSED_KEYS);
    expect(await suppressed.inc("k", RATE, 2)).toMatchObject({ outcome: "allowed", remaining: 0 });
    expect(await suppressed.inc("k", RATE, 2)).toMatchObject({ outcome: "suppressed", allowed: true });
    expect(await suppressed.inc("k", RATE)).toMatchObject({ allowed: false, suppressionFactor: 1 });
    // When it has come back, there is room again.
    await sendReport(redis.client, reports.clock(), { ...SHED, report: 4 }, SUPPRESSED_KEYS);
    expect(await suppressed.inc("k", RATE, 3)).toMatchObject({ allowed: true });
    expect(await suppressed.inc("k", RATE)).toMatchObject({ allowed: false, suppressionFactor: 1 });
  });

  it("of a crashed process is free again when its lease is gone", async () => {
    const options = { ...WINDOW, clock: reports.clock, timeoutMs: 30_000, random: () => 0.999_999 };
    const { suppressed } = createRedisProvider(redis.client, options);
    await sendReport(redis.client, reports.clock(), { ...SHED, wantedHeadroom: 3 }, SUPPRESSED_KEYS);
    reports.clock.advance(LEASE_MS + WINDOW.windowMs - 1);
    expect(await suppressed.inc("k", RATE, LIMIT)).toMatchObject({ outcome: "allowed" });
    expect(await suppressed.inc("k", RATE, 3)).toMatchObject({ allowed: false, suppressionFactor: 1 });
    reports.clock.advance(1);
    expect(await suppressed.inc("k", RATE, 3)).toMatchObject({ outcome: "suppressed", allowed: true });
  });
});

it("a rate that is not new leaves the key the one that others have given it since", async () => {
  const absolute = openRedis();
  await absolute.inc("k", perSecond(5));
  await sync({ rate: RATE, rateIsNew: false });
  expect((await absolute.get("k")).limit).toBe(50);
  await sync({ rate: RATE, rateIsNew: true, report: 4 });
  expect((await absolute.get("k")).limit).toBe(LIMIT);
});

it("what a process keeps of its lease is taken when it asks for more", async () => {
  await sync({ wanted: 6 });
  expect(await sync({ report: 4, held: 6, wanted: LIMIT })).toMatchObject({ granted: LIMIT - 6 });
});

it.each([
  ["short", "long"],
  ["long", "short"],
])("a lease that is gone is taken no longer, and a longer one still is (%s, then %s)", async (...order) => {
  const leasesMs: Record<string, number> = { short: LEASE_MS, long: 3 * LEASE_MS };
  for (const process of order) await sync({ process, leaseMs: leasesMs[process]!, wanted: 2 });
  reports.clock.advance(LEASE_MS + WINDOW.windowMs - 1);
  expect(await sync({ process: "b" })).toMatchObject({ leasedByOthers: 4 });
  reports.clock.advance(1);
  expect(await openRedis().isAllowed("k", LIMIT - 1, RATE)).toMatchObject({ allowed: false });
  expect(await sync({ process: "b", report: 4 })).toMatchObject({ leasedByOthers: 2 });
  // And nothing is kept of the process that had the lease.
  expect(await redis.client.hkeys(KEYS[2]!)).toEqual(["long"]);
});

it("leases stay taken where Redis has evicted the state that had their sum", async () => {
  await sync({ wanted: 4 });
  await redis.client.del(KEYS[0]!);
  expect(await sync({ process: "b", wanted: LIMIT })).toMatchObject({ leasedByOthers: 4 });
});

it("Redis keeps a key as long as a lease of it is taken", async () => {
  await openRedis().inc("k", RATE);
  const leaseMs = 100_000;
  await sync({ leaseMs, wanted: 2 });
  expect(await redis.client.pttl(KEYS[0]!)).toBeGreaterThan(leaseMs + WINDOW.windowMs);
});

it("the answer tells of the two oldest buckets, and how much accepted usage each frees", async () => {
  const hits = [300, 200, 100].map((ageMs, i) => ({ report: 2, ageMs, count: 3 + i, declined: 1 + i }));
  const [first, second, third] = hits as [(typeof hits)[0], (typeof hits)[0], (typeof hits)[0]];
  expect(await sync({ report: 2, hits: [first] })).toMatchObject({ buckets: 1, firstAccepted: 2 });
  const two = { firstExpiresInMs: 9_700, firstAccepted: 2, secondExpiresInMs: 9_800, secondAccepted: 2 };
  expect(await sync({ report: 4, hits: [{ ...second, report: 4 }] })).toMatchObject({ buckets: 2, ...two });
  expect(await sync({ report: 6, hits: [{ ...third, report: 6 }] })).toMatchObject({ buckets: 3, ...two });
});

it("the answer passes over a bucket that has lost all it counted, and later hits count as before", async () => {
  const { suppressed } = createRedisProvider(redis.client, { ...WINDOW, clock: reports.clock, timeoutMs: 30_000 });
  const report = (values: Partial<SyncArguments>) => sendReport(redis.client, reports.clock(), values, SUPPRESSED_KEYS);
  const hit = { report: 2, declined: 0 };
  await report({
    hits: [
      { ...hit, ageMs: 500, count: 2 },
      { ...hit, ageMs: 400, count: 3 },
      { ...hit, ageMs: 300, count: 5, declined: 5 },
      { ...hit, ageMs: 200, count: 4, declined: 4 },
    ],
  });
  expect(await suppressed.adjust("k", -3)).toBe(11);
  const oldest = { buckets: 3, firstAccepted: 2, secondExpiresInMs: 9_700, secondAccepted: 0 };
  expect(await report({ report: 4 })).toMatchObject({ total: 11, ...oldest });
  const later = await report({ report: 6, hits: [{ ...hit, report: 6, ageMs: 0, count: 1 }] });
  expect(later).toMatchObject({ total: 12, ...oldest });
});

it("the answer passes over the only bucket between the oldest and the newest, if that has lost all it counted", async () => {
  const { suppressed } = createRedisProvider(redis.client, { ...WINDOW, clock: reports.clock, timeoutMs: 30_000 });
  const report = (values: Partial<SyncArguments>) => sendReport(redis.client, reports.clock(), values, SUPPRESSED_KEYS);
  await report({
    hits: [
      { report: 2, ageMs: 500, count: 2, declined: 0 },
      { report: 2, ageMs: 400, count: 3, declined: 0 },
      { report: 2, ageMs: 300, count: 5, declined: 5 },
    ],
  });
  expect(await suppressed.adjust("k", -3)).toBe(7);
  const two = { buckets: 2, firstExpiresInMs: 9_500, firstAccepted: 2, secondExpiresInMs: 9_700, secondAccepted: 0 };
  for (const number of [4, 6]) expect(await report({ report: number })).toMatchObject({ total: 7, ...two });
});

it("the answer passes over a chunk of buckets that have lost all they counted, and later hits count as before", async () => {
  const { suppressed } = createRedisProvider(redis.client, { ...WINDOW, clock: reports.clock, timeoutMs: 30_000 });
  const report = (values: Partial<SyncArguments>) => sendReport(redis.client, reports.clock(), values, SUPPRESSED_KEYS);
  const hits = Array.from({ length: BUCKETS_OF_CHUNK + 4 }, (_, i) => {
    const isAccepted = i <= BUCKETS_OF_CHUNK;
    return { report: 2, ageMs: 2_000 - 100 * i, count: 1, declined: isAccepted ? 0 : 1 };
  });
  await report({ hits });
  expect(await redis.client.exists(SUPPRESSED_KEYS[1]!)).toBe(1);
  expect(await suppressed.adjust("k", -BUCKETS_OF_CHUNK)).toBe(4);
  const second = 10_000 - hits[BUCKETS_OF_CHUNK + 1]!.ageMs;
  const oldest = { total: 4, buckets: 3, firstAccepted: 1, secondExpiresInMs: second, secondAccepted: 0 };
  for (const number of [4, 6]) expect(await report({ report: number })).toMatchObject(oldest);
  // They have been dropped, so that no later report reads them.
  expect(await redis.client.exists(SUPPRESSED_KEYS[1]!)).toBe(0);
  expect(await suppressed.get("k")).toMatchObject({ total: 4, declined: 3 });
});

it.each([
  { agesMs: [5_000, 4_000, 500, 200], waitMs: 700, recent: 4, was: "older than the last second" },
  { agesMs: [5_000, 500, 400, 200], waitMs: 0, recent: 9, was: "of the last second" },
])(
  "the answer passes over a bucket $was that has lost all it counted, and the rate of that second stays true",
  async (example) => {
    const options = { ...WINDOW, hardLimitFactor: 10, clock: reports.clock, timeoutMs: 30_000 };
    const { suppressed } = createRedisProvider(redis.client, options);
    const report = (values: Partial<SyncArguments>) =>
      sendReport(redis.client, reports.clock(), values, SUPPRESSED_KEYS);
    const counts = [LIMIT, 3, 5, 4];
    await report({
      hits: example.agesMs.map((ageMs, i) => ({
        report: 2,
        ageMs,
        count: counts[i]!,
        declined: i < 2 ? 0 : counts[i]!,
      })),
      ...{ asked: 1, needed: 1, suppressionCacheMs: 0, hardLimit: 10 * LIMIT },
    });
    expect(await suppressed.adjust("k", -3)).toBe(LIMIT + 9);
    await report({ report: 4 });
    reports.clock.advance(example.waitMs);
    // Of a rate of 1 per second.
    expect(await suppressed.getSuppressionFactor("k")).toBe(1 - 1 / example.recent);
  },
);

it("a hit that is a little older than the newest of its bucket lets that expire no earlier", async () => {
  reports.clock.advance(WINDOW.bucketMs - 1);
  const hit = { report: 2, count: 1, declined: 0 };
  await sync({ process: "b", hits: [{ ...hit, ageMs: 0 }] });
  const one = { total: 2, buckets: 1, firstExpiresInMs: WINDOW.windowMs };
  expect(await sync({ hits: [{ ...hit, ageMs: 50 }] })).toMatchObject(one);
});

it("the answer to a single hit tells when it expires", async () => {
  const hits = [{ report: 2, ageMs: 300, count: 1, declined: 0 }];
  expect(await sync({ hits })).toMatchObject({ buckets: 1, firstExpiresInMs: 9_700, firstAccepted: 1 });
});

it("a factor that was computed for the first call to a key is kept, as on Local", async () => {
  const call = { asked: LIMIT + 2, needed: LIMIT + 2, suppressionCacheMs: 1_000, hardLimit: 2 * LIMIT };
  expect(await sync(call)).toMatchObject({ factor: 0, factorLeftMs: 1_000 });
  reports.clock.advance(400);
  expect(await sync({ ...call, report: 4 })).toMatchObject({ factor: 0, factorLeftMs: 600 });
});

it("a factor isn't computed for a call over the hard limit, which is denied without one", async () => {
  const call = { asked: LIMIT + 2, needed: LIMIT + 2, suppressionCacheMs: 1_000, hardLimit: LIMIT + 1 };
  expect((await sync(call)).factorLeftMs).toBe(-1);
});

it("a factor that was computed for the first call to a key is forgotten when that call has expired, reported or not", async () => {
  const call = { suppressionCacheMs: 100_000, hardLimit: 15, asked: 12, needed: 12, isAlike: true };
  expect(await sync(call)).toMatchObject({ total: 0, factorLeftMs: 100_000 });
  reports.clock.advance(WINDOW.windowMs - 1);
  expect(await sync({ ...call, report: 4 })).toMatchObject({ factorLeftMs: 100_000 - WINDOW.windowMs + 1 });
  reports.clock.advance(1);
  const hits = [{ report: 6, ageMs: WINDOW.windowMs, count: 12, declined: 0 }];
  expect(await sync({ ...call, report: 6, hits })).toMatchObject({ total: 0, factorLeftMs: 100_000 });
});

it("a factor is kept for longer than a window, while anything is counted", async () => {
  const call = { suppressionCacheMs: 100_000, hardLimit: 15, asked: 4, needed: 4 };
  const hit = { report: 2, ageMs: 0, declined: 0 };
  expect(await sync({ ...call, hits: [{ ...hit, count: LIMIT }] })).toMatchObject({ factorLeftMs: 100_000 });
  reports.clock.advance(WINDOW.windowMs - 1_000);
  await sync({ process: "b", hits: [{ ...hit, count: 7 }] });
  reports.clock.advance(2_000);
  const later = await sync({ ...call, report: 4 });
  expect(later).toMatchObject({ total: 7, factorLeftMs: 100_000 - WINDOW.windowMs - 1_000 });
});

it("a factor is forgotten when all has expired that it was computed for, though the report brings new hits", async () => {
  const call = { suppressionCacheMs: 100_000, hardLimit: 15, asked: 4, needed: 4 };
  const hits = [{ report: 2, ageMs: 0, count: LIMIT, declined: 0 }];
  await sync({ ...call, hits });
  reports.clock.advance(WINDOW.windowMs);
  const later = await sync({ ...call, report: 4, hits: [{ ...hits[0]!, report: 4 }] });
  expect(later).toMatchObject({ total: LIMIT, factorLeftMs: 100_000 });
});

it("a factor that a report has forgotten is forgotten for all calls that come later", async () => {
  const options = { ...WINDOW, suppressionCacheMs: 100_000, clock: reports.clock, timeoutMs: 30_000 };
  const { suppressed } = createRedisProvider(redis.client, options);
  const report = (values: Partial<SyncArguments>) =>
    sendReport(
      redis.client,
      reports.clock(),
      { suppressionCacheMs: 100_000, hardLimit: 15, ...values },
      SUPPRESSED_KEYS,
    );
  expect(await report({ asked: 12, needed: 12 })).toMatchObject({ total: 0, factor: 0, factorLeftMs: 100_000 });
  reports.clock.advance(WINDOW.windowMs);
  await report({ report: 4 });
  await suppressed.inc("k", RATE, LIMIT);
  // 10 in the last second, of a rate of 1.
  expect(await suppressed.inc("k", RATE)).toMatchObject({ suppressionFactor: 0.9 });
});

it("a call that finds no room is told when enough of the oldest buckets have expired for it, and no later", async () => {
  const hits = [
    { report: 2, ageMs: 300, count: 6, declined: 0 },
    { report: 2, ageMs: 100, count: 4, declined: 0 },
  ];
  expect(await sync({ hits, asked: 3, needed: 3 })).toMatchObject({ counted: 0, waitMs: 9_700, freed: 6 });
  expect(await sync({ report: 4, asked: 7, needed: 7 })).toMatchObject({ counted: 0, waitMs: 9_900, freed: 10 });
  expect(await sync({ report: 6, asked: 1, needed: 1 })).toMatchObject({ counted: 0, waitMs: 9_700, freed: 6 });
  // No call waits here, though more is used than the limit is.
  expect(await sync({ report: 8, limit: 5 })).toMatchObject({ waitMs: 0, freed: 0 });
});

it("a report that tells nothing, of a key that has used nothing, leaves nothing in Redis", async () => {
  await sync({});
  expect(await redis.client.dbsize()).toBe(0);
});

describe("hits of a process that Redis has not heard of for long", () => {
  const agesOf = (...ages: readonly [ageMs: number, count: number, declined: number][]) =>
    ages.map(([ageMs, count, declined]) => ({ report: 2, ageMs, count, declined }));

  /** What is counted, and after how long each part of it has expired. */
  async function expiries(): Promise<readonly (readonly [afterMs: number, total: number, declined: number])[]> {
    const all: [number, number, number][] = [];
    for (let afterMs = 0; afterMs <= WINDOW.windowMs; afterMs += 500) {
      const { total, declined } = await openRedis().get("k");
      if (total !== all.at(-1)?.[1]) all.push([afterMs, total, declined]);
      reports.clock.advance(500);
    }
    return all;
  }

  it("count from when they were made, between the hits of others", async () => {
    await sync({ process: "b", hits: agesOf([6_000, 1, 0], [3_000, 2, 1], [0, 4, 0]) });
    const late = agesOf([5_000, 8, 3], [3_000, 16, 0]);
    expect(await sync({ hits: late })).toMatchObject({
      ...{ total: 31, declined: 4, buckets: 3 },
      ...{ firstExpiresInMs: 4_000, firstAccepted: 1, secondExpiresInMs: 5_000, secondAccepted: 5 },
    });
    expect(await expiries()).toEqual([
      [0, 31, 4],
      [4_000, 30, 4],
      [5_000, 22, 1],
      [7_000, 4, 0],
      [10_000, 0, 0],
    ]);
  });

  it("count between hits that are many, and once", async () => {
    await sync({ process: "b", hits: agesOf([9_000, 1, 0], [6_000, 2, 1], [3_000, 4, 2], [0, 8, 0]) });
    expect(await sync({ hits: agesOf([4_000, 16, 3]) })).toMatchObject({ total: 31, declined: 6 });
    expect(await expiries()).toEqual([
      [0, 31, 6],
      [1_000, 30, 6],
      [4_000, 28, 5],
      [6_000, 12, 2],
      [7_000, 8, 0],
      [10_000, 0, 0],
    ]);
  });

  it("share a bucket with what is in their cell of the time grid, and live as long as the newest of these", async () => {
    await sync({ process: "b", hits: agesOf([5_100, 1, 0], [0, 1, 0]) });
    const answer = await sync({ hits: agesOf([5_040, 2, 0], [5_010, 4, 0]) });
    // 5 100 ms ago a cell began, which has all three.
    expect(answer).toMatchObject({ total: 8, buckets: 2, firstExpiresInMs: 4_990, firstAccepted: 7 });
  });

  it("leave no factor that was computed without them", async () => {
    const call = { asked: LIMIT + 2, needed: LIMIT + 2, suppressionCacheMs: 1_000, hardLimit: 2 * LIMIT };
    await sync({ ...call, hits: agesOf([0, 2, 0]) });
    reports.clock.advance(100);
    const late = agesOf([5_000, 2, 0]).map((hit) => ({ ...hit, report: 4 }));
    expect(await sync({ ...call, report: 4, hits: late })).toMatchObject({ factorLeftMs: 1_000 });
  });

  it("count no more than the largest total leaves room for, and the key is answered about as before", async () => {
    const most = Number.MAX_SAFE_INTEGER;
    await sync({ process: "b", hits: agesOf([0, most - 1, 0]) });
    expect(await sync({ hits: agesOf([5_000, 7, 2]) })).toMatchObject({ total: most, declined: 2 });
    expect(await sync({ process: "c", hits: agesOf([3_000, most, most]) })).toMatchObject({
      ...{ total: most, declined: 2 ** 52 },
    });
    expect(await expiries()).toEqual([
      [0, most, 2 ** 52],
      [5_000, most - 7, 2 ** 52 - 2],
      [7_000, 2 ** 52 - 6, 0],
      [10_000, 0, 0],
    ]);
  });

  it("count where Redis has evicted the list of chunks, and with them what is left", async () => {
    // The oldest bucket, two chunks, two inline buckets and the newest one.
    const ages = Array.from({ length: 2 * BUCKETS_OF_CHUNK + 4 }, (_, i) => 9_900 - 200 * i);
    await sync({ process: "b", hits: ages.flatMap((ageMs) => agesOf([ageMs, 1, ageMs < 6_600 ? 1 : 0])) });
    // The oldest expires, so the first chunk leaves the list.
    reports.clock.advance(100);
    expect(await sync({ process: "b", report: 4 })).toMatchObject({ total: 2 * BUCKETS_OF_CHUNK + 3 });
    expect(await redis.client.llen(KEYS[1]!)).toBe(1);
    await redis.client.del(KEYS[1]!);
    const left = { total: BUCKETS_OF_CHUNK + 3 + 5, declined: 3 };
    expect(await sync({ hits: agesOf([9_000, 5, 0]) })).toMatchObject(left);
    expect(await openRedis().get("k")).toMatchObject(left);
  });

  it("change nothing where they have expired, not even a factor that is kept", async () => {
    const call = { asked: LIMIT + 2, needed: LIMIT + 2, suppressionCacheMs: 1_000, hardLimit: 2 * LIMIT };
    await sync({ ...call, hits: agesOf([0, 2, 0]) });
    reports.clock.advance(100);
    const late = agesOf([WINDOW.windowMs, 2, 0]).map((hit) => ({ ...hit, report: 4 }));
    expect(await sync({ ...call, report: 4, hits: late })).toMatchObject({ total: 2, factorLeftMs: 900 });
  });

  it("count before a single hit that came after them", async () => {
    await sync({ process: "b", hits: agesOf([0, 1, 0]) });
    await sync({ hits: agesOf([5_000, 2, 0]) });
    expect(await expiries()).toEqual([
      [0, 3, 0],
      [5_000, 1, 0],
      [10_000, 0, 0],
    ]);
  });
});
