// How Redis counts leases, and what it grants: several processes that report about one key.

import { perSecond } from "trypema";
import { manualClock } from "trypema/testing";
import { describe, expect, it } from "vitest";
import { KEYS, LEASE_MS, LIMIT, RATE, sendReport, useReports, WINDOW } from "../support/reports.ts";

const reports = useReports();
const { redis, sync, openRedis } = reports;
const [STATE, , LEASES] = KEYS as [string, string, string];

const hit = (count: number, declined = 0, report = 2) => ({ report, ageMs: 0, count, declined });

describe("a lease", () => {
  it("is taken for everybody else, even one of 1, and other processes' reports leave it so", async () => {
    await sync({ wanted: 1 });
    expect(await openRedis().isAllowed("k", LIMIT, RATE)).toMatchObject({ allowed: false });
    expect(await sync({ process: "b", wanted: 2 })).toMatchObject({ leasedByOthers: 1, granted: 2 });
    for (const report of [4, 6]) {
      expect(await sync({ process: "b", held: 2, report })).toMatchObject({ leasedByOthers: 1 });
    }
    expect(await sync({ process: "c", report: 2 })).toMatchObject({ leasedByOthers: 3 });
  });

  it("is taken while processes without one report again and again", async () => {
    await sync({ wanted: 4 });
    for (const report of [2, 4, 6]) await sync({ process: "b", report, hits: [hit(1, 0, report)] });
    expect(await openRedis().inc("k", RATE, 4)).toMatchObject({ allowed: false });
    expect(await openRedis().inc("k", RATE, 3)).toMatchObject({ allowed: true });
  });

  it("is taken when another process has given its own back", async () => {
    await sync({ wanted: 4 });
    await sync({ process: "b", wanted: 1 });
    expect(await sync({ process: "b", report: 4 })).toMatchObject({ leasedByOthers: 4 });
    expect(await openRedis().inc("k", RATE, LIMIT - 3)).toMatchObject({ allowed: false });
    expect(await openRedis().inc("k", RATE, LIMIT - 4)).toMatchObject({ allowed: true });
  });

  it("is taken as long as it would be if none had gone before it, and so is its headroom", async () => {
    const large = { limit: 100, suppressionCacheMs: 100, hardLimit: 150 };
    await sync({ ...large, wanted: 3, wantedHeadroom: 2 });
    const laterMs = 9_500;
    reports.clock.advance(laterMs);
    await sync({ ...large, process: "b", wanted: 5, wantedHeadroom: 4 });
    reports.clock.advance(LEASE_MS + WINDOW.windowMs - laterMs);
    for (const report of [2, 4, 6]) {
      // Nothing else is leased: of 95 and of 46 a quarter is a share.
      const share = { leasedByOthers: 5, granted: 23, grantedHeadroom: 11 };
      const answer = await sync({ ...large, process: "c", report, wanted: 100, wantedHeadroom: 100 });
      expect(answer).toMatchObject(share);
    }
    await sync({ ...large, process: "c", report: 8 });
    reports.clock.advance(laterMs - 1);
    expect(await sync({ ...large, process: "c", report: 10 })).toMatchObject({ leasedByOthers: 5 });
    reports.clock.advance(1);
    const none = { leasedByOthers: 0, freeHeadroom: 150 };
    expect(await sync({ ...large, process: "c", report: 12 })).toMatchObject(none);
  });

  it("gets a sixth of what is free where two other processes have one, and so does headroom", async () => {
    const large = { limit: 100, suppressionCacheMs: 100, hardLimit: 200 };
    for (const process of ["b", "c"]) await sync({ ...large, process, wanted: 2, wantedHeadroom: 2 });
    const answer = await sync({ ...large, wanted: 100, wantedHeadroom: 100 });
    expect(answer).toMatchObject({ granted: Math.floor(96 / 6), grantedHeadroom: Math.floor(96 / 6) });
  });

  it("is shared with the processes that have one, and not with those that have none", async () => {
    await sync({ limit: 100, wanted: 4 });
    for (const report of [4, 6, 8]) await sync({ limit: 100, held: 4, report });
    await sync({ limit: 100, process: "b", hits: [hit(1)] });
    // Half of 95 in two shares, rounded down.
    expect(await sync({ limit: 100, process: "c", wanted: 100 })).toMatchObject({ granted: 23 });
    await sync({ limit: 100, process: "c", report: 4 });
    await redis.client.del(STATE);
    expect(await sync({ limit: 100, process: "d", wanted: 100 })).toMatchObject({ granted: 24 });
  });

  it("of headroom is taken also where Redis has evicted the state, until it is given back", async () => {
    const shed = { suppressionCacheMs: 100, hardLimit: 15 };
    expect(await sync({ ...shed, wantedHeadroom: 2 })).toMatchObject({ grantedHeadroom: 2 });
    await redis.client.del(STATE);
    expect(await sync({ ...shed, process: "b" })).toMatchObject({ freeHeadroom: 15 - 2 });
    await sync({ ...shed, report: 4 });
    await redis.client.del(STATE);
    expect(await sync({ ...shed, process: "b", report: 4 })).toMatchObject({ freeHeadroom: 15 });
  });

  it("of 1 that is given back is taken no longer, even where Redis has evicted the state", async () => {
    await sync({ wanted: 1 });
    await redis.client.del(STATE);
    expect(await sync({ process: "b" })).toMatchObject({ leasedByOthers: 1 });
    await sync({ report: 4 });
    await redis.client.del(STATE);
    expect(await sync({ process: "b" })).toMatchObject({ leasedByOthers: 0 });
  });

  it("is taken no longer because Redis has evicted the state", async () => {
    await sync({ wanted: 4 });
    reports.clock.advance(5_000);
    await redis.client.del(STATE);
    expect(await sync({ process: "b" })).toMatchObject({ leasedByOthers: 4 });
    reports.clock.advance(LEASE_MS + WINDOW.windowMs - 5_000);
    expect(await sync({ process: "b", report: 4 })).toMatchObject({ leasedByOthers: 0 });
  });

  it.each([0, 1])(
    "that Redis has evicted, and not the state, is taken until the first lease is gone (%d counted)",
    async (used) => {
      await sync({ wanted: 2 });
      await sync({ process: "b", leaseMs: 3 * LEASE_MS, wanted: 2 });
      await redis.client.del(LEASES);
      reports.clock.advance(LEASE_MS + WINDOW.windowMs - 1);
      const hits = used === 0 ? [] : [hit(used)];
      expect(await sync({ process: "c", hits })).toMatchObject({ leasedByOthers: 4 });
      reports.clock.advance(1);
      expect(await sync({ process: "c", report: 4 })).toMatchObject({ leasedByOthers: 0 });
      expect(await openRedis().isAllowed("k", LIMIT - used, RATE)).toMatchObject({ allowed: true });
    },
  );

  it("of before a clock was set back is taken no longer than one that is given now", async () => {
    await sync({ wanted: 4 });
    await redis.client.del(STATE);
    reports.clock = manualClock(reports.clock() - 500_000);
    expect(await sync({ process: "b" })).toMatchObject({ leasedByOthers: 4 });
    reports.clock.advance(LEASE_MS + WINDOW.windowMs - 1);
    expect(await sync({ process: "b", report: 4 })).toMatchObject({ leasedByOthers: 4 });
    reports.clock.advance(1);
    expect(await sync({ process: "b", report: 6 })).toMatchObject({ leasedByOthers: 0 });
  });

  it.each([
    ["the server's", undefined, 0],
    ["the callers'", 1_000_000, 60_000],
  ])("is kept by Redis for as long as it is taken, and little longer (by %s clock)", async (_, clockMs, spareMs) => {
    // A bucket of a whole window, so that no machine is too slow to tell the bounds apart.
    const bucketMs = WINDOW.windowMs;
    await sendReport(redis.client, clockMs, { bucketMs, wanted: 2 });
    const takenMs = LEASE_MS + WINDOW.windowMs + spareMs;
    expect(await redis.client.pttl(LEASES)).toBeGreaterThan(takenMs);
    expect(await redis.client.pttl(LEASES)).toBeLessThanOrEqual(takenMs + bucketMs);
  });
});

