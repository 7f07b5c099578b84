// The table of records, one for each key. A record has 64 bytes, one cache line, so that most calls touch nothing else:
//
//   byte  0        8          16       24         32        40     48              56
//        +--------+----------+--------+----------+---------+------+---------------+--------+
//        | newest | accepted | used   | oldest   | head    | rate | overload      | finger |
//        | hit ms | in the   | in all | hit ms   | and     |      | and           | count  |
//        |        | newest   |        |          | tail    |      | finger        |        |
//        +--------+----------+--------+----------+---------+------+---------------+--------+
//
// The newest bucket lies in the record. Older buckets are a linked list of nodes from head to tail, oldest first.
// A record counts what was accepted. What was declined is counted in the overload node, which most keys do not have.

import { CHUNK_BITS, CHUNK_MASK, makeRoom } from "../core/chunks.ts";
import type { Rate } from "../core/rate.ts";
import { NONE } from "./node-pool.ts";

const WORDS = 8;
export const RECORD_BYTES = WORDS * 8;

// The 8-byte words of a record.
/** The time of the newest hit; -Infinity when nothing is counted. */
export const NEWEST_MS = 0;
export const NEWEST_ACCEPTED = 1;
export const USED = 2;
/**
 * The time of the newest hit in the oldest bucket, or an earlier one of that bucket; Infinity when nothing is counted.
 */
export const OLDEST_MS = 3;
export const RATE = 5;
/** How much the buckets up to the finger count (see finger.ts). */
export const FINGER_COUNT = 7;

// Words 4 and 6 hold two 32-bit numbers of nodes each, at these places of the same memory.
export const HEAD = 8;
export const TAIL = 9;
export const OVERLOAD = 12;
/** The bucket of the list that the finger is at. */
export const FINGER = 13;

const NO_WORDS = new Float64Array(0);
const NO_HALVES = new Int32Array(0);

/**
 * Records are dense: to remove one moves the last into its place, so memory follows the number of keys and a sweep
 * reads memory in order.
 *
 * One record is selected, and its place is kept: that spares every step of a call to compute it again, and a call to
 * the same key as the call before to look it up. Always holds: `words` and `halves` are the same memory, the chunk that
 * has the selected record, if there is one; the keys are those of the records 0 to size - 1.
 */
export class Records {
  readonly #chunks: Float64Array[] = [];
  readonly #halfChunks: Int32Array[] = [];
  readonly #keyChunks: string[][] = [];
  #size = 0;
  #selected = NONE;
  /** The chunk of the selected record, as 8-byte words, and where in it the record begins. */
  words: Float64Array = NO_WORDS;
  at = 0;
  /** The same chunk, as 32-bit integers. */
  halves: Int32Array = NO_HALVES;

  get size(): number {
    return this.#size;
  }

  get selected(): number {
    return this.#selected;
  }

  select(record: number): void {
    if (record === this.#selected) return;
    this.#selected = record;
    this.words = this.#chunks[record >>> CHUNK_BITS]!;
    this.halves = this.#halfChunks[record >>> CHUNK_BITS]!;
    this.at = (record & CHUNK_MASK) * WORDS;
  }

  half(half: number): number {
    return this.halves[this.at * 2 + half]!;
  }

  setHalf(half: number, value: number): void {
    this.halves[this.at * 2 + half] = value;
  }

  keyOf(record: number): string {
    return this.#keyChunks[record >>> CHUNK_BITS]![record & CHUNK_MASK]!;
  }

  /** Makes room for one more record, and returns its number. */
  add(): number {
    const record = this.#size++;
    const words = makeRoom(this.#chunks, record, WORDS);
    if (words) {
      this.#halfChunks[record >>> CHUNK_BITS] = new Int32Array(words.buffer);
      // The selected record, or one that had its number, may have been in the chunk that the new one replaces.
      this.#selected = NONE;
    }
    this.#keyChunks[record >>> CHUNK_BITS] ??= [];
    return record;
  }

  /** Makes the selected record that of `key`, with nothing counted. */
  begin(key: string, rate: Rate): void {
    const { words, at } = this;
    words.fill(0, at, at + WORDS);
    words[at + NEWEST_MS] = Number.NEGATIVE_INFINITY;
    words[at + OLDEST_MS] = Number.POSITIVE_INFINITY;
    words[at + RATE] = rate;
    this.setHalf(HEAD, NONE);
    this.setHalf(TAIL, NONE);
    this.setHalf(OVERLOAD, NONE);
    this.setHalf(FINGER, NONE);
    this.#keyChunks[this.#selected >>> CHUNK_BITS]![this.#selected & CHUNK_MASK] = key;
  }

  /**
   * Removes the selected record. The last one gets its number: returns that one's key, or undefined if it was the last.
   */
  remove(): string | undefined {
    const removed = this.#selected;
    const last = --this.#size;
    const movedKey = removed === last ? undefined : this.#move(last, removed);
    this.#keyChunks[last >>> CHUNK_BITS]!.pop();
    // One empty chunk may stay, so that a size that swings about a chunk's end does not allocate and free all the time.
    this.#keepChunks(this.#size === 0 ? 0 : ((this.#size + CHUNK_MASK) >>> CHUNK_BITS) + 1);
    return movedKey;
  }

  clear(): void {
    this.#size = 0;
    this.#keepChunks(0);
  }

  #move(from: number, to: number): string {
    const at = (from & CHUNK_MASK) * WORDS;
    const words = this.#chunks[from >>> CHUNK_BITS]!.subarray(at, at + WORDS);
    this.#chunks[to >>> CHUNK_BITS]!.set(words, (to & CHUNK_MASK) * WORDS);
    const key = this.keyOf(from);
    this.#keyChunks[to >>> CHUNK_BITS]![to & CHUNK_MASK] = key;
    return key;
  }

  #keepChunks(count: number): void {
    if (this.#chunks.length <= count) return;
    this.#chunks.length = count;
    this.#halfChunks.length = count;
    this.#keyChunks.length = count;
    if (count === 0) this.#selectNone();
  }

  /** Lets go of the chunk of the selected record too, which is up to 4 MB. */
  #selectNone(): void {
    this.#selected = NONE;
    this.words = NO_WORDS;
    this.halves = NO_HALVES;
  }
}
