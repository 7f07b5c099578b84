// Keys and their windows. Which record is whose is told by an index; `find` selects a key's record at the present time,
// and `window` is its window from then on.

import type { ForwardClock } from "../core/clock.ts";
import { copyOf } from "../core/key.ts";
import type { Rate } from "../core/rate.ts";
import { Watch } from "../core/watch.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { Blocks } from "./blocks.ts";
import { Eviction } from "./eviction.ts";
import { KeyIndex } from "./key-index.ts";
import { NONE, NodePool } from "./node-pool.ts";
import { Overload } from "./overload.ts";
import { NEWEST_MS, Records } from "./records.ts";
import type { RecordIndex, SharedIndex } from "./shared-index.ts";
import { Shedding } from "./shedding.ts";
import { Window } from "./window.ts";

/** Always holds: the index has each record's key, with that record's number, and no other. */
export class WindowStore {
  readonly #clock: ForwardClock;
  readonly #windowMs: number;
  readonly #nodes = new NodePool();
  readonly #records = new Records();
  readonly #index: RecordIndex;
  /** The index of keys that this store shares with others; undefined if it has an index of its own. */
  readonly shared: SharedIndex | undefined;
  /** The number of this store in the shared index; NONE without one. */
  readonly column: number;
  readonly #eviction: Eviction;
  readonly blocks: Blocks;
  /** The window of the selected key at the time of the last `find`. */
  readonly window: Window;
  /** Decides about calls to the selected key that are over the soft limit. */
  readonly shedding: Shedding;

  constructor(
    windowMs: number,
    bucketMs: number,
    maxKeys: number,
    clock: ForwardClock,
    watch: Watch = new Watch(false),
    shared?: SharedIndex,
  ) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    const column = shared?.join(this.#records);
    this.shared = shared;
    this.column = column?.store ?? NONE;
    this.#index = column ?? new KeyIndex();
    this.#eviction = new Eviction(maxKeys, watch);
    this.blocks = new Blocks(maxKeys);
    const overload = new Overload(this.#records, this.#nodes);
    this.window = new Window(this.#records, this.#nodes, overload, windowMs, bucketMs);
    this.shedding = new Shedding(this.#records, this.#nodes, overload, this.window);
  }

  /** How many keys are stored, whether live or waiting to be swept. */
  get size(): number {
    return this.#records.size;
  }

  /** How many nodes are in use. */
  get nodes(): number {
    return this.#nodes.taken;
  }

  /** Selects `key`, if it is stored. All of it may have expired. */
  find(key: string): boolean {
    const nowMs = this.#clock.now();
    const record = this.#index.get(key);
    if (record === undefined) return this.#noteTime(nowMs);
    this.#records.select(record);
    this.window.lookAt(nowMs);
    return true;
  }

  /** Selects `key`, if it is stored, and doesn't look at its window yet. */
  selectOnly(key: string): boolean {
    const record = this.#index.get(key);
    if (record === undefined) return false;
    this.#records.select(record);
    return true;
  }

  /** The same for the key that was found in the shared index. */
  selectFound(shared: SharedIndex): boolean {
    const record = shared.recordIn(this.column);
    if (record < 0) return false;
    this.#records.select(record);
    return true;
  }

  /** Whether any key may be blocked. */
  get hasBlocks(): boolean {
    return this.blocks.size > 0;
  }

  /** How long `key` is still blocked, after a `find`; 0 if it isn't. */
  blockedMs(key: string): number {
    return this.blocks.size === 0 ? 0 : this.blocks.leftMs(key, this.window.nowMs);
  }

  /** Blocks `key` for `ms` from the time of the last `find` on. */
  block(key: string, ms: number): void {
    const { nowMs } = this.window;
    this.blocks.set(key, nowMs + ms, nowMs);
  }

  /** Whether nothing is stored, blocks included. */
  get isEmpty(): boolean {
    return this.size === 0 && this.blocks.size === 0;
  }

  /** Selects `key` if anything of it is live. */
  findLive(key: string): boolean {
    return this.find(key) && this.window.observed > 0;
  }

  /** Stores and selects `key`, which `find` has not found. A full store forgets another key for it. */
  insert(key: string, rate: Rate): void {
    const { nowMs } = this.window;
    const vacated = this.#eviction.makeRoom(this);
    this.#records.select(vacated < 0 ? this.#records.add() : vacated);
    const kept = copyOf(key);
    this.#records.begin(kept, rate);
    this.window.lookAt(nowMs);
    this.#index.set(kept, this.#records.selected);
  }

  /** Forgets the selected key; none is selected afterwards. */
  remove(): void {
    const records = this.#records;
    this.window.empty();
    const record = records.selected;
    this.#index.delete(records.keyOf(record));
    records.remove();
    if (record < records.size) this.#index.set(records.keyOf(record), record);
  }

  clear(): void {
    this.#index.clear();
    this.blocks.clear();
    this.#nodes.clear();
    this.#records.clear();
    this.window.clear();
  }

  /**
   * Forgets those of the `count` records below `end` that were last hit `staleAfterMs` ago or
   * longer. Goes downwards, so that the record which moves into a gap has been seen.
   *
   * @returns where to go on: the `end` of the next call, 0 when done
   */
  sweep(end: number, count: number, nowMs: number, staleAfterMs: number): number {
    const records = this.#records;
    if (end > records.size) this.blocks.sweep(nowMs);
    let record = Math.min(end, records.size);
    const stop = Math.max(0, record - count);
    while (record > stop) {
      records.select(--record);
      if (records.words[records.at + NEWEST_MS]! + staleAfterMs <= nowMs) this.remove();
    }
    return record;
  }

  // For eviction.

  /** Selects a record by its number, at the time of the last `find`. */
  lookAtRecord(record: number): void {
    this.#records.select(record);
    this.window.lookAt(this.window.nowMs);
  }

  get observed(): number {
    return this.window.observed;
  }

  /** How much of its capacity the selected key has used, or tried to. */
  get useOfCapacity(): number {
    return this.window.observed / capacityOf(this.window.rate, this.#windowMs);
  }

  /** Forgets the key of a record, which gets another key at once. */
  vacate(record: number): void {
    this.#records.select(record);
    this.window.empty();
    this.#index.delete(this.#records.keyOf(record));
  }

  #noteTime(nowMs: number): false {
    this.window.noteTime(nowMs);
    return false;
  }
}
