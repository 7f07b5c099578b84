// Tells that the machine was suspended. On Linux the monotonic clock stands still during that time, and the wall clock
// goes on. Redis counts a lease by its own clock, which goes on too. So a process that wakes has to know that its
// lease may be over.
//
// A wall clock may also be set. Forward, that looks like a suspension, and costs the process what it has leased. Back,
// that hides a suspension of the same length, if both happen within one lease.

/** The wall clock is looked at no sooner than after so much monotonic time, because a look takes as long as a call. */
const LOOK_EVERY_MS = 1;

/**
 * How much the wall clock may gain on the monotonic clock without a suspension. The two are read one after the other,
 * the wall clock in whole milliseconds, and on some systems their speeds differ a little.
 */
export const CLOCK_TOLERANCE_MS = 50;

export class WallClock {
  readonly #isUsed: boolean;
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** How far the wall clock was ahead at the first look. Undefined before it. */
  #firstAheadMs: number | undefined;
  #aheadMs = 0;

  /** @param isUsed false with the option `clock`, because a wall clock says nothing about the user's clock */
  constructor(isUsed: boolean) {
    this.#isUsed = isUsed;
  }

  /**
   * How far the wall clock has gained on the monotonic one since the first look, in whole milliseconds.
   *
   * @param nowMs the monotonic time
   */
  aheadMs(nowMs: number): number {
    if (nowMs - this.#lookedMs >= LOOK_EVERY_MS) this.#look(nowMs);
    return this.#aheadMs;
  }

  #look(nowMs: number): void {
    if (!this.#isUsed) return;
    this.#lookedMs = nowMs;
    const aheadMs = Date.now() - nowMs;
    this.#firstAheadMs ??= aheadMs;
    this.#aheadMs = Math.round(aheadMs - this.#firstAheadMs);
  }
}
