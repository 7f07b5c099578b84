// Cells of 32 bytes, four 8-byte words each, and a list of those that are free.

import { CHUNK_BITS, CHUNK_MASK, makeRoom } from "./chunks.ts";

/** "No cell": the end of a list, or nothing there. */
export const NONE = -1;

const WORDS = 4;
/** The word that links free cells; taken cells may use it. */
const NEXT_FREE = 3;

export class Cells {
  readonly #chunks: Float64Array[] = [];
  #made = 0;
  #taken = 0;
  #free = NONE;

  take(): number {
    this.#taken++;
    const free = this.#free;
    if (free !== NONE) {
      this.#free = this.read(free, NEXT_FREE);
      return free;
    }
    const cell = this.#made++;
    makeRoom(this.#chunks, cell, WORDS);
    return cell;
  }

  release(cell: number): void {
    this.#taken--;
    if (this.#taken === 0) {
      this.clear();
      return;
    }
    this.write(cell, NEXT_FREE, this.#free);
    this.#free = cell;
  }

  /** Forgets every cell, and keeps one chunk for what comes next. */
  clear(): void {
    this.#chunks.length = Math.min(1, this.#chunks.length);
    this.#made = 0;
    this.#taken = 0;
    this.#free = NONE;
  }

  read(cell: number, word: number): number {
    return this.#chunks[cell >>> CHUNK_BITS]![(cell & CHUNK_MASK) * WORDS + word]!;
  }

  write(cell: number, word: number, value: number): void {
    this.#chunks[cell >>> CHUNK_BITS]![(cell & CHUNK_MASK) * WORDS + word] = value;
  }
}
