// Forgets stale keys in the background: one timer for a provider, only while it has keys, that
// keeps neither the process nor the provider alive. Where timers end with requests the calls that bring new keys
// do the work of the timer.

import { type ForwardClock, systemClock } from "../core/clock.ts";
import { BackgroundTimer, TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";
import { Watch } from "../core/watch.ts";
import type { WindowStore } from "./window-store.ts";

/** A sweep gives way to the program after about this long, or this many keys where clocks stand still. */
const SLICE_MS = 1;
const SLICE_KEYS = TIMERS_END_WITH_REQUESTS ? 2_048 : 16_384;
/** Keys between two looks at the clock: few, for where one shard of the index shrinks, the next does too. */
const STEP_KEYS = 4;

/** A sweep that isn't complete: where it goes on, and what it has done. */
interface Sweep {
  store: number;
  end: number;
  removed: number;
  durationMs: number;
}

/** A store, and how long after its last hit a key of it is stale. */
interface Swept {
  readonly store: WindowStore;
  readonly staleAfterMs: number;
}

export class Cleanup {
  readonly #swept: Swept[] = [];
  readonly #clock: ForwardClock;
  readonly #intervalMs: number;
  readonly #staleAfterMs: number;
  readonly #timer: BackgroundTimer;
  readonly #watch: Watch;
  #sweeping: Sweep | undefined;
  #nextSweepMs = 0;
  #state: "running" | "stopped" | "closed";

  /**
   * @param staleAfterMs the least; a key is never stale before its window has passed
   * @param state whether it runs at first
   */
  constructor(
    clock: ForwardClock,
    intervalMs: number,
    staleAfterMs: number,
    state: "running" | "stopped",
    watch: Watch = new Watch(false),
  ) {
    this.#state = state;
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#staleAfterMs = staleAfterMs;
    this.#watch = watch;
    const held = heldWeakly(this);
    this.#timer = new BackgroundTimer(() => held.deref()?.run());
  }

  /** Sweeps one more store. */
  add(store: WindowStore, windowMs: number): void {
    this.#swept.push({ store, staleAfterMs: Math.max(windowMs, this.#staleAfterMs) });
  }

  /** A new key is about to be stored. */
  noteNewKey(): void {
    if (this.#state !== "running") return;
    if (TIMERS_END_WITH_REQUESTS) this.#sweepNow();
    else this.#timer.start(this.#intervalMs);
  }

  /** Runs from now on, unless it is closed. */
  start(): void {
    if (this.#state === "closed") return;
    this.#state = "running";
    if (this.#hasKeys) this.#timer.start(this.#intervalMs);
  }

  /** Sweeps nothing until it is started. */
  stop(): void {
    if (this.#state === "running") this.#state = "stopped";
  }

  close(): void {
    this.#state = "closed";
    this.#timer.stop();
  }

  /** One slice of a sweep; true when the sweep is complete. */
  slice(): boolean {
    const at = this.#sweeping ?? { store: 0, end: Number.MAX_SAFE_INTEGER, removed: 0, durationMs: 0 };
    const nowMs = this.#clock.nowOrLast();
    const startMs = systemClock();
    const isComplete = this.#sweepOn(at, nowMs, startMs);
    at.durationMs += systemClock() - startMs;
    this.#sweeping = isComplete ? undefined : at;
    if (isComplete) this.#watch.noteSweep(at.removed, at.durationMs);
    return isComplete;
  }

  /** Goes on until the slice or the sweep is over. Returns whether the sweep is. */
  #sweepOn(at: Sweep, nowMs: number, startMs: number): boolean {
    for (let keys = 0; keys < SLICE_KEYS && systemClock() - startMs < SLICE_MS; keys += STEP_KEYS) {
      const swept = this.#swept[at.store];
      if (swept === undefined) return true;
      const { size } = swept.store;
      at.end = swept.store.sweep(at.end, STEP_KEYS, nowMs, swept.staleAfterMs);
      at.removed += size - swept.store.size;
      if (at.end > 0) continue;
      at.store++;
      at.end = Number.MAX_SAFE_INTEGER;
    }
    return false;
  }

  /** What the timer calls: a slice, and then the next one or the next sweep, while there are keys. */
  run(): void {
    if (this.#state !== "running") return;
    if (!this.slice()) this.#timer.start(0);
    else if (this.#hasKeys) this.#timer.start(this.#intervalMs);
  }

  get #hasKeys(): boolean {
    return this.#swept.some(({ store }) => !store.isEmpty);
  }

  /** A slice if one is due: those of a sweep follow each other call by call, and then there is a pause. */
  #sweepNow(): void {
    const nowMs = systemClock();
    if (nowMs < this.#nextSweepMs) return;
    if (this.slice()) this.#nextSweepMs = nowMs + this.#intervalMs;
  }
}

/**
 * Cloudflare Workers with a compatibility date before 2025-05-05 have no WeakRef. There the timer keeps a provider that
 * has keys alive until they are gone.
 */
function heldWeakly<T extends object>(value: T): { deref(): T | undefined } {
  return typeof WeakRef === "undefined" ? { deref: () => value } : new WeakRef(value);
}
