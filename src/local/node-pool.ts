// Nodes of 32 bytes, four 8-byte words each. What the words mean is up to who takes a node.

import { CHUNK_BITS, CHUNK_MASK, makeRoom } from "./chunks.ts";

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
    makeRoom(this.#chunks, node, WORDS);
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

  /** The memory that has `node`, for who reads or writes several words of it. They begin at `placeOf(node)`. */
  chunkOf(node: number): Float64Array {
    return this.#chunks[node >>> CHUNK_BITS]!;
  }

  placeOf(node: number): number {
    return (node & CHUNK_MASK) * WORDS;
  }
}
