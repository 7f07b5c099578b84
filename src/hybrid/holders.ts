// The keys that a limiter knows: of each of them this process has a lease, hits to report, or an answer of Redis.
//
// What always holds:
// - There are at most `mostKeys`. Calls to other keys are decided without a holder, because memory has to be bounded.
// - A holder goes only when nothing of it can matter any longer, and nothing goes on about its key.
// - The index has each holder's key, with the number of that holder's row, and no other.
// - While there is a holder, the timer of the sweep runs, until `stop`.

import type { ForwardClock } from "../core/clock.ts";
import { copyOf } from "../core/key.ts";
import { BackgroundTimer } from "../core/timer.ts";
import { Holder } from "./holder.ts";
import { Memory } from "./pieces.ts";
import { ShortWay } from "./short-way.ts";
import type { Timing } from "./timing.ts";

const MOST_KEYS = 250_000;
/** Between two looks for keys that need not be known any longer, and how many are looked at. */
const SWEEP_MS = 100;
const SWEEP_KEYS = 5_000;

/** What goes on about a key. */
interface Going {
  /** Whether a call about the key waits, or a report is under way. */
  isBusy(holder: Holder): boolean;
  /** Has the holder visited when it wants to be. */
  schedule(holder: Holder): void;
}

export class Holders implements Iterable<Holder> {
  readonly #timing: Timing;
  readonly #clock: ForwardClock;
  readonly #going: Going;
  readonly #mostKeys: number;
  readonly #memory = new Memory<Holder>();
  /** One map, not many small ones as on Local, because those would cost a call to a hot key two fifths more. */
  readonly #index = new Map<string, number>();
  readonly #timer = new BackgroundTimer(() => this.#sweep());
  /** Admits calls to these keys by their rows alone, where it can. */
  readonly shortWay: ShortWay;
  /** Where the sweep goes on: it looks at the row before. It goes downwards, so a row that moves was looked at. */
  #sweepEnd = 0;

  constructor(timing: Timing, clock: ForwardClock, going: Going, mostKeys = MOST_KEYS) {
    this.#timing = timing;
    this.#clock = clock;
    this.#going = going;
    this.#mostKeys = mostKeys;
    this.shortWay = new ShortWay(this.#memory, timing);
  }

  /** Which row a key has; undefined for a key that isn't known. */
  rowOf(key: string): number | undefined {
    return this.#index.get(key);
  }

  /** The holder that has a row. */
  ofRow(row: number): Holder {
    return this.#memory.rows.ownerOf(row);
  }

  get(key: string): Holder | undefined {
    const row = this.#index.get(key);
    return row === undefined ? undefined : this.ofRow(row);
  }

  /** The holder of a key, a new one for a key that isn't known; undefined if there is no place for one more key. */
  getOrAdd(key: string): Holder | undefined {
    const known = this.get(key);
    if (known !== undefined || this.#memory.rows.size >= this.#mostKeys) return known;
    const holder = new Holder(copyOf(key), this.#timing, this.#memory);
    this.#index.set(holder.key, holder.row);
    this.#timer.start(SWEEP_MS);
    return holder;
  }

  [Symbol.iterator](): IterableIterator<Holder> {
    return this.#memory.rows.owners.values();
  }

  /** Ends the sweep, for good. */
  stop(): void {
    this.#timer.stop();
  }

  clear(): void {
    this.#index.clear();
    this.#memory.rows.clear();
  }

  /** Drops holders that are of no use, and has leases returned of keys that nobody calls. */
  #sweep(): void {
    const nowMs = this.#clock.nowOrLast();
    const { rows } = this.#memory;
    let row = this.#sweepEnd > 0 ? Math.min(this.#sweepEnd, rows.size) : rows.size;
    const stop = Math.max(0, row - SWEEP_KEYS);
    while (row > stop) {
      const holder = rows.ownerOf(--row);
      if (holder.nextVisit !== "none" || this.#going.isBusy(holder)) continue;
      if (!holder.isUseful(nowMs)) this.#drop(holder);
      else if (holder.lease.isSetAside(nowMs) && holder.isIdle(nowMs)) this.#going.schedule(holder);
    }
    this.#sweepEnd = row;
    if (rows.size > 0) this.#timer.start(SWEEP_MS);
  }

  #drop(holder: Holder): void {
    this.#index.delete(holder.key);
    const moved = this.#memory.rows.takeBack(holder);
    if (moved !== undefined) this.#index.set(moved.key, moved.row);
  }
}
