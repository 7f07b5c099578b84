// The keys that a limiter knows: of each of them this process has a lease, hits to report, or an answer of Redis.
//
// What always holds:
// - There are at most `mostKeys`. Calls to other keys are decided without a holder, because memory has to be bounded.
// - A holder goes only when nothing of it can matter any longer, and nothing goes on about its key.
// - While there is a holder, the timer of the sweep runs, until `stop`.

import type { ForwardClock } from "../core/clock.ts";
import { copyOf } from "../core/key.ts";
import { BackgroundTimer } from "../core/timer.ts";
import { Holder } from "./holder.ts";
import { Memory } from "./pieces.ts";
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
  readonly #memory = new Memory();
  readonly #byKey = new Map<string, Holder>();
  readonly #timer = new BackgroundTimer(() => this.#sweep());
  /** Where the sweep goes on; undefined at the beginning. */
  #sweeping: Iterator<Holder> | undefined;

  constructor(timing: Timing, clock: ForwardClock, going: Going, mostKeys = MOST_KEYS) {
    this.#timing = timing;
    this.#clock = clock;
    this.#going = going;
    this.#mostKeys = mostKeys;
  }

  get(key: string): Holder | undefined {
    return this.#byKey.get(key);
  }

  /** The holder of a key, a new one for a key that isn't known; undefined if there is no place for one more key. */
  getOrAdd(key: string): Holder | undefined {
    const known = this.#byKey.get(key);
    if (known !== undefined || this.#byKey.size >= this.#mostKeys) return known;
    const holder = new Holder(copyOf(key), this.#timing, this.#memory);
    this.#byKey.set(holder.key, holder);
    this.#timer.start(SWEEP_MS);
    return holder;
  }

  [Symbol.iterator](): IterableIterator<Holder> {
    return this.#byKey.values();
  }

  /** Ends the sweep, for good. */
  stop(): void {
    this.#timer.stop();
  }

  clear(): void {
    this.#byKey.clear();
  }

  /** Drops holders that are of no use, and has leases returned of keys that nobody calls. */
  #sweep(): void {
    const nowMs = this.#clock.nowOrLast();
    this.#sweeping ??= this.#byKey.values();
    for (let looks = 0; looks < SWEEP_KEYS; looks++) {
      const { value: holder, done } = this.#sweeping.next();
      if (done) {
        this.#sweeping = undefined;
        break;
      }
      if (holder.nextVisit !== "none" || this.#going.isBusy(holder)) continue;
      if (!holder.isUseful(nowMs)) this.#drop(holder);
      else if (holder.lease.isSetAside(nowMs) && holder.isIdle(nowMs)) this.#going.schedule(holder);
    }
    if (this.#byKey.size > 0) this.#timer.start(SWEEP_MS);
  }

  #drop(holder: Holder): void {
    this.#byKey.delete(holder.key);
    holder.release();
  }
}
