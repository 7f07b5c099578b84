// What Redis holds of one key, decoded, and what must always hold of it. The names and their order are those that
// src/redis/lua/commands.js gives the scripts.

import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { CONSTANTS } from "../../src/redis/lua/commands.js";
import { BUCKET_FIELDS, CHUNK_FIELDS, LEASE_FIELDS, STATE_FIELDS } from "../../src/redis/lua.generated.ts";

/** How many buckets are in an entry of the list. */
export const BUCKETS_OF_CHUNK = Number(CONSTANTS.BUCKETS_OF_CHUNK);

/** A number for each name. */
type Named<Names extends readonly string[]> = Readonly<Record<Names[number], number>>;
type Bucket = Named<typeof BUCKET_FIELDS>;

interface Chunk extends Named<typeof CHUNK_FIELDS> {
  readonly buckets: readonly Bucket[];
}
type Lease = Named<typeof LEASE_FIELDS>;
export type StateFields = Named<typeof STATE_FIELDS>;

/** What is stored under the three Redis keys of a limited key. */
export interface StoredKey {
  /** Undefined for a key of which nothing is counted or leased. */
  readonly state: StoredState | undefined;
  /** What the list has; also where the state is gone. */
  readonly chunks: readonly Chunk[];
  readonly leases: readonly Lease[];
  /** How long Redis keeps what there is, in ms; -1 for ever. Nothing for a Redis key that isn't there. */
  readonly timesToLiveMs: readonly number[];
}

