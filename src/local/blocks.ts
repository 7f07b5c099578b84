// Which keys are blocked, and until when. Few keys ever are, so blocks lie beside the records and not in them.

import { KeyIndex } from "./key-index.ts";

/**
 * Always holds: there are at most `maxBlocks` blocks, those that are over included until a sweep or a look drops them.
 * Past that the oldest of some blocks goes.
 */
export class Blocks {
  readonly #maxBlocks: number;
  readonly #untilMs = new KeyIndex();
  #size = 0;

  constructor(maxBlocks: number) {
    this.#maxBlocks = maxBlocks;
  }

  get size(): number {
    return this.#size;
  }

  /** How long a key is still blocked; 0 if it isn't. */
  leftMs(key: string, nowMs: number): number {
    const untilMs = this.#untilMs.get(key);
    return untilMs === undefined || untilMs <= nowMs ? 0 : untilMs - nowMs;
  }

  /** Blocks a key from now on, whether it was blocked or not. */
  set(key: string, untilMs: number, nowMs: number): void {
    if (this.#untilMs.get(key) === undefined) {
      if (this.#size >= this.#maxBlocks) this.#makeRoom(nowMs);
      this.#size++;
    }
    this.#untilMs.set(key, untilMs);
  }

  delete(key: string): void {
    if (this.#untilMs.get(key) === undefined) return;
    this.#untilMs.delete(key);
    this.#size--;
  }

  clear(): void {
    this.#untilMs.clear();
    this.#size = 0;
  }

  /** Drops what is over in a part of the blocks, another part each time. */
  sweep(nowMs: number): void {
    if (this.#size === 0) return;
    for (const [key, untilMs] of this.#untilMs.nextShard()) if (untilMs <= nowMs) this.delete(key);
  }

  #makeRoom(nowMs: number): void {
    this.sweep(nowMs);
    while (this.#size >= this.#maxBlocks) {
      const [oldest] = this.#untilMs.nextShard().keys();
      if (oldest !== undefined) this.delete(oldest);
    }
  }
}
