// Which keys are blocked, and until when. Few keys ever are, so blocks lie beside the records and not in them.

import { copyOf } from "../core/key.ts";
import { KeyIndex, SHARDS } from "./key-index.ts";

/** A sweep looks at so many blocks, and at the rest of a part of the index. */
const SWEEP_BLOCKS = 8_192;

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
    const isNew = this.#untilMs.get(key) === undefined;
    if (isNew) {
      if (this.#size >= this.#maxBlocks) this.#makeRoom(nowMs);
      this.#size++;
    }
    this.#untilMs.set(isNew ? copyOf(key) : key, untilMs);
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

  /** Drops what is over, in all blocks or in some thousands of them, others each time. */
  sweep(nowMs: number): void {
    let looks = SWEEP_BLOCKS;
    for (let shard = 0; shard < SHARDS && looks > 0 && this.#size > 0; shard++) looks -= this.#sweepShard(nowMs);
  }

  /** Returns at how many blocks it has looked. */
  #sweepShard(nowMs: number): number {
    const shard = this.#untilMs.nextShard();
    const looks = shard.size;
    for (const [key, untilMs] of shard) if (untilMs <= nowMs) this.delete(key);
    return looks;
  }

  #makeRoom(nowMs: number): void {
    this.#sweepShard(nowMs);
    while (this.#size >= this.#maxBlocks) {
      const [oldest] = this.#untilMs.nextShard().keys();
      if (oldest !== undefined) this.delete(oldest);
    }
  }
}
