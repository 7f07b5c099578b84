// Sends Redis reports as hybrid processes do, one at a time, to see what SYNC makes of each.

import type { Redis } from "ioredis";
import { perSecond } from "trypema";
import { argumentsOf, fieldsOf } from "../../src/redis/commands.ts";
import { KeyNames } from "../../src/redis/keys.ts";
import { SYNC, type SyncArguments, type SyncReply } from "../../src/redis/lua.generated.ts";

export const WINDOW = { windowMs: 10_000, bucketMs: 100 };
export const LEASE_MS = 1_000;
export const RATE = perSecond(1);
/** The capacity at that rate. */
export const LIMIT = 10;

/** The Redis keys of the limited key "k". */
export const KEYS = new KeyNames("trypema", { name: "", strategy: "absolute", ...WINDOW }).withLeases("k");
export const SUPPRESSED_KEYS = new KeyNames("trypema", { name: "", strategy: "suppressed", ...WINDOW }).withLeases("k");

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
    leaseMs: LEASE_MS,
    held: 0,
    heldHeadroom: 0,
    asked: 0,
    needed: 0,
    isAlike: false,
    wanted: 0,
    wantedHeadroom: 0,
    suppressionCacheMs: undefined,
    hardLimit: undefined,
    report: 2,
    hits: [],
    ...values,
  });
  return fieldsOf(SYNC, await client.eval(SYNC.source, keys.length, ...keys, ...args));
}
