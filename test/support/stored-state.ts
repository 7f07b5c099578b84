// What Redis holds of one key, decoded, and what must always hold of it. The only place in the tests that knows the
// layout, which src/redis/lua/commands.js describes.

import { createHash } from "node:crypto";
import type { Redis } from "ioredis";

interface Bucket {
  readonly hitMs: number;
  readonly count: number;
  readonly declined: number;
}

interface Lease {
  readonly lastReport: number;
  readonly size: number;
  /** When it is over and all that was spent of it has left the window. */
  readonly goneMs: number;
}

/** What is stored under the three Redis keys of a limited key. */
export interface StoredKey {
  /** Undefined for a key of which nothing is counted or leased. */
  readonly state: StoredState | undefined;
  /** How many buckets the list has; those of a state that is gone included. */
  readonly listed: readonly Bucket[];
  readonly leases: readonly Lease[];
  /** How long Redis keeps what there is, in ms; -1 for ever. Nothing for a Redis key that isn't there. */
  readonly timesToLiveMs: readonly number[];
}

interface StoredState {
  readonly rate: number;
  readonly between: number;
  /** The oldest one, those between in the list, and the newest one. */
  readonly buckets: readonly Bucket[];
  readonly total: number;
  readonly declined: number;
  readonly seen: number;
  readonly recent: number;
  readonly reserved: number;
  readonly holders: number;
  readonly firstGoneMs: number;
  readonly lastGoneMs: number;
}

/** All at one moment, and in one form: numbers of 8 bytes. Redis unpacks the buckets, because it has packed them. */
const READ = `
  local buckets, times = {}, {}
  for i, bucket in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    buckets[i] = struct.pack('<ddd', cmsgpack.unpack(bucket))
  end
  for i, key in ipairs(KEYS) do times[i] = redis.call('PTTL', key) end
  local leases = table.concat(redis.call('HVALS', KEYS[3]))
  return { redis.call('GET', KEYS[1]) or '', table.concat(buckets), leases, struct.pack('<ddd', unpack(times)) }
`;
const READ_SHA1 = createHash("sha1").update(READ).digest("hex");

/** The answer of PTTL for a Redis key that isn't there. */
const ABSENT = -2;

/** What Redis holds of the key whose state has this name. */
export async function readStored(redis: Redis, name: string): Promise<StoredKey> {
  const keys = [name, `${name}b`, `${name}l`];
  const read = await redis
    .callBuffer("EVALSHA", READ_SHA1, 3, ...keys)
    .catch(() => redis.callBuffer("EVAL", READ, 3, ...keys));
  const [state, buckets, leases, times] = (read as [Buffer, Buffer, Buffer, Buffer]).map(numbersIn) as Four<number[]>;
  const listed = inThrees(buckets, (hitMs, count, declined) => ({ hitMs, count, declined }));
  return {
    state: state.length === 0 ? undefined : stateOf(state, listed),
    listed,
    leases: inThrees(leases, (lastReport, size, goneMs) => ({ lastReport, size, goneMs })),
    timesToLiveMs: times.filter((timeMs) => timeMs !== ABSENT),
  };
}

type Four<T> = [T, T, T, T];

function numbersIn(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(i * 8));
}

function inThrees<T>(numbers: readonly number[], make: (...three: [number, number, number]) => T): T[] {
  return Array.from({ length: numbers.length / 3 }, (_, i) => {
    return make(...(numbers.slice(3 * i, 3 * i + 3) as [number, number, number]));
  });
}

type Seven = readonly [number, number, number, number, number, number, number];

/** Seven numbers, fourteen where something was declined or suppressed, and eighteen while somebody holds a lease. */
function stateOf(numbers: readonly number[], listed: readonly Bucket[]): StoredState {
  const [rate, between, oldestMs, oldestCount, newestMs, newestCount, total] = numbers as unknown as Seven;
  const [oldestDeclined = 0, newestDeclined = 0, declined = 0, seen = -1, recent = 0] = numbers.slice(7);
  const [reserved = 0, holders = 0, firstGoneMs = 0, lastGoneMs = 0] = numbers.slice(14);
  // With one bucket only, the oldest is the newest.
  const oldest = oldestCount === 0 ? [] : [{ hitMs: oldestMs, count: oldestCount, declined: oldestDeclined }];
  const newest = total === 0 ? [] : [{ hitMs: newestMs, count: newestCount, declined: newestDeclined }];
  const buckets = [...oldest, ...listed, ...newest];
  return { rate, between, buckets, total, declined, seen, recent, reserved, holders, firstGoneMs, lastGoneMs };
}