describe("calls that wait", () => {
  it("are granted what there is, where exactly the first of them fits", async () => {
    const answer = await sync({ asked: LIMIT, needed: LIMIT + 2 });
    expect(answer).toMatchObject({ counted: 0, granted: LIMIT, waitMs: 0 });
  });

  it("are granted what those after the first need, where the first finds no room", async () => {
    await sync({ process: "b", hits: [hit(5)] });
    expect(await sync({ asked: 6, needed: 8, wanted: 5 })).toMatchObject({ counted: 0, granted: 2 });
  });

  it("leave the process no more of the capacity than is free then", async () => {
    expect(await sync({ asked: 4, needed: 4, wanted: LIMIT })).toMatchObject({ counted: 4, granted: 6 });
    await redis.client.flushall();
    expect(await sync({ asked: 3, needed: 12, wanted: 5 })).toMatchObject({ counted: 0, granted: LIMIT });
  });

  it("find the room that declined hits leave", async () => {
    await sync({ process: "b", hits: [hit(9, 4)] });
    expect(await sync({ asked: 5, needed: 5 })).toMatchObject({ counted: 5 });
  });

  it("are told how long the first waits for which nothing was counted", async () => {
    await sync({ process: "b", hits: [{ ...hit(1), ageMs: 300 }] });
    const answer = await sync({ asked: 3, needed: 12, isAlike: true });
    expect(answer).toMatchObject({ counted: 9, waitMs: WINDOW.windowMs, freed: LIMIT });
  });

  it("are told no time where the first weighs more than the limit, and one where it weighs as much", async () => {
    await sync({ process: "b", hits: [hit(1)] });
    expect(await sync({ asked: LIMIT, needed: LIMIT })).toMatchObject({ waitMs: WINDOW.windowMs, freed: 1 });
    expect(await sync({ report: 4, asked: LIMIT + 1, needed: LIMIT + 1 })).toMatchObject({ waitMs: 0, freed: 0 });
  });

  it("find the room of what has expired", async () => {
    await sync({ process: "b", hits: [hit(LIMIT)] });
    reports.clock.advance(WINDOW.windowMs);
    expect(await sync({ asked: LIMIT, needed: LIMIT })).toMatchObject({ counted: LIMIT, total: LIMIT });
  });

  it("are counted once, even a single one, and where nothing was counted for them, what is reported in case counts", async () => {
    expect(await sync({ asked: 1, needed: 1 })).toMatchObject({ counted: 1 });
    expect(await sync({ report: 4, hits: [hit(1, 0, 3)] })).toMatchObject({ total: 1 });
    const denied = { report: 6, asked: LIMIT, needed: LIMIT, hits: [hit(1, 0, 6)] };
    expect(await sync(denied)).toMatchObject({ counted: 0, total: 2 });
    expect(await sync({ report: 8, hits: [hit(2, 0, 7)] })).toMatchObject({ total: 4 });
  });

  it("get nothing while the key is blocked, and are told for how long it is", async () => {
    await openRedis().block("k", 5_000);
    reports.clock.advance(1_000);
    const answer = await sync({ asked: 1, needed: 1, wanted: 5 });
    expect(answer).toMatchObject({ counted: 0, granted: 0, blockedMs: 4_000 });
    reports.clock.advance(4_000);
    expect(await sync({ report: 4, asked: 1, needed: 1 })).toMatchObject({ counted: 1, blockedMs: 0 });
  });
});

