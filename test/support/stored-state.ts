// What Redis holds of one key, decoded, and what must always hold of it. The names and their order are those that
// src/redis/lua/commands.js gives the scripts.

import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { BUCKET_FIELDS, LEASE_FIELDS, STATE_FIELDS } from "../../src/redis/lua.generated.ts";

/** A number for each name. */
type Named<Names extends readonly string[]> = Readonly<Record<Names[number], number>>;
type ListedBucket = Named<typeof BUCKET_FIELDS>;
type Bucket = Pick<ListedBucket, "hitMs" | "count" | "declined">;
type Lease = Named<typeof LEASE_FIELDS>;
export type StateFields = Named<typeof STATE_FIELDS>;

/** What is stored under the three Redis keys of a limited key. */
export interface StoredKey {
  /** Undefined for a key of which nothing is counted or leased. */
  readonly state: StoredState | undefined;
  /** How many buckets the list has; those of a state that is gone included. */
  readonly listed: readonly ListedBucket[];
  readonly leases: readonly Lease[];
  /** How long Redis keeps what there is, in ms; -1 for ever. Nothing for a Redis key that isn't there. */
  readonly timesToLiveMs: readonly number[];
}

interface StoredState extends StateFields {
  /** The oldest one, those of the list, and the newest one. Some of the list may be empty. */
  readonly stored: readonly Bucket[];
  /** Those that count anything. */
  readonly buckets: readonly Bucket[];
}

/** The fields that a state doesn't have stored while they have these values. */
const NOT_STORED = {
  ...{ oldestDeclined: 0, newestDeclined: 0, declined: 0, barrenBefore: 0, seen: -1, recent: 0 },
  ...{ factor: 0, factorMs: Number.NEGATIVE_INFINITY },
  ...{ reserved: 0, headroom: 0, leaseCount: 0, firstGoneMs: 0, lastGoneMs: 0, offsetMs: 0 },
};

/** How Lua's `struct` writes a bucket. */
const BUCKET_FORMAT = `<${"d".repeat(BUCKET_FIELDS.length)}`;

/** All at one moment, and in one form: numbers of 8 bytes. Redis unpacks the buckets, because it has packed them. */
const READ = `
  local buckets, times = {}, {}
  for i, bucket in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    buckets[i] = struct.pack('${BUCKET_FORMAT}', cmsgpack.unpack(bucket))
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
  const [state, buckets, leases, times] = (read as [Buffer, Buffer, Buffer, Buffer]).map(
    numbersIn,
  ) as Four<Float64Array>;
  const listed = recordsIn(buckets, BUCKET_FIELDS);
  return {
    state: state.length === 0 ? undefined : stateOf(state, listed),
    listed,
    leases: recordsIn(leases, LEASE_FIELDS),
    timesToLiveMs: Array.from(times).filter((timeMs) => timeMs !== ABSENT),
  };
}

const WRITE = `
  redis.call('DEL', KEYS[1], KEYS[2])
  if ARGV[1] ~= '' then redis.call('SET', KEYS[1], ARGV[1]) end
  for i = 2, #ARGV do
    local bucket = { struct.unpack('${BUCKET_FORMAT}', ARGV[i]) }
    redis.call('RPUSH', KEYS[2], cmsgpack.pack(unpack(bucket, 1, ${BUCKET_FIELDS.length})))
  end
