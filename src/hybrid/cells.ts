// The ended cells of the outboxes of a limiter, in one table: with many keys most calls end a cell, and objects that
// live until the next report cost the garbage collector as much as such a call takes. A cell is five 8-byte words.

import { CHUNK_BITS, CHUNK_MASK, makeRoom } from "../core/chunks.ts";

/** "No cell": the end of a list. */
export const NO_CELL = -1;

/** The number of the report that brought it first, or 0 while it is pending. */
export const REPORT = 0;
/** The time of the newest hit in it. */
export const CELL_HIT_MS = 1;
export const CELL_COUNT = 2;
export const CELL_DECLINED = 3;
/** The next older cell of the same key, or {@link NO_CELL}. */
export const OLDER = 4;

const WORDS = 5;

/**
 * Takes and releases cells. Always holds: of the cells 0 to made - 1, `taken` are in use, and the others are linked by
 * their word `OLDER` from `#firstFree` on, each once. No cell in use means that none was made.
 */
export class Cells {
  readonly #chunks: Float64Array[] = [];
  #made = 0;
  #taken = 0;
  #firstFree = NO_CELL;

  /** How many cells are in use. */
  get taken(): number {
    return this.#taken;
  }

  take(report: number, hitMs: number, count: number, declined: number, older: number): number {
    const cell = this.#takeAny();
    const words = this.#chunks[cell >>> CHUNK_BITS]!;
    const at = (cell & CHUNK_MASK) * WORDS;
    words[at + REPORT] = report;
    words[at + CELL_HIT_MS] = hitMs;
    words[at + CELL_COUNT] = count;
    words[at + CELL_DECLINED] = declined;
    words[at + OLDER] = older;
    return cell;
  }

  #takeAny(): number {
    this.#taken++;
    const free = this.#firstFree;
    if (free !== NO_CELL) {
      this.#firstFree = this.read(free, OLDER);
      return free;
    }
    const cell = this.#made++;
    makeRoom(this.#chunks, cell, WORDS);
    return cell;
  }

  release(cell: number): void {
    this.#taken--;
    this.write(cell, OLDER, this.#firstFree);
    this.#firstFree = cell;
    if (this.#taken > 0) return;
    // Keeps one chunk for the next cells.
    this.#chunks.length = 1;
    this.#made = 0;
    this.#firstFree = NO_CELL;
  }

  read(cell: number, word: number): number {
    return this.#chunks[cell >>> CHUNK_BITS]![(cell & CHUNK_MASK) * WORDS + word]!;
  }

  write(cell: number, word: number, value: number): void {
    this.#chunks[cell >>> CHUNK_BITS]![(cell & CHUNK_MASK) * WORDS + word] = value;
  }

  add(cell: number, count: number, declined: number): void {
    this.write(cell, CELL_COUNT, this.read(cell, CELL_COUNT) + count);
    this.write(cell, CELL_DECLINED, this.read(cell, CELL_DECLINED) + declined);
  }
}
