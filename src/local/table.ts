// A table of rows in typed arrays: the garbage collector has nothing to walk in it, however many rows there are.

import { CHUNK_BITS, CHUNK_MASK, makeRoom } from "../core/chunks.ts";
import { NONE } from "./node-pool.ts";

const NO_WORDS = new Float64Array(0);
const NO_HALVES = new Int32Array(0);

/**
 * Rows are dense: to remove one moves the last into its place, so memory follows the number of rows and a sweep reads
 * memory in order.
 *
 * One row is selected, and its place is kept: that spares every step of a call to compute it again.
 *
 * Always holds: `words` and `halves` are the same memory, the chunk that has the selected row, if there is one; rows
 * are numbered from 0 to size - 1.
 */
export class Table {
  readonly #rowWords: number;
  readonly #chunks: Float64Array[] = [];
  readonly #halfChunks: Int32Array[] = [];
  #size = 0;
  #selected = NONE;
  /** The chunk of the selected row, as 8-byte words, and where in it the row begins. */
  words: Float64Array = NO_WORDS;
  at = 0;
  /** The same chunk, as 32-bit integers. */
  halves: Int32Array = NO_HALVES;

  /** @param rowWords how many 8-byte words a row has */
  constructor(rowWords: number) {
    this.#rowWords = rowWords;
  }

  get size(): number {
    return this.#size;
  }

  get selected(): number {
    return this.#selected;
  }

  select(row: number): void {
    if (row === this.#selected) return;
    this.#selected = row;
    this.words = this.#chunks[row >>> CHUNK_BITS]!;
    this.halves = this.#halfChunks[row >>> CHUNK_BITS]!;
    this.at = (row & CHUNK_MASK) * this.#rowWords;
  }

  half(half: number): number {
    return this.halves[this.at * 2 + half]!;
  }

  setHalf(half: number, value: number): void {
    this.halves[this.at * 2 + half] = value;
  }

  /** Makes room for one more row, and returns its number. */
  add(): number {
    const row = this.#size++;
    const words = makeRoom(this.#chunks, row, this.#rowWords);
    if (words) {
      this.#halfChunks[row >>> CHUNK_BITS] = new Int32Array(words.buffer);
      // The selected row, or one that had its number, may have been in the chunk that the new one replaces.
      this.#selected = NONE;
    }
    return row;
  }

  /** Removes the selected row. The last one gets its number. */
  remove(): void {
    const last = --this.#size;
    if (last !== this.#selected) {
      const from = (last & CHUNK_MASK) * this.#rowWords;
      const moved = this.#chunks[last >>> CHUNK_BITS]!.subarray(from, from + this.#rowWords);
      this.words.set(moved, this.at);
    }
    // One empty chunk may stay, so that a size that swings about a chunk's end does not allocate and free all the time.
    this.#keepChunks(last === 0 ? 0 : ((last + CHUNK_MASK) >>> CHUNK_BITS) + 1);
  }

  clear(): void {
    this.#size = 0;
    this.#keepChunks(0);
  }

  /** Without any chunk it lets go of that of the selected row too, which is up to 4 MB. */
  #keepChunks(count: number): void {
    if (this.#chunks.length <= count) return;
    this.#chunks.length = count;
    this.#halfChunks.length = count;
    if (count > 0) return;
    this.#selected = NONE;
    this.words = NO_WORDS;
    this.halves = NO_HALVES;
  }
}