`;

/**
 * Has Redis hold a key with these buckets, oldest first, in place of what it held, and all fields of the state. Nothing
 * is stored of a key without buckets and leases.
 */
export async function writeStored(
  redis: Redis,
  name: string,
  buckets: readonly Bucket[],
  others: Partial<StateFields>,
): Promise<void> {
  const newest = buckets.at(-1);
  const oldest = buckets.length > 1 ? buckets[0] : undefined;
  const state: Partial<StateFields> = {
    ...{ ...NOT_STORED, ...others, between: Math.max(0, buckets.length - 2) },
    ...{ oldestMs: oldest?.hitMs ?? 0, oldestCount: oldest?.count ?? 0, oldestDeclined: oldest?.declined ?? 0 },
    ...(newest && { newestMs: newest.hitMs, newestCount: newest.count, newestDeclined: newest.declined }),
    total: sumOf(buckets, ({ count }) => count),
    declined: sumOf(buckets, ({ declined }) => declined),
    listed: sumOf(buckets.slice(1, -1), ({ count }) => count),
  };
  const isStored = buckets.length > 0 || (state.leaseCount ?? 0) > 0;
  const packed = isStored ? bytesOf(STATE_FIELDS.map((field) => state[field] ?? 0)) : "";
  const listed: ListedBucket[] = [];
  for (const bucket of buckets.slice(1, -1)) {
    listed.push({ ...bucket, barrenBefore: 0, listed: bucket.count + (listed.at(-1)?.listed ?? 0) });
  }
  const between = listed.map((bucket) => bytesOf(BUCKET_FIELDS.map((field) => bucket[field])));
  await redis.eval(WRITE, 2, name, `${name}b`, packed, ...between);
}

type Four<T> = [T, T, T, T];

function numbersIn({ buffer, byteOffset, length }: Buffer): Float64Array {
  return new Float64Array(buffer.slice(byteOffset, byteOffset + length));
}

function bytesOf(numbers: readonly number[]): Buffer {
  return Buffer.from(Float64Array.from(numbers).buffer);
}

/** The numbers from `start` on by their names, as many as there are. */
function named(numbers: Float64Array, names: readonly string[], start = 0): Record<string, number> {
  const record: Record<string, number> = {};
  const count = Math.min(names.length, numbers.length - start);
  for (let i = 0; i < count; i++) record[names[i]!] = numbers[start + i]!;
  return record;
}

function recordsIn<Names extends readonly string[]>(numbers: Float64Array, names: Names): Named<Names>[] {
  const count = numbers.length / names.length;
  return Array.from({ length: count }, (_, i) => named(numbers, names, names.length * i) as Named<Names>);
}

function stateOf(numbers: Float64Array, listed: readonly ListedBucket[]): StoredState {
  const state = { ...NOT_STORED, ...named(numbers, STATE_FIELDS) } as StateFields;
  // With one bucket only, the oldest is the newest.
  const oldest = { hitMs: state.oldestMs, count: state.oldestCount, declined: state.oldestDeclined };
  const newest = { hitMs: state.newestMs, count: state.newestCount, declined: state.newestDeclined };
  const between = listed.map(({ hitMs, count, declined }) => ({ hitMs, count, declined }));
  const stored = [...(oldest.count === 0 ? [] : [oldest]), ...between, ...(state.total === 0 ? [] : [newest])];
  return { ...state, stored, buckets: stored.filter((bucket) => bucket.count > 0) };
}

/** What is known of a key beside what is stored of it. */
export interface Circumstances {
  /** By the server's clock, which the scripts were given. */
  readonly nowMs: number;
  readonly bucketMs: number;
  /** Undefined where more may be counted, because the rate has changed or somebody has decided without Redis. */
  readonly capacity: number | undefined;
  /** The same of the hard limit, under the suppressed strategy. */
  readonly hardLimit?: number | undefined;
}

/** What doesn't hold of a key and always should, in words; none where all is well. */
export function unsoundnessOf(stored: StoredKey, circumstances: Circumstances): string[] {
  const problems: string[] = [];
  const check: Check = (holds, problem) => {
    if (!holds) problems.push(problem());
  };
  check(
    stored.timesToLiveMs.every((ms) => ms > 0),
    () => `a Redis key is kept for ever: ${stored.timesToLiveMs}`,
  );
  const { state, listed } = stored;
  if (state !== undefined) {
    checkBuckets(state, circumstances, check);
    check(
      state.between === listed.length,
      () => `between is ${state.between}, and the list has ${listed.length} buckets`,
    );
    if (circumstances.capacity !== undefined) checkListed(state, listed, check);
    checkRecent(state, check);
    checkBarren(state, listed, check);
  } else {
    check(listed.length === 0, () => `the list has ${listed.length} buckets, and there is no state`);
  }
  checkLeases(stored, circumstances, check);
  const { total, declined, reserved, headroom } = state ?? { total: 0, declined: 0, reserved: 0, headroom: 0 };
  const { capacity, hardLimit } = circumstances;
  const accepted = total - declined;
  if (hardLimit !== undefined) {
    check(
      accepted + reserved + headroom <= hardLimit,
      () => `${accepted} accepted, ${reserved} leased and ${headroom} of headroom under a hard limit of ${hardLimit}`,
    );
  }
  if (capacity !== undefined) {
    check(
      accepted + reserved <= capacity,
      () => `${accepted} accepted and ${reserved} leased of a capacity of ${capacity}`,
    );
  }
  return problems;
}

/** The problem is put into words only where there is one, because the simulations check some million buckets. */
type Check = (holds: boolean, problem: () => string) => void;

function sumOf<T>(items: readonly T[], countOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + countOf(item), 0);
}

function checkBuckets(
  { buckets, total, declined }: StoredState,
  { nowMs, bucketMs }: Circumstances,
  check: Check,
): void {
  const counted = sumOf(buckets, ({ count }) => count);
  check(total === counted, () => `total is ${total}, and the buckets count ${counted}`);
  const countedDeclined = sumOf(buckets, (bucket) => bucket.declined);
  check(declined === countedDeclined, () => `declined is ${declined}, and the buckets count ${countedDeclined}`);
  for (const [i, { hitMs, count, declined: ofBucket }] of buckets.entries()) {
    check(
      count > 0 && ofBucket >= 0 && ofBucket <= count,
      () => `bucket ${i} counts ${count}, of which ${ofBucket} declined`,
    );
    check(hitMs <= nowMs, () => `bucket ${i} was hit ${hitMs - nowMs} ms from now`);
    const before = buckets[i - 1]?.hitMs ?? Number.NEGATIVE_INFINITY;
    const isLater = Math.floor(before / bucketMs) < Math.floor(hitMs / bucketMs);
    check(
      isLater,
      () => `bucket ${i} was hit at ${hitMs}, in the cell of the bucket before or an earlier one: ${before}`,
    );
  }
}

/** How much the buckets after one of the list count follows from what was put into the list, under absolute. */
function checkListed(state: StoredState, listed: readonly ListedBucket[], check: Check): void {
  for (const [i, bucket] of listed.entries()) {
    const counted = sumOf(listed.slice(i + 1), ({ count }) => count);
    const after = Number(BigInt.asUintN(53, BigInt(state.listed) - BigInt(bucket.listed)));
    check(after === counted, () => `after the listed bucket ${i} were ${after} counted, and there are ${counted}`);
  }
}

/** What the suppressed strategy keeps of the recent span: the buckets from number `seen` on count `recent`. */
function checkRecent({ stored, seen, recent }: StoredState, check: Check): void {
  if (seen < 0) return;
  check(seen < Math.max(1, stored.length), () => `${seen} buckets have left the recent span, of ${stored.length}`);
  const counted = sumOf(stored.slice(seen), ({ count }) => count);
  check(recent === counted, () => `recent is ${recent}, and the buckets from number ${seen} on count ${counted}`);
}

/** In the buckets that a refund passes in one step nothing is accepted. */
function checkBarren({ stored, barrenBefore }: StoredState, listed: readonly ListedBucket[], check: Check): void {
  for (const [i, known] of [...listed.map((bucket) => bucket.barrenBefore), barrenBefore].entries()) {
    const isBarren = listed.slice(Math.max(0, i - known), i).every(({ count, declined }) => count === declined);
    check(isBarren, () => `of the ${known} buckets before the listed bucket ${i} something is accepted`);
  }
  check(stored[0]?.count !== 0 && stored.at(-1)?.count !== 0, () => "a bucket at the end counts nothing");
}

/** A lease that is gone may still be reckoned with, until a report notices. */
function checkLeases({ state, leases }: StoredKey, { nowMs }: Circumstances, check: Check): void {
  const live = leases.filter(({ held, headroom, goneMs }) => held + headroom > 0 && goneMs > nowMs);
  const { reserved, headroom, leaseCount, firstGoneMs, lastGoneMs } = state ?? NOT_STORED;
  const held = sumOf(live, (lease) => lease.held);
  const isNoneGone = leaseCount === 0 || firstGoneMs > nowMs;
  check(isNoneGone ? reserved === held : reserved >= held, () => `${reserved} are reserved, and leases are ${held}`);
  const ofLeases = sumOf(live, (lease) => lease.headroom);
  check(
    isNoneGone ? headroom === ofLeases : headroom >= ofLeases,
    () => `the headroom is ${headroom}, and that of the leases is ${ofLeases}`,
  );
  const count = live.length;
  const isRight = isNoneGone ? leaseCount === count : leaseCount >= count;
  check(isRight, () => `${leaseCount} leases are counted, and there are ${count}`);
  for (const { goneMs } of live) {
    const isBetween = firstGoneMs <= goneMs && goneMs <= lastGoneMs;
    check(isBetween, () => `a lease is gone at ${goneMs}, not between ${firstGoneMs} and ${lastGoneMs}`);
  }
}
