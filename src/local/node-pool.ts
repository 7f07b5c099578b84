// Nodes of 32 bytes, four 8-byte words each. What the words mean is up to who takes a node. A word may be two 32-bit
// numbers in place of one double.

import { CHUNK_BITS, CHUNK_MASK, makeRoom } from "../core/chunks.ts";

/** "No node": the end of a list, or nothing there. */
export const NONE = -1;

const WORDS = 4;
/** In a free node, the next free one. */
const NEXT_FREE = 3;

/**
 * Takes and releases nodes. Always holds: of the nodes 0 to made - 1, `taken` are in use, and the others are linked
 * from `#firstFree` on, each once. No node in use means that none was made.
 */
export class NodePool {
  readonly #chunks: Float64Array[] = [];
  /** The same memory as 32-bit integers. */
  readonly #halfChunks: Int32Array[] = [];
  #made = 0;
  #taken = 0;
  #firstFree = NONE;

  /** How many nodes are in use. */
  get taken(): number {
    return this.#taken;
  }

  /** A node with whatever its words were before. */
  take(): number {
    this.#taken++;
    const free = this.#firstFree;
    if (free !== NONE) {
      this.#firstFree = this.read(free, NEXT_FREE);
      return free;
    }
    const node = this.#made++;
    const words = makeRoom(this.#chunks, node, WORDS);
    if (words) this.#halfChunks[node >>> CHUNK_BITS] = new Int32Array(words.buffer);
    return node;
  }

  release(node: number): void {
    this.#taken--;
    if (this.#taken === 0) {
      this.clear();
      return;
    }
    this.write(node, NEXT_FREE, this.#firstFree);
    this.#firstFree = node;
  }

  /** Releases every node, and keeps one chunk for the next nodes. */
  clear(): void {
    this.#chunks.length = Math.min(1, this.#chunks.length);
    this.#halfChunks.length = this.#chunks.length;
    this.#made = 0;
    this.#taken = 0;
    this.#firstFree = NONE;
  }

  read(node: number, word: number): number {
    return this.#chunks[node >>> CHUNK_BITS]![(node & CHUNK_MASK) * WORDS + word]!;
  }

  write(node: number, word: number, value: number): void {
    this.#chunks[node >>> CHUNK_BITS]![(node & CHUNK_MASK) * WORDS + word] = value;
  }

  readHalf(node: number, half: number): number {
    return this.#halfChunks[node >>> CHUNK_BITS]![(node & CHUNK_MASK) * WORDS * 2 + half]!;
  }

  writeHalf(node: number, half: number, value: number): void {
    this.#halfChunks[node >>> CHUNK_BITS]![(node & CHUNK_MASK) * WORDS * 2 + half] = value;
  }

  /** The memory that has `node`, for who reads or writes several words of it. They begin at `placeOf(node)`. */
  chunkOf(node: number): Float64Array {
    return this.#chunks[node >>> CHUNK_BITS]!;
  }

  /** The same memory as 32-bit integers, two to a word. */
  halfChunkOf(node: number): Int32Array {
    return this.#halfChunks[node >>> CHUNK_BITS]!;
  }

  placeOf(node: number): number {
    return (node & CHUNK_MASK) * WORDS;
  }
}
