// Keys and their sliding windows. A key is a record of 64 bytes, one cache line: the newest bucket
// lies in it, so that most calls touch nothing else; older buckets are a linked list of cells.
// Records are dense: forgetting one moves the last into its place, so memory follows the number of
// keys and a sweep reads it in order.
//
// The store is a cursor: `find` selects a key at the present time, and what follows is about that key
// at that time. That spares every step of a call to compute again where its record is, and the time
// from being boxed on its way from step to step.

import type { ForwardClock } from "../core/clock.ts";
import type { Rate } from "../core/rate.ts";
import { type Bucket, cellStartOf } from "../strategy/bucket.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { recentPerSecond, recentSpanMs } from "../strategy/suppressed.ts";
import type { SuppressedView, WindowView } from "../strategy/view.ts";
import { Cells, NONE } from "./cells.ts";
import { CHUNK_BITS, CHUNK_MASK, makeRoom } from "./chunks.ts";
import { KeyIndex } from "./key-index.ts";

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
const OVERLOAD = 12; // a cell with what only suppression over the limit needs
const SEEN = 13; // the newest bucket of the list that has left the recent span
/** SEEN until somebody asks for the recent count, and it begins to be kept. */
const UNTRACKED = -2;

// The words of a bucket's cell. It has the hit time of the bucket after it, not its own:
// so the oldest bucket's end is known, and the next one's, without touching the next one's cell.
const NEXT_HIT_MS = 0;
const COUNT = 1;
const DECLINED = 2;
const NEXT = 3;

// The words of an overload cell.
const FACTOR = 0;
const FACTOR_MS = 1;
const DECLINED_TOTAL = 2;
const NEWEST_DECLINED = 3;

/** How many records an insertion into a full store looks at for some to forget. */
const EVICTION_LOOKS = 128;

/**
 * Totals are exact integers whatever strangers count: they stop at the largest one. What is declined stops
 * at half of it, so that there is always room for what is accepted to be counted.
 */
const MOST = Number.MAX_SAFE_INTEGER;
const MOST_DECLINED = 2 ** 52;

export class WindowStore implements WindowView, SuppressedView {
  readonly #clock: ForwardClock;
  readonly #windowMs: number;
  readonly #bucketMs: number;
  readonly #recentMs: number;
  readonly #maxKeys: number;
  readonly #index = new KeyIndex();
  readonly #cells = new Cells();
  readonly #chunks: Float64Array[] = [];
  /** The same memory as `#chunks`, as integers. */
  readonly #halfChunks: Int32Array[] = [];
  readonly #keyChunks: string[][] = [];
  #size = 0;
  /** Where the next look for a record to give up starts. */
  #hand = 0;
  /** How many records there may be beyond `maxKeys`. */
  readonly #spareKeys: number;
  /** The spare record that was given to a newcomer last, when all were at their limits. */
  #turn = 0;

  // The selected record: its number, its chunk, and where in the chunk its words and halves begin.
  #record = NONE;
  #words: Float64Array = new Float64Array(0);
  #halves: Int32Array = new Int32Array(0);
  #at = 0;
  #nowMs = 0;

  // The cell of the bucket grid that was hit last.
  #cellStartMs = Number.POSITIVE_INFINITY;
  #cellEndMs = Number.NEGATIVE_INFINITY;

