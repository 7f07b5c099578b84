// Keys and their sliding windows. A key is a record of 64 bytes, one cache line, in a typed chunk:
// the newest bucket lies in it, so that most calls touch nothing else; older buckets are a linked
// list of cells. Records are dense: deleting one moves the last into its place, so memory follows
// the number of keys and a sweep reads it in order.

import type { Rate } from "../core/rate.ts";
import { capacityOf } from "../strategy/capacity.ts";
import type { Bucket } from "../strategy/history.ts";
import { recentSpanMs } from "../strategy/suppressed.ts";
import { Cells, NONE } from "./cells.ts";
import { KeyIndex } from "./key-index.ts";

const CHUNK_BITS = 12;
const CHUNK_SIZE = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK_SIZE - 1;

// The words of a record.
const WORDS = 8;
const NEWEST_MS = 0;
const NEWEST_COUNT = 1;
const TOTAL = 2;
const OLDEST_MS = 3;
const RATE = 5;
const RECENT_COUNT = 7;
// Its 32-bit halves: words 4 and 6.
const HEAD = 8; // the oldest bucket in the list
const TAIL = 9; // the newest in the list: the second newest of all
const OVERLOAD = 12; // a cell with what only suppression needs, once it denies or sheds
const RECENT = 13; // the oldest bucket of the list within the recent span
/** RECENT while nobody has asked for the recent count, so that it isn't kept. */
const UNTRACKED = -2;

// The words and halves of a bucket's cell.
const HIT_MS = 0;
const COUNT = 1;
const DECLINED = 2;
const NEXT = 6;
const PREVIOUS = 7;

// The words of an overload cell.
const FACTOR = 0;
const FACTOR_MS = 1;
const DECLINED_TOTAL = 2;
const NEWEST_DECLINED = 3;

/** How many records an insertion into a full store looks at for one to evict. */
const EVICTION_LOOK = 128;

export class WindowStore {
  readonly #windowMs: number;
  readonly #bucketMs: number;
  readonly #recentMs: number;
  readonly #maxKeys: number;
  readonly #index = new KeyIndex();
  readonly #cells = new Cells();
  #words: Float64Array[] = [];
  #halves: Int32Array[] = [];
  #keys: string[][] = [];
  #size = 0;
  /** Where the next look for a record to evict starts. */
  #hand = 0;
  /** The record beyond `maxKeys`, which exists while all others are at their limits. */
  #newcomer = NONE;

  constructor(windowMs: number, bucketMs: number, maxKeys: number) {
    this.#windowMs = windowMs;
    this.#bucketMs = bucketMs;
    this.#recentMs = recentSpanMs(windowMs);
    this.#maxKeys = maxKeys;
  }

  /** How many keys are stored, whether live or waiting to be swept. */
  get size(): number {
    return this.#size;
  }

  /** What records and buckets take; the index of the keys comes on top. */
  get bytes(): number {
    return this.#words.length * ((WORDS * 8) << CHUNK_BITS) + this.#cells.bytes;
  }