describe("headroom", () => {
  const shed = { suppressionCacheMs: 100, hardLimit: 15 };

  it("is a share of what is neither used nor leased under the hard limit", async () => {
    const large = { ...shed, limit: 100, hardLimit: 150 };
    await sync({ ...large, process: "b", wanted: 20, wantedHeadroom: 6 });
    const report = { hits: [hit(40, 10)], held: 5, heldHeadroom: 3, wanted: 99, wantedHeadroom: 99 };
    // Free of the capacity: 100 - 30 - 20 - 5, and above it: 50 - 6 - 3. A quarter of each is a share.
    const answer = await sync({ ...large, ...report });
    expect(answer).toMatchObject({ granted: 11, grantedHeadroom: 10, freeHeadroom: 34 + 31 });
  });

  it("is granted to calls that wait, and nothing to those that are counted", async () => {
    expect(await sync({ ...shed, asked: 2, needed: 2 })).toMatchObject({ counted: 2, granted: 0, grantedHeadroom: 0 });
    expect(await sync({ ...shed, report: 4, asked: 1, needed: 10, isAlike: true })).toMatchObject({
      ...{ counted: 8, granted: 0, grantedHeadroom: 2 },
    });
  });

  it("is granted to calls that wait, and for later ones of what is left then", async () => {
    const asks = { asked: 1, needed: 12, isAlike: true, wantedHeadroom: 9 };
    expect(await sync({ ...shed, ...asks })).toMatchObject({ counted: LIMIT, grantedHeadroom: 5, freeHeadroom: 0 });
  });

  it("is granted to calls that wait even if a factor is kept for no time", async () => {
    const asks = { suppressionCacheMs: 0, asked: 1, needed: 12, isAlike: true };
    expect(await sync({ ...shed, ...asks })).toMatchObject({ counted: LIMIT, grantedHeadroom: 2 });
  });

  it("covers the first of calls that differ, with the rest of the capacity where that isn't enough", async () => {
    await sync({ ...shed, process: "b", hits: [hit(5)] });
    const asks = { asked: 6, needed: 8, report: 4 };
    // 2 for those after the first, and for the first 2 of headroom and 2 of the capacity.
    expect(await sync({ ...shed, ...asks, hardLimit: 12 })).toMatchObject({ granted: 4, grantedHeadroom: 2 });
    await sync({ ...shed, report: 6 });
    expect(await sync({ ...shed, ...asks, report: 8, hardLimit: 100 })).toMatchObject({
      granted: 2,
      grantedHeadroom: 6,
    });
  });

  it("is granted to all calls of a process that is alone, whatever their factor is", async () => {
    await sync({ ...shed, process: "b", hits: [hit(20)] });
    const asks = { asked: 1, needed: 39, isAlike: true, hardLimit: 100 };
    expect(await sync({ ...shed, ...asks })).toMatchObject({ factor: 0.95, grantedHeadroom: 39 });
  });

  it("is granted to nobody where the hard limit is used up", async () => {
    const answer = await sync({ ...shed, hits: [hit(15)], wantedHeadroom: 5 });
    expect(answer).toMatchObject({ grantedHeadroom: 0, freeHeadroom: 0 });
  });

  it("is granted to nobody while the key is blocked", async () => {
    await openRedis().block("k", 5_000);
    expect(await sync({ ...shed, wantedHeadroom: 2 })).toMatchObject({ grantedHeadroom: 0, freeHeadroom: -1 });
    reports.clock.advance(5_000);
    expect(await sync({ ...shed, process: "b" })).toMatchObject({ freeHeadroom: 15 });
  });

  it("of one process stays when another one reports", async () => {
    const large = { ...shed, hardLimit: 30 };
    await sync({ ...large, wantedHeadroom: 2 });
    for (const report of [2, 4]) {
      expect(await sync({ ...large, process: "b", report, wantedHeadroom: 1 })).toMatchObject({ grantedHeadroom: 1 });
    }
    expect(await sync({ ...large, process: "c" })).toMatchObject({ freeHeadroom: 30 - 3 });
  });

  it("of others leaves a call no factor that it has no room for, and one that fits exactly has one", async () => {
    await sync({ ...shed, process: "b", hits: [hit(LIMIT)], wantedHeadroom: 2 });
    const fits = await sync({ ...shed, asked: 3, needed: 3 });
    expect(fits.factorLeftMs).toBe(shed.suppressionCacheMs);
    expect((await sync({ ...shed, report: 4, asked: 4, needed: 4 })).factorLeftMs).toBe(-1);
  });

  it("is taken from the report on that it was granted to, if that tells of nothing else", async () => {
    await sync({ ...shed, process: "b", hits: [hit(LIMIT)] });
    expect(await sync({ ...shed, wantedHeadroom: 2 })).toMatchObject({ grantedHeadroom: 2 });
    expect(await sync({ ...shed, process: "b", report: 4 })).toMatchObject({ freeHeadroom: 3 });
  });
});

it("a report of a single hit that comes twice is refused, and counted once", async () => {
  const report = { hits: [hit(1)] };
  await sync(report);
  await expect(sync(report)).rejects.toThrow(/^STALE/);
  expect((await openRedis().get("k")).total).toBe(1);
});

it("a rate that is not new is that of a key which has none, because it is unknown or only blocked", async () => {
  await sync({ rateIsNew: false, hits: [hit(1)] });
  expect((await openRedis().get("k")).limit).toBe(LIMIT);
  await redis.client.flushall();
  await openRedis().block("k", 5_000);
  await sync({ rate: perSecond(5), rateIsNew: false, hits: [hit(1)] });
  expect((await openRedis().get("k")).limit).toBe(50);
});