  constructor(windowMs: number, bucketMs: number, maxKeys: number, clock: ForwardClock) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#bucketMs = bucketMs;
    this.#recentMs = recentSpanMs(windowMs);
    this.#maxKeys = maxKeys;
    // For every record to be looked at twice while they are taken.
    this.#spareKeys = 2 * Math.ceil((maxKeys / EVICTION_LOOKS) * 1.1);
  }

  /** How many keys are stored, whether live or waiting to be swept. */
  get size(): number {
    return this.#size;
  }

  /** Selects `key` and drops its expired buckets, if it is stored. Its total may be 0 then. */
  find(key: string): boolean {
    this.#nowMs = this.#clock.now();
    const record = this.#index.get(key);
    if (record === undefined) return false;
    this.#select(record);
    if (this.#words[this.#at + OLDEST_MS]! + this.#windowMs <= this.#nowMs) this.#expire();
    return true;
  }

  /** Selects `key` if anything of it is live. */
  findLive(key: string): boolean {
    return this.find(key) && this.observed > 0;
  }

  /** Stores and selects `key`, which `find` hasn't found. A full store gives up another key for it. */
  insert(key: string, rate: Rate): void {
    this.#select(this.#place());
    this.#words.fill(0, this.#at, this.#at + WORDS);
    this.#words[this.#at + RATE] = rate;
    this.#setHalf(HEAD, NONE);
    this.#setHalf(TAIL, NONE);
    this.#setHalf(OVERLOAD, NONE);
    this.#setHalf(SEEN, UNTRACKED);
    this.#keyChunks[this.#record >>> CHUNK_BITS]![this.#record & CHUNK_MASK] = key;
    this.#index.set(key, this.#record);
  }

  /** The time of the last `find`. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get observed(): number {
    return this.#words[this.#at + TOTAL]!;
  }

  get used(): number {
    return this.observed - this.declined;
  }

  get declined(): number {
    const overload = this.#half(OVERLOAD);
    return overload === NONE ? 0 : this.#cells.read(overload, DECLINED_TOTAL);
  }

  get rate(): Rate {
    return this.#words[this.#at + RATE]! as Rate;
  }

  /** The new rate holds from now on, so a factor that was computed for the old one is void. */
  set rate(rate: Rate) {
    if (this.#words[this.#at + RATE] === rate) return;
    this.#words[this.#at + RATE] = rate;
    this.#forgetFactor();
  }

  /** Counts a hit, of which `declined` was denied. */
  addHit(count: number, declined: number): void {
    const hitMs = this.#nowMs;
    const words = this.#words;
    const at = this.#at;
    // Most hits are in the cell of the grid that the hit before was in, whoever's: that saves a division.
    if (hitMs >= this.#cellEndMs || hitMs < this.#cellStartMs) this.#enterCell(hitMs);
    if (words[at + NEWEST_MS]! < this.#cellStartMs || words[at + TOTAL] === 0) this.#startBucket();
    let added = Math.min(count, MOST - words[at + TOTAL]!);
    if (declined === count) added = Math.min(added, MOST_DECLINED - this.declined);
    words[at + NEWEST_MS] = hitMs;
    words[at + NEWEST_COUNT]! += added;
    words[at + TOTAL]! += added;
    words[at + RECENT_COUNT]! += added;
    if (this.#half(HEAD) === NONE) words[at + OLDEST_MS] = hitMs;
    if (declined > 0) this.#decline(Math.min(declined, added));
  }

  get oldestAccepted(): number {
    const head = this.#half(HEAD);
    if (head !== NONE) return this.#cells.read(head, COUNT) - this.#cells.read(head, DECLINED);
    return this.#words[this.#at + NEWEST_COUNT]! - this.#newestDeclined;
  }

  get oldestExpiresInMs(): number {
    return this.#words[this.#at + OLDEST_MS]! + this.#windowMs - this.#nowMs;
  }

  waitMsFor(count: number): number {
    const cells = this.#cells;
    let hitMs = this.#words[this.#at + OLDEST_MS]!;
    let left = count;
    for (let node = this.#half(HEAD); node !== NONE; node = cells.read(node, NEXT)) {
      left -= cells.read(node, COUNT);
      if (left <= 0) break;
      hitMs = this.#hitMsAfter(node);
    }
    return hitMs + this.#windowMs - this.#nowMs;
  }

  freedWith(count: number): number {
    let freed = 0;
    for (let node = this.#half(HEAD); node !== NONE; node = this.#cells.read(node, NEXT)) {
      freed += this.#cells.read(node, COUNT);
      if (freed >= count) return freed;
    }
    return freed + this.#words[this.#at + NEWEST_COUNT]!;
  }

  /**
   * The rate of the live buckets that were hit within the recent span. From the first call on their
   * count is kept up to date, so that a call costs the same however many buckets the span has.
   */
  recentPerSecond(): number {
    const nowMs = this.#nowMs;
    if (this.#half(SEEN) === UNTRACKED) this.#trackRecent();
    const cells = this.#cells;
    let seen = this.#half(SEEN);
    let node = seen === NONE ? this.#half(HEAD) : cells.read(seen, NEXT);
    let hitMs = seen === NONE ? this.#words[this.#at + OLDEST_MS]! : this.#hitMsAfter(seen);
    while (node !== NONE && hitMs + this.#recentMs <= nowMs) {
      this.#words[this.#at + RECENT_COUNT]! -= cells.read(node, COUNT);
      seen = node;
      hitMs = this.#hitMsAfter(seen);
      node = cells.read(seen, NEXT);
    }
    this.#setHalf(SEEN, seen);
    if (hitMs + this.#recentMs <= nowMs) return 0;
    return recentPerSecond(this.#words[this.#at + RECENT_COUNT]!, hitMs, this.#bucketMs, this.#recentMs, nowMs);
  }

  /** The suppression factor that was kept less than `maxAgeMs` ago, or -1. */
  keptFactor(maxAgeMs: number): number {
    const overload = this.#half(OVERLOAD);
    if (overload === NONE || this.#nowMs - this.#cells.read(overload, FACTOR_MS) >= maxAgeMs) return -1;
    return this.#cells.read(overload, FACTOR);
  }

  keepFactor(factor: number): void {
    const overload = this.#ensureOverload();
    this.#cells.write(overload, FACTOR, factor);
    this.#cells.write(overload, FACTOR_MS, this.#nowMs);
  }

  /** Takes `amount` from the newest bucket if that leaves something accepted in it; else does nothing. */
  takeFromNewest(amount: number): boolean {
    const words = this.#words;
    const at = this.#at;
    if (words[at + NEWEST_COUNT]! - this.#newestDeclined <= amount) return false;
    words[at + NEWEST_COUNT]! -= amount;
    words[at + TOTAL]! -= amount;
    words[at + RECENT_COUNT]! -= amount;
    this.#forgetFactor();
    return true;
  }

  /** The live buckets, oldest first. */
  buckets(): Bucket[] {
    const cells = this.#cells;
    const buckets: Bucket[] = [];
    if (this.observed === 0) return buckets;
    let hitMs = this.#words[this.#at + OLDEST_MS]!;
    for (let node = this.#half(HEAD); node !== NONE; node = cells.read(node, NEXT)) {
      buckets.push({ hitMs, count: cells.read(node, COUNT), declined: cells.read(node, DECLINED) });
      hitMs = this.#hitMsAfter(node);
    }
    const count = this.#words[this.#at + NEWEST_COUNT]!;
    buckets.push({ hitMs, count, declined: this.#newestDeclined });
    return buckets;
  }

  /** Makes `buckets`, oldest first, the key's history; without any, forgets the key. */
  replaceBuckets(buckets: readonly Bucket[]): void {
    if (buckets.length === 0) {
      this.remove();
      return;
    }
    this.#empty();
    for (const bucket of buckets) {
      this.#nowMs = bucket.hitMs;
      this.addHit(bucket.count, bucket.declined);
    }
  }

  /** Forgets the selected key; none is selected afterwards. */
  remove(): void {
    this.#empty();
    const record = this.#record;
    this.#index.delete(this.#keyOf(record));
    const last = --this.#size;
    if (record !== last) this.#move(last, record);
    this.#keyChunks[last >>> CHUNK_BITS]!.pop();
    // One empty chunk may stay, so that a size that swings about a chunk's end doesn't thrash.
    this.#keepChunks(this.#size === 0 ? 0 : ((this.#size + CHUNK_MASK) >>> CHUNK_BITS) + 1);
  }

  clear(): void {
    this.#index.clear();
    this.#cells.clear();
    this.#size = 0;
    this.#keepChunks(0);
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
      this.#select(--record);
      if (this.#words[this.#at + NEWEST_MS]! + staleAfterMs <= nowMs) this.remove();
    }
    return record;
  }

  #select(record: number): void {
    this.#record = record;
    this.#words = this.#chunks[record >>> CHUNK_BITS]!;
    this.#halves = this.#halfChunks[record >>> CHUNK_BITS]!;
    this.#at = (record & CHUNK_MASK) * WORDS;
  }

  #half(half: number): number {
    return this.#halves[this.#at * 2 + half]!;
  }

  #setHalf(half: number, value: number): void {
    this.#halves[this.#at * 2 + half] = value;
  }

  #keyOf(record: number): string {
    return this.#keyChunks[record >>> CHUNK_BITS]![record & CHUNK_MASK]!;
  }

  #addRecord(): number {
    const record = this.#size++;
    const words = makeRoom(this.#chunks, record, WORDS);
    if (words) this.#halfChunks[record >>> CHUNK_BITS] = new Int32Array(words.buffer);
    this.#keyChunks[record >>> CHUNK_BITS] ??= [];
    return record;
  }

  #move(from: number, to: number): void {
    const at = (from & CHUNK_MASK) * WORDS;
    const words = this.#chunks[from >>> CHUNK_BITS]!.subarray(at, at + WORDS);
    this.#chunks[to >>> CHUNK_BITS]!.set(words, (to & CHUNK_MASK) * WORDS);
    const key = this.#keyOf(from);
    this.#keyChunks[to >>> CHUNK_BITS]![to & CHUNK_MASK] = key;
    this.#index.set(key, to);
  }

  #keepChunks(count: number): void {
    if (this.#chunks.length <= count) return;
    this.#chunks.length = count;
    this.#halfChunks.length = count;
    this.#keyChunks.length = count;
  }

  /** The place of a new record, within `maxKeys` and the spare ones. */
  #place(): number {
    if (this.#size >= this.#maxKeys) this.#forgetSome();
    if (this.#size < this.#maxKeys + this.#spareKeys) return this.#addRecord();
    // All are at their limits: newcomers take turns in the spare places, and nobody else is forgotten.
    this.#turn = this.#turn + 1 < this.#size ? Math.max(this.#turn + 1, this.#maxKeys) : this.#maxKeys;
    this.#select(this.#turn);
    this.#empty();
    this.#index.delete(this.#keyOf(this.#turn));
    return this.#turn;
  }

  /**
   * Looks at the next records of a full store and forgets the expired ones. New keys take spare places
   * meanwhile. When all records have been looked at so, live keys go too: those with at least half of
   * their capacity unused, until the spare places are free again. And when all have been looked at once more,
   * the least used of those at hand. A key at its limit is never forgotten, or a flood of fresh keys would
   * free whoever is limited.
   */
  #forgetSome(): void {
    const crowded = this.#size >= this.#maxKeys + this.#spareKeys / 2;
    let leastUse = 1;
    let leastUsed = NONE;
    for (let looks = EVICTION_LOOKS; looks > 0 && this.#size > 0; looks--) {
      if (this.#hand >= this.#size) this.#hand = 0;
      this.#select(this.#hand);
      this.#expire();
      const use = this.observed / capacityOf(this.rate, this.#windowMs);
      if (this.observed === 0 || (crowded && use <= 0.5 && this.#size > this.#maxKeys)) {
        this.remove();
        // The last record is in its place now.
        if (leastUsed === this.#size) leastUsed = this.#hand;
        continue;
      }
      if (use < leastUse) {
        leastUse = use;
        leastUsed = this.#hand;
      }
      this.#hand++;
    }
    if (this.#size < this.#maxKeys + this.#spareKeys || leastUsed === NONE) return;
    this.#select(leastUsed);
    this.remove();
  }

  #expire(): void {
    const nowMs = this.#nowMs;
    const words = this.#words;
    const at = this.#at;
    if (words[at + NEWEST_MS]! + this.#windowMs <= nowMs) {
      this.#empty();
      return;
    }
    const cells = this.#cells;
    const overload = this.#half(OVERLOAD);
    let node = this.#half(HEAD);
    while (node !== NONE && words[at + OLDEST_MS]! + this.#windowMs <= nowMs) {
      const count = cells.read(node, COUNT);
      words[at + TOTAL]! -= count;
      words[at + OLDEST_MS] = this.#hitMsAfter(node);
      if (overload !== NONE) this.#expireOverload(overload, node, count);
      const next = cells.read(node, NEXT);
      cells.release(node);
      node = next;
    }
    this.#setHalf(HEAD, node);
    if (node === NONE) this.#setHalf(TAIL, NONE);
  }

  #expireOverload(overload: number, node: number, count: number): void {
    const declined = this.#cells.read(overload, DECLINED_TOTAL) - this.#cells.read(node, DECLINED);
    this.#cells.write(overload, DECLINED_TOTAL, declined);
    // Whatever expires has left the recent span, unless nobody looked since.
    if (this.#half(SEEN) === node) this.#setHalf(SEEN, NONE);
    else if (this.#half(SEEN) === NONE) this.#words[this.#at + RECENT_COUNT]! -= count;
  }

  /** Drops all history and what came with it; the key and its rate stay. */
  #empty(): void {
    const cells = this.#cells;
    let node = this.#half(HEAD);
    while (node !== NONE) {
      const next = cells.read(node, NEXT);
      cells.release(node);
      node = next;
    }
    if (this.#half(OVERLOAD) !== NONE) cells.release(this.#half(OVERLOAD));
    this.#setHalf(HEAD, NONE);
    this.#setHalf(TAIL, NONE);
    this.#setHalf(OVERLOAD, NONE);
    this.#setHalf(SEEN, UNTRACKED);
    this.#words[this.#at + TOTAL] = 0;
    this.#words[this.#at + NEWEST_COUNT] = 0;
  }

  #enterCell(hitMs: number): void {
    this.#cellStartMs = cellStartOf(hitMs, this.#bucketMs);
    this.#cellEndMs = this.#cellStartMs + this.#bucketMs;
  }

  /** Makes room for a new newest bucket: the one before, if any, moves to the end of the list. */
  #startBucket(): void {
    if (this.observed === 0) return;
    const words = this.#words;
    const at = this.#at;
    const cells = this.#cells;
    const node = cells.take();
    const tail = this.#half(TAIL);
    cells.write(node, COUNT, words[at + NEWEST_COUNT]!);
    cells.write(node, DECLINED, this.#newestDeclined);
    cells.write(node, NEXT, NONE);
    if (tail === NONE) {
      this.#setHalf(HEAD, node);
    } else {
      cells.write(tail, NEXT, node);
      cells.write(tail, NEXT_HIT_MS, words[at + NEWEST_MS]!);
    }
    this.#setHalf(TAIL, node);
    if (this.#half(OVERLOAD) !== NONE) cells.write(this.#half(OVERLOAD), NEWEST_DECLINED, 0);
    words[at + NEWEST_COUNT] = 0;
  }

  /** Starts with everything as recent; what isn't will have left at the first look. */
  #trackRecent(): void {
    this.#ensureOverload();
    this.#setHalf(SEEN, NONE);
    this.#words[this.#at + RECENT_COUNT] = this.observed;
  }

  /** The hit time of the bucket that follows the list's bucket `node`: another or the newest. */
  #hitMsAfter(node: number): number {
    if (node === this.#half(TAIL)) return this.#words[this.#at + NEWEST_MS]!;
    return this.#cells.read(node, NEXT_HIT_MS);
  }

  get #newestDeclined(): number {
    const overload = this.#half(OVERLOAD);
    return overload === NONE ? 0 : this.#cells.read(overload, NEWEST_DECLINED);
  }

  #ensureOverload(): number {
    if (this.#half(OVERLOAD) !== NONE) return this.#half(OVERLOAD);
    const overload = this.#cells.take();
    this.#cells.write(overload, FACTOR_MS, Number.NEGATIVE_INFINITY);
    this.#cells.write(overload, DECLINED_TOTAL, 0);
    this.#cells.write(overload, NEWEST_DECLINED, 0);
    this.#setHalf(OVERLOAD, overload);
    return overload;
  }

  #decline(count: number): void {
    const cells = this.#cells;
    const overload = this.#ensureOverload();
    cells.write(overload, DECLINED_TOTAL, cells.read(overload, DECLINED_TOTAL) + count);
    cells.write(overload, NEWEST_DECLINED, cells.read(overload, NEWEST_DECLINED) + count);
  }

  #forgetFactor(): void {
    const overload = this.#half(OVERLOAD);
    if (overload !== NONE) this.#cells.write(overload, FACTOR_MS, Number.NEGATIVE_INFINITY);
  }
}
