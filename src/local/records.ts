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

import { CHUNK_BITS, CHUNK_MASK } from "../core/chunks.ts";
import type { Rate } from "../core/rate.ts";
import { NONE } from "./node-pool.ts";
import { Table } from "./table.ts";

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

/**
 * A table of records, and their keys. A call to the same key as the call before finds its record selected.
 *
 * Always holds: the keys are those of the records 0 to size - 1.
 */
export class Records extends Table {
  readonly #keyChunks: string[][] = [];

  constructor() {
    super(WORDS);
  }

  keyOf(record: number): string {
    return this.#keyChunks[record >>> CHUNK_BITS]![record & CHUNK_MASK]!;
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
    this.#setKey(this.selected, key);
  }

  /** The last record gets the number of the selected one, and its key. */
  override remove(): void {
    this.#setKey(this.selected, this.keyOf(this.size - 1));
    super.remove();
    this.#keyChunks[this.size >>> CHUNK_BITS]!.pop();
    if ((this.size & CHUNK_MASK) === 0) this.#keyChunks.length = this.size >>> CHUNK_BITS;
  }

  override clear(): void {
    super.clear();
    this.#keyChunks.length = 0;
  }

  #setKey(record: number, key: string): void {
    this.#keyChunks[record >>> CHUNK_BITS] ??= [];
    this.#keyChunks[record >>> CHUNK_BITS]![record & CHUNK_MASK] = key;
  }
}
