// Cells of 32 bytes, four 8-byte words each, in typed chunks. The garbage collector has nothing to
// walk in them, and growing copies nothing.

/** "No cell": the end of a list, or nothing there. */
export const NONE = -1;

const CHUNK_BITS = 12;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
const WORDS = 4;
/** The half word (see `readHalf`) that links free cells; taken cells may use it. */
const NEXT_FREE = 6;

export class Cells {
  #words: Float64Array[] = [];
  #halves: Int32Array[] = [];
  #made = 0;
  #taken = 0;
  #free = NONE;

  /** What the chunks take, in bytes. */
  get bytes(): number {
    return this.#words.length * ((WORDS * 8) << CHUNK_BITS);
  }

  take(): number {
    this.#taken++;
    const free = this.#free;
    if (free !== NONE) {
      this.#free = this.readHalf(free, NEXT_FREE);
      return free;
    }
    const cell = this.#made++;
    if (cell >>> CHUNK_BITS === this.#words.length) {
      const words = new Float64Array(WORDS << CHUNK_BITS);
      this.#words.push(words);
      this.#halves.push(new Int32Array(words.buffer));
    }
    return cell;
  }

  release(cell: number): void {
    this.#taken--;
    if (this.#taken === 0) {
      this.clear();
      return;
    }
    this.writeHalf(cell, NEXT_FREE, this.#free);
    this.#free = cell;
  }

  /** Forgets every cell, and keeps one chunk for what comes next. */
  clear(): void {
    this.#words.length = Math.min(1, this.#words.length);
    this.#halves.length = this.#words.length;
    this.#made = 0;
    this.#taken = 0;
    this.#free = NONE;
  }

  read(cell: number, word: number): number {
    return this.#words[cell >>> CHUNK_BITS]![(cell & CHUNK_MASK) * WORDS + word]!;
  }

  write(cell: number, word: number, value: number): void {
    this.#words[cell >>> CHUNK_BITS]![(cell & CHUNK_MASK) * WORDS + word] = value;
  }

  /** The 32-bit integer in half a word: halves 6 and 7 are word 3. */
  readHalf(cell: number, half: number): number {
    return this.#halves[cell >>> CHUNK_BITS]![(cell & CHUNK_MASK) * WORDS * 2 + half]!;
  }

  writeHalf(cell: number, half: number, value: number): void {
    this.#halves[cell >>> CHUNK_BITS]![(cell & CHUNK_MASK) * WORDS * 2 + half] = value;
  }
}