  /** The record of `key` without its expired buckets, or NONE. Its total may be 0. */
  find(key: string, nowMs: number): number {
    const record = this.#index.get(key);
    if (record === undefined) return NONE;
    const words = this.#words[record >>> CHUNK_BITS]!;
    if (words[(record & CHUNK_MASK) * WORDS + OLDEST_MS]! + this.#windowMs <= nowMs) this.#expire(record, nowMs);
    return record;
  }

  /** The record of `key` if anything of it is live, else NONE. */
  findLive(key: string, nowMs: number): number {
    const record = this.find(key, nowMs);
    return record === NONE || this.total(record) === 0 ? NONE : record;
  }

  /** A new record for `key`, which has none; a full store gives up another for it. */
  insert(key: string, rate: Rate, nowMs: number): number {
    const record = this.#size < this.#maxKeys ? this.#addRecord() : this.#evict(nowMs);
    const words = this.#words[record >>> CHUNK_BITS]!;
    const at = (record & CHUNK_MASK) * WORDS;
    words.fill(0, at, at + WORDS);
    words[at + RATE] = rate;
    const halves = this.#halves[record >>> CHUNK_BITS]!;
    halves[at * 2 + HEAD] = NONE;
    halves[at * 2 + TAIL] = NONE;
    halves[at * 2 + OVERLOAD] = NONE;
    halves[at * 2 + RECENT] = UNTRACKED;
    this.#keys[record >>> CHUNK_BITS]![record & CHUNK_MASK] = key;
    this.#index.set(key, record);
    return record;
  }

  total(record: number): number {
    return this.#words[record >>> CHUNK_BITS]![(record & CHUNK_MASK) * WORDS + TOTAL]!;
  }

  declined(record: number): number {
    const overload = this.#overload(record);
    return overload === NONE ? 0 : this.#cells.read(overload, DECLINED_TOTAL);
  }

  rate(record: number): Rate {
    return this.#words[record >>> CHUNK_BITS]![(record & CHUNK_MASK) * WORDS + RATE]! as Rate;
  }

  /** Sets the rate that holds from now on, and returns the live total. */
  setRate(record: number, rate: Rate): number {
    const words = this.#words[record >>> CHUNK_BITS]!;
    const at = (record & CHUNK_MASK) * WORDS;
    if (words[at + RATE] !== rate) {
      words[at + RATE] = rate;
      this.#forgetFactor(record);
    }
    return words[at + TOTAL]!;
  }

  /** Counts a hit, of which `declined` was denied. The record's expired buckets have been dropped. */
  record(record: number, nowMs: number, count: number, declined: number): void {
    const words = this.#words[record >>> CHUNK_BITS]!;
    const at = (record & CHUNK_MASK) * WORDS;
    const newestMs = words[at + NEWEST_MS]!;
    const sameBucket = Math.floor(newestMs / this.#bucketMs) === Math.floor(nowMs / this.#bucketMs);
    if (!sameBucket || words[at + TOTAL] === 0) this.#startBucket(record);
    // Totals stay exact integers whatever strangers count: they stop at the largest one.
    const added = Math.min(count, Number.MAX_SAFE_INTEGER - words[at + TOTAL]!);
    words[at + NEWEST_MS] = nowMs;
    words[at + NEWEST_COUNT]! += added;
    words[at + TOTAL]! += added;
    words[at + RECENT_COUNT]! += added;
    if (this.#halves[record >>> CHUNK_BITS]![at * 2 + HEAD] === NONE) words[at + OLDEST_MS] = nowMs;
    if (declined !== 0) this.#decline(record, Math.min(declined, added));
  }

  /** How long until the oldest buckets that hold `count` together have expired, for a total of at least that. */
  timeUntilFreed(record: number, count: number, nowMs: number): number {
    let left = count;
    for (let node = this.#half(record, HEAD); node !== NONE; node = this.#cells.readHalf(node, NEXT)) {
      left -= this.#cells.read(node, COUNT);
      if (left <= 0) return this.#cells.read(node, HIT_MS) + this.#windowMs - nowMs;
    }
    return this.#word(record, NEWEST_MS) + this.#windowMs - nowMs;
  }

  /** The count that goes with the oldest buckets, up to the one in which `count` is reached. */
  freedWith(record: number, count: number): number {
    let freed = 0;
    for (let node = this.#half(record, HEAD); node !== NONE; node = this.#cells.readHalf(node, NEXT)) {
      freed += this.#cells.read(node, COUNT);
      if (freed >= count) return freed;
    }
    return freed + this.#word(record, NEWEST_COUNT);
  }

  oldestMs(record: number): number {
    return this.#word(record, OLDEST_MS);
  }

  oldestAccepted(record: number): number {
    const node = this.#half(record, HEAD);
    if (node !== NONE) return this.#cells.read(node, COUNT) - this.#cells.read(node, DECLINED);
    const overload = this.#overload(record);
    return this.#word(record, NEWEST_COUNT) - (overload === NONE ? 0 : this.#cells.read(overload, NEWEST_DECLINED));
  }

  /**
   * The live count that was hit within the recent span. From the first call on the record keeps it
   * up to date, so that a call costs the same however many buckets the span has.
   */
  recent(record: number, nowMs: number): number {
    const windows = this.#words[record >>> CHUNK_BITS]!;
    const at = (record & CHUNK_MASK) * WORDS;
    if (this.#recentMs === this.#windowMs) return windows[at + TOTAL]!;
    const halves = this.#halves[record >>> CHUNK_BITS]!;
    if (halves[at * 2 + RECENT] === UNTRACKED) this.#trackRecent(record, nowMs);
    const cells = this.#cells;
    let node = halves[at * 2 + RECENT]!;
    while (node !== NONE && cells.read(node, HIT_MS) + this.#recentMs <= nowMs) {
      windows[at + RECENT_COUNT]! -= cells.read(node, COUNT);
      node = cells.readHalf(node, NEXT);
    }
    halves[at * 2 + RECENT] = node;
    return windows[at + NEWEST_MS]! + this.#recentMs > nowMs ? windows[at + RECENT_COUNT]! : 0;
  }

  /** The factor stored less than `maxAgeMs` ago, or -1. */
  cachedFactor(record: number, nowMs: number, maxAgeMs: number): number {
    const overload = this.#overload(record);
    if (overload === NONE || nowMs - this.#cells.read(overload, FACTOR_MS) >= maxAgeMs) return -1;
    return this.#cells.read(overload, FACTOR);
  }

  cacheFactor(record: number, nowMs: number, factor: number): void {
    const overload = this.#ensureOverload(record);
    this.#cells.write(overload, FACTOR, factor);
    this.#cells.write(overload, FACTOR_MS, nowMs);
  }

  /** Takes `amount` from the newest bucket if that leaves something accepted in it; else does nothing. */
  takeFromNewest(record: number, amount: number): boolean {
    const words = this.#words[record >>> CHUNK_BITS]!;
    const at = (record & CHUNK_MASK) * WORDS;
    const overload = this.#overload(record);
    const declined = overload === NONE ? 0 : this.#cells.read(overload, NEWEST_DECLINED);
    if (words[at + NEWEST_COUNT]! - declined <= amount) return false;
    words[at + NEWEST_COUNT]! -= amount;
    words[at + TOTAL]! -= amount;
    words[at + RECENT_COUNT]! -= amount;
    this.#forgetFactor(record);
    return true;
  }

  /** The live buckets, oldest first. */
  buckets(record: number): Bucket[] {
    const buckets: Bucket[] = [];
    if (this.total(record) === 0) return buckets;
    const cells = this.#cells;
    for (let node = this.#half(record, HEAD); node !== NONE; node = cells.readHalf(node, NEXT)) {
      buckets.push({
        hitMs: cells.read(node, HIT_MS),
        count: cells.read(node, COUNT),
        declined: cells.read(node, DECLINED),
      });
    }
    const overload = this.#overload(record);
    buckets.push({
      hitMs: this.#word(record, NEWEST_MS),
      count: this.#word(record, NEWEST_COUNT),
      declined: overload === NONE ? 0 : cells.read(overload, NEWEST_DECLINED),
    });
    return buckets;
  }

  /** Makes `buckets`, oldest first, the record's history; without any, forgets the key. */
  replaceBuckets(record: number, buckets: readonly Bucket[]): void {
    if (buckets.length === 0) {
      this.remove(record);
      return;
    }
    this.#empty(record);
    for (const bucket of buckets) this.record(record, bucket.hitMs, bucket.count, bucket.declined);
  }

  /** Forgets a key. The last record takes its place, so keep no record number across this. */
  remove(record: number): void {
    this.#empty(record);
    this.#index.delete(this.#keyOf(record));
    const last = --this.#size;
    if (record !== last) {
      const at = (last & CHUNK_MASK) * WORDS;
      this.#words[record >>> CHUNK_BITS]!.set(
        this.#words[last >>> CHUNK_BITS]!.subarray(at, at + WORDS),
        (record & CHUNK_MASK) * WORDS,
      );
      const key = this.#keyOf(last);
      this.#keys[record >>> CHUNK_BITS]![record & CHUNK_MASK] = key;
      this.#index.set(key, record);
    }
    this.#newcomer = NONE;
    this.#keys[last >>> CHUNK_BITS]![last & CHUNK_MASK] = "";
    this.#dropSpareChunks();
  }

  clear(): void {
    this.#index.clear();
    this.#cells.clear();
    this.#words = [];
    this.#halves = [];
    this.#keys = [];
    this.#size = 0;
    this.#newcomer = NONE;
  }

  /**
   * Forgets those of the `count` records below `end` that were last hit `staleAfterMs` ago or
   * longer. Goes downwards, so that the record which moves into a gap has been seen.
   *
   * @returns where to go on: the `end` of the next call, 0 when done
   */
  sweep(end: number, count: number, nowMs: number, staleAfterMs: number): number {
    let record = Math.min(end, this.#size);
    const stop = Math.max(0, record - count);
    while (record > stop) {
      record--;
      if (this.#word(record, NEWEST_MS) + staleAfterMs <= nowMs) this.remove(record);
    }
    return record;
  }

  #word(record: number, word: number): number {
    return this.#words[record >>> CHUNK_BITS]![(record & CHUNK_MASK) * WORDS + word]!;
  }

  #half(record: number, half: number): number {
    return this.#halves[record >>> CHUNK_BITS]![(record & CHUNK_MASK) * WORDS * 2 + half]!;
  }

  #setHalf(record: number, half: number, value: number): void {
    this.#halves[record >>> CHUNK_BITS]![(record & CHUNK_MASK) * WORDS * 2 + half] = value;
  }

  #keyOf(record: number): string {
    return this.#keys[record >>> CHUNK_BITS]![record & CHUNK_MASK]!;
  }

  #addRecord(): number {
    const record = this.#size++;
    if (record >>> CHUNK_BITS === this.#words.length) {
      const words = new Float64Array(WORDS << CHUNK_BITS);
      this.#words.push(words);
      this.#halves.push(new Int32Array(words.buffer));
      this.#keys.push(new Array<string>(CHUNK_SIZE).fill(""));
    }
    return record;
  }

  /** One empty chunk may stay, so that a store whose size swings about a chunk's end doesn't thrash. */
  #dropSpareChunks(): void {
    const needed = (this.#size + CHUNK_MASK) >>> CHUNK_BITS;
    if (this.#words.length <= needed + 1) return;
    this.#words.length = needed + 1;
    this.#halves.length = needed + 1;
    this.#keys.length = needed + 1;
  }

  /**
   * The place of a record that is given up for a new one: an expired one, or one with at least
   * half of its capacity unused, or else the least used of those looked at. A record at its limit
   * is never given up, or a flood of fresh keys would free whoever is limited. When all looked at
   * are at their limits, newcomers take turns in one place beyond `maxKeys`.
   */
  #evict(nowMs: number): number {
    let victim = NONE;
    let leastUse = 1;
    for (let looks = Math.min(EVICTION_LOOK, this.#size); looks > 0 && leastUse > 0.5; looks--) {
      if (this.#hand >= this.#size) this.#hand = 0;
      const record = this.#hand++;
      this.#expire(record, nowMs);
      const use = this.total(record) / capacityOf(this.rate(record), this.#windowMs);
      if (use >= leastUse) continue;
      leastUse = use;
      victim = record;
    }
    if (victim === NONE) {
      if (this.#newcomer === NONE) {
        this.#newcomer = this.#addRecord();
        return this.#newcomer;
      }
      victim = this.#newcomer;
    }
    this.#empty(victim);
    this.#index.delete(this.#keyOf(victim));
    return victim;
  }

  #expire(record: number, nowMs: number): void {
    const words = this.#words[record >>> CHUNK_BITS]!;
    const at = (record & CHUNK_MASK) * WORDS;
    if (words[at + OLDEST_MS]! + this.#windowMs > nowMs) return;
    if (words[at + NEWEST_MS]! + this.#windowMs <= nowMs) {
      this.#empty(record);
      return;
    }
    const halves = this.#halves[record >>> CHUNK_BITS]!;
    const cells = this.#cells;
    const overload = halves[at * 2 + OVERLOAD]!;
    let node = halves[at * 2 + HEAD]!;
    while (node !== NONE && cells.read(node, HIT_MS) + this.#windowMs <= nowMs) {
      const count = cells.read(node, COUNT);
      const next = cells.readHalf(node, NEXT);
      words[at + TOTAL]! -= count;
      if (overload !== NONE) {
        cells.write(overload, DECLINED_TOTAL, cells.read(overload, DECLINED_TOTAL) - cells.read(node, DECLINED));
      }
      if (halves[at * 2 + RECENT] === node) {
        words[at + RECENT_COUNT]! -= count;
        halves[at * 2 + RECENT] = next;
      }
      cells.release(node);
      node = next;
    }
    halves[at * 2 + HEAD] = node;
    if (node === NONE) {
      halves[at * 2 + TAIL] = NONE;
      words[at + OLDEST_MS] = words[at + NEWEST_MS]!;
    } else {
      cells.writeHalf(node, PREVIOUS, NONE);
      words[at + OLDEST_MS] = cells.read(node, HIT_MS);
    }
  }

  /** Drops all history and what came with it; the key and its rate stay. */
  #empty(record: number): void {
    const words = this.#words[record >>> CHUNK_BITS]!;
    const halves = this.#halves[record >>> CHUNK_BITS]!;
    const at = (record & CHUNK_MASK) * WORDS;
    const cells = this.#cells;
    let node = halves[at * 2 + HEAD]!;
    while (node !== NONE) {
      const next = cells.readHalf(node, NEXT);
      cells.release(node);
      node = next;
    }
    const overload = halves[at * 2 + OVERLOAD]!;
    if (overload !== NONE) cells.release(overload);
    halves[at * 2 + HEAD] = NONE;
    halves[at * 2 + TAIL] = NONE;
    halves[at * 2 + OVERLOAD] = NONE;
    halves[at * 2 + RECENT] = UNTRACKED;
    words[at + TOTAL] = 0;
    words[at + NEWEST_COUNT] = 0;
  }

  /** Makes room for a new newest bucket: the one before, if any, moves to the end of the list. */
  #startBucket(record: number): void {
    const words = this.#words[record >>> CHUNK_BITS]!;
    const halves = this.#halves[record >>> CHUNK_BITS]!;
    const at = (record & CHUNK_MASK) * WORDS;
    if (words[at + TOTAL] === 0) return;
    const cells = this.#cells;
    const node = cells.take();
    cells.write(node, HIT_MS, words[at + NEWEST_MS]!);
    cells.write(node, COUNT, words[at + NEWEST_COUNT]!);
    const overload = halves[at * 2 + OVERLOAD]!;
    if (overload === NONE) {
      cells.write(node, DECLINED, 0);
    } else {
      cells.write(node, DECLINED, cells.read(overload, NEWEST_DECLINED));
      cells.write(overload, NEWEST_DECLINED, 0);
    }
    const tail = halves[at * 2 + TAIL]!;
    cells.writeHalf(node, NEXT, NONE);
    cells.writeHalf(node, PREVIOUS, tail);
    if (tail === NONE) halves[at * 2 + HEAD] = node;
    else cells.writeHalf(tail, NEXT, node);
    halves[at * 2 + TAIL] = node;
    if (halves[at * 2 + RECENT] === NONE) halves[at * 2 + RECENT] = node;
    words[at + NEWEST_COUNT] = 0;
  }

  #trackRecent(record: number, nowMs: number): void {
    const cells = this.#cells;
    let count = this.#word(record, NEWEST_COUNT);
    let first = NONE;
    for (
      let node = this.#half(record, TAIL);
      node !== NONE && cells.read(node, HIT_MS) + this.#recentMs > nowMs;
      node = cells.readHalf(node, PREVIOUS)
    ) {
      count += cells.read(node, COUNT);
      first = node;
    }
    this.#setHalf(record, RECENT, first);
    this.#words[record >>> CHUNK_BITS]![(record & CHUNK_MASK) * WORDS + RECENT_COUNT] = count;
  }

  #overload(record: number): number {
    return this.#half(record, OVERLOAD);
  }

  #ensureOverload(record: number): number {
    const existing = this.#overload(record);
    if (existing !== NONE) return existing;
    const overload = this.#cells.take();
    this.#cells.write(overload, FACTOR_MS, Number.NEGATIVE_INFINITY);
    this.#cells.write(overload, DECLINED_TOTAL, 0);
    this.#cells.write(overload, NEWEST_DECLINED, 0);
    this.#setHalf(record, OVERLOAD, overload);
    return overload;
  }

  #decline(record: number, count: number): void {
    const cells = this.#cells;
    const overload = this.#ensureOverload(record);
    cells.write(overload, DECLINED_TOTAL, cells.read(overload, DECLINED_TOTAL) + count);
    cells.write(overload, NEWEST_DECLINED, cells.read(overload, NEWEST_DECLINED) + count);
  }

  #forgetFactor(record: number): void {
    const overload = this.#overload(record);
    if (overload !== NONE) this.#cells.write(overload, FACTOR_MS, Number.NEGATIVE_INFINITY);
  }
}