interface StoredState extends StateFields {
  /** The oldest one, those of the list, the inline ones, and the newest one. Some of those between may be empty. */
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

/** How many numbers a chunk has, and how Lua's `struct` writes them. */
const NUMBERS_OF_CHUNK = CHUNK_FIELDS.length + BUCKETS_OF_CHUNK * BUCKET_FIELDS.length;
const CHUNK_FORMAT = `<${"d".repeat(NUMBERS_OF_CHUNK)}`;

/** All at one moment, and in one form: numbers of 8 bytes. Redis unpacks the chunks, because it has packed them. */
const READ = `
  local chunks, times = {}, {}
  for i, chunk in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    chunks[i] = struct.pack('${CHUNK_FORMAT}', cmsgpack.unpack(chunk))
  end
  for i, key in ipairs(KEYS) do times[i] = redis.call('PTTL', key) end
  local leases = table.concat(redis.call('HVALS', KEYS[3]))
  return { redis.call('GET', KEYS[1]) or '', table.concat(chunks), leases, struct.pack('<ddd', unpack(times)) }
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
  const [state, list, leases, times] = (read as [Buffer, Buffer, Buffer, Buffer]).map(numbersIn) as Four<Float64Array>;
  const chunks = chunksIn(list);
  return {
    state: state.length === 0 ? undefined : stateOf(state, chunks),
    chunks,
    leases: recordsIn(leases, LEASE_FIELDS),
    timesToLiveMs: Array.from(times).filter((timeMs) => timeMs !== ABSENT),
  };
}

const WRITE = `
  redis.call('DEL', KEYS[1], KEYS[2])
  if ARGV[1] ~= '' then redis.call('SET', KEYS[1], ARGV[1]) end
  for i = 2, #ARGV do
    local numbers = { struct.unpack('${CHUNK_FORMAT}', ARGV[i]) }
    numbers[${NUMBERS_OF_CHUNK + 1}] = ${8 * BUCKETS_OF_CHUNK * BUCKET_FIELDS.length + 1}
    redis.call('RPUSH', KEYS[2], cmsgpack.pack(unpack(numbers)))
  end
`;

/**
 * Has Redis hold a key with these buckets, oldest first, in place of what it held, and all fields of the state. The
 * buckets between the oldest and the newest are in chunks, but for half of those that are too many or too few for that:
 * they are before the list. Nothing is stored of a key without buckets and leases.
 */
export async function writeStored(
  redis: Redis,
  name: string,
  buckets: readonly Bucket[],
  others: Partial<StateFields>,
): Promise<void> {
  const newest = buckets.at(-1);
  const oldest = buckets.length > 1 ? buckets[0] : undefined;
  const between = buckets.slice(1, -1);
  const inlined = between.length % BUCKETS_OF_CHUNK;
  const front = between.slice(0, Math.floor(inlined / 2));
  const back = between.slice(between.length - (inlined - front.length));
  const inList = between.slice(front.length, between.length - back.length);
  const state: Partial<StateFields> = {
    ...{ ...NOT_STORED, ...others, front: front.length, back: back.length },
    ...{ oldestMs: oldest?.hitMs ?? 0, oldestCount: oldest?.count ?? 0, oldestDeclined: oldest?.declined ?? 0 },
    ...(newest && { newestMs: newest.hitMs, newestCount: newest.count, newestDeclined: newest.declined }),
    total: sumOf(buckets, ({ count }) => count),
    declined: sumOf(buckets, ({ declined }) => declined),
    chunks: inList.length / BUCKETS_OF_CHUNK,
  };
  const isStored = buckets.length > 0 || (state.leaseCount ?? 0) > 0;
  const inline = numbersOf([...front, ...back]);
  const packed = isStored ? bytesOf([...STATE_FIELDS.map((field) => state[field] ?? 0), ...inline]) : "";
  const chunks: Buffer[] = [];
  for (let at = 0; at < inList.length; at += BUCKETS_OF_CHUNK) {
    const listed = sumOf(inList.slice(0, at + BUCKETS_OF_CHUNK), ({ count }) => count);
    chunks.push(bytesOf([listed, 0, ...numbersOf(inList.slice(at, at + BUCKETS_OF_CHUNK))]));
  }
  await redis.eval(WRITE, 2, name, `${name}b`, packed, ...chunks);
}

type Four<T> = [T, T, T, T];

/** Little-endian doubles. */
export function numbersIn({ buffer, byteOffset, length }: Buffer): Float64Array {
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

function numbersOf(buckets: readonly Bucket[]): number[] {
  return buckets.flatMap((bucket) => BUCKET_FIELDS.map((field) => bucket[field]));
}

function chunksIn(numbers: Float64Array): Chunk[] {
  return Array.from({ length: numbers.length / NUMBERS_OF_CHUNK }, (_, i) => {
    const chunk = numbers.subarray(i * NUMBERS_OF_CHUNK, (i + 1) * NUMBERS_OF_CHUNK);
    const own = named(chunk, CHUNK_FIELDS) as Named<typeof CHUNK_FIELDS>;
    return { ...own, buckets: recordsIn(chunk.subarray(CHUNK_FIELDS.length), BUCKET_FIELDS) };
  });
}

/** What a state says: its fields, and the inline buckets after them. */
export function fieldsOfState(numbers: Float64Array): { fields: Partial<StateFields>; inline: Bucket[] } {
  const { front, back } = named(numbers, STATE_FIELDS) as StateFields;
  const first = numbers.length - BUCKET_FIELDS.length * (front + back);
  const inline = recordsIn(numbers.subarray(first), BUCKET_FIELDS);
  return { fields: named(numbers.subarray(0, first), STATE_FIELDS), inline };
}

function stateOf(numbers: Float64Array, chunks: readonly Chunk[]): StoredState {
  const { fields, inline } = fieldsOfState(numbers);
  const state = { ...NOT_STORED, ...fields } as StateFields;
  // With one bucket only, the oldest is the newest.
  const oldest = { hitMs: state.oldestMs, count: state.oldestCount, declined: state.oldestDeclined };
  const newest = { hitMs: state.newestMs, count: state.newestCount, declined: state.newestDeclined };
  const inList = chunks.flatMap((chunk) => chunk.buckets);
  const between = [...inline.slice(0, state.front), ...inList, ...inline.slice(state.front)];
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
  const { state, chunks } = stored;
  if (state !== undefined) {
    checkBuckets(state, circumstances, check);
    check(state.chunks === chunks.length, () => `chunks is ${state.chunks}, and the list has ${chunks.length}`);
    check(
      Math.max(state.front, state.back) <= BUCKETS_OF_CHUNK,
      () => `${state.front} and ${state.back} buckets are inline`,
    );
    if (circumstances.capacity !== undefined) checkListed(chunks, check);
    checkRecent(state, check);
    checkBarren(state, chunks, check);
  } else {
    check(chunks.length === 0, () => `the list has ${chunks.length} chunks, and there is no state`);
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

/** How much the chunks after one of the list count follows from what was listed ever, under absolute. */
function checkListed(chunks: readonly Chunk[], check: Check): void {
  for (const [i, chunk] of chunks.entries()) {
    const counted = sumOf(chunks.slice(i + 1), countOf);
    const after = Number(BigInt.asUintN(53, BigInt(chunks.at(-1)!.listed) - BigInt(chunk.listed)));
    check(after === counted, () => `after chunk ${i} were ${after} counted, and there are ${counted}`);
  }
}

function countOf({ buckets }: Chunk): number {
  return sumOf(buckets, ({ count }) => count);
}

/** What the suppressed strategy keeps of the recent span: the buckets from number `seen` on count `recent`. */
function checkRecent({ stored, seen, recent }: StoredState, check: Check): void {
  if (seen < 0) return;
  check(seen < Math.max(1, stored.length), () => `${seen} buckets have left the recent span, of ${stored.length}`);
  const counted = sumOf(stored.slice(seen), ({ count }) => count);
  check(recent === counted, () => `recent is ${recent}, and the buckets from number ${seen} on count ${counted}`);
}

/** In the chunks that a refund passes in one step nothing is accepted. */
function checkBarren({ stored, barrenBefore }: StoredState, chunks: readonly Chunk[], check: Check): void {
  for (const [i, known] of [...chunks.map((chunk) => chunk.barrenBefore), barrenBefore].entries()) {
    const passed = chunks.slice(Math.max(0, i - known), i).flatMap(({ buckets }) => buckets);
    const isBarren = passed.every(({ count, declined }) => count === declined);
    check(isBarren, () => `of the ${known} chunks before chunk ${i} something is accepted`);
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
