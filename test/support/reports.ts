// Sends Redis reports as hybrid processes do, one at a time, to see what SYNC makes of each.

import type { Redis } from "ioredis";
import { perSecond } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { beforeEach } from "vitest";
import { argumentsOf, fieldsOf } from "../../src/redis/commands.ts";
import { KeyNames } from "../../src/redis/keys.ts";
import { SYNC, type SyncArguments, type SyncReply } from "../../src/redis/lua.generated.ts";
import { useRedis } from "./use-redis.ts";

export const WINDOW = { windowMs: 10_000, bucketMs: 100 };
export const LEASE_MS = 1_000;
export const RATE = perSecond(1);
/** The capacity at that rate. */
export const LIMIT = 10;

/** The Redis keys of the limited key "k". */
export const KEYS = new KeyNames("trypema", { name: "", strategy: "absolute", ...WINDOW }).withLeases("k");
export const SUPPRESSED_KEYS = new KeyNames("trypema", { name: "", strategy: "suppressed", ...WINDOW }).withLeases("k");

/** The part of a report that tells nothing of a lease and asks for nothing. */
export const ASKS_NOTHING = {
  held: 0,
  heldHeadroom: 0,
  asked: 0,
  needed: 0,
  isAlike: false,
  wanted: 0,
  wantedHeadroom: 0,
  leaseMs: LEASE_MS,
};

/** An empty Redis for each test of a file, whose callers all have one clock. */
export function useReports() {
  const redis = useRedis();
  const reports = {
    redis,
    clock: manualClock(),
    /** Sends a report as `sendReport` does, at the time of the clock. */
    sync: (values: Partial<SyncArguments>) => sendReport(redis.client, reports.clock(), values),
    /** Opens the Redis provider's absolute limiter of the same window. */
    openRedis: () => createRedisProvider(redis.client, { ...WINDOW, clock: reports.clock, timeoutMs: 30_000 }).absolute,
  };
  beforeEach(async () => {
    await redis.client.flushall();
    reports.clock = manualClock(1_000_000);
  });
  return reports;
}

/**
 * Sends a report of the process "a" that asks for nothing, except for what `values` say.
 *
 * @param clockMs undefined for the server's time
 */
export async function sendReport(
  client: Redis,
  clockMs: number | undefined,
  values: Partial<SyncArguments>,
  keys: readonly string[] = KEYS,
): Promise<SyncReply> {
  const args = argumentsOf(SYNC, {
    ...WINDOW,
    clockMs,
    rate: RATE,
    rateIsNew: true,
    limit: LIMIT,
    process: "a",
    ...ASKS_NOTHING,
    suppressionCacheMs: undefined,
    hardLimit: undefined,
    report: 2,
    hits: [],
    ...values,
  });
  return fieldsOf(SYNC, await client.eval(SYNC.source, keys.length, ...keys, ...args));
}