/** What is known of a key beside what is stored of it. */
export interface Circumstances {
  /** By the server's clock, which the scripts were given. */
  readonly nowMs: number;
  readonly bucketMs: number;
  /** Undefined where more may be counted, because the rate has changed or somebody has decided without Redis. */
  readonly capacity: number | undefined;
}

/** What doesn't hold of a key and always should, in words; none where all is well. */
export function unsoundnessOf(stored: StoredKey, circumstances: Circumstances): string[] {
  const problems: string[] = [];
  const check = (holds: boolean, problem: string) => {
    if (!holds) problems.push(problem);
  };
  check(
    stored.timesToLiveMs.every((ms) => ms > 0),
    `a Redis key is kept for ever: ${stored.timesToLiveMs}`,
  );
  const { state, listed } = stored;
  if (state !== undefined) {
    checkBuckets(state, circumstances, check);
    check(state.between === listed.length, `between is ${state.between}, and the list has ${listed.length} buckets`);
    checkRecent(state, check);
  } else {
    check(listed.length === 0, `the list has ${listed.length} buckets, and there is no state`);
  }
  checkLeases(stored, circumstances, check);
  const { total, declined, reserved } = state ?? { total: 0, declined: 0, reserved: 0 };
  const { capacity } = circumstances;
  if (capacity !== undefined) {
    const accepted = total - declined;
    check(accepted + reserved <= capacity, `${accepted} accepted and ${reserved} leased of a capacity of ${capacity}`);
  }
  return problems;
}

type Check = (holds: boolean, problem: string) => void;

function sumOf<T>(items: readonly T[], countOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + countOf(item), 0);
}

function checkBuckets(
  { buckets, total, declined }: StoredState,
  { nowMs, bucketMs }: Circumstances,
  check: Check,
): void {
  const counted = sumOf(buckets, ({ count }) => count);
  check(total === counted, `total is ${total}, and the buckets count ${counted}`);
  const countedDeclined = sumOf(buckets, (bucket) => bucket.declined);
  check(declined === countedDeclined, `declined is ${declined}, and the buckets count ${countedDeclined}`);
  for (const [i, { hitMs, count, declined: ofBucket }] of buckets.entries()) {
    check(
      count > 0 && ofBucket >= 0 && ofBucket <= count,
      `bucket ${i} counts ${count}, of which ${ofBucket} declined`,
    );
    check(hitMs <= nowMs, `bucket ${i} was hit ${hitMs - nowMs} ms from now`);
    const before = buckets[i - 1]?.hitMs ?? Number.NEGATIVE_INFINITY;
    const isLater = Math.floor(before / bucketMs) < Math.floor(hitMs / bucketMs);
    check(isLater, `bucket ${i} was hit at ${hitMs}, in the cell of the bucket before or an earlier one: ${before}`);
  }
}

/** What the suppressed strategy keeps of the recent span: the buckets from number `seen` on count `recent`. */
function checkRecent({ buckets, seen, recent }: StoredState, check: Check): void {
  if (seen < 0) return;
  check(seen <= buckets.length, `${seen} buckets have left the recent span, of ${buckets.length}`);
  const counted = sumOf(buckets.slice(seen), ({ count }) => count);
  check(recent === counted, `recent is ${recent}, and the buckets from number ${seen} on count ${counted}`);
}

/** A lease that is gone may still be reckoned with, until a report notices. */
function checkLeases({ state, leases }: StoredKey, { nowMs }: Circumstances, check: Check): void {
  const live = leases.filter(({ size, goneMs }) => size > 0 && goneMs > nowMs);
  const { reserved, holders, firstGoneMs, lastGoneMs } = state ?? NOTHING_LEASED;
  const size = sumOf(live, (lease) => lease.size);
  const isNoneGone = holders === 0 || firstGoneMs > nowMs;
  check(isNoneGone ? reserved === size : reserved >= size, `${reserved} are reserved, and leases are ${size}`);
  const count = live.length;
  check(isNoneGone ? holders === count : holders >= count, `there are ${holders} holders, and ${count} leases`);
  for (const { goneMs } of live) {
    const isBetween = firstGoneMs <= goneMs && goneMs <= lastGoneMs;
    check(isBetween, `a lease is gone at ${goneMs}, not between ${firstGoneMs} and ${lastGoneMs}`);
  }
}

const NOTHING_LEASED = { reserved: 0, holders: 0, firstGoneMs: 0, lastGoneMs: 0 };
