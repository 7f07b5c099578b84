/** Reads the time in milliseconds; fractions count. */
export type Clock = () => number;

// Held here because the global is a getter in Node, which costs as much as a fifth of a call.
const { performance } = globalThis;

/** Monotonic in every runtime, so that setting the system's clock changes nothing. */
export const systemClock: Clock = () => performance.now();

/**
 * Time that only moves forward (guarantee G6), whatever `clock` does. A step back is taken as a
 * pause: time stands still for that call and goes on from there, so a clock that was set back by
 * an hour doesn't hold anybody's limit for an hour. What isn't a finite number is a pause too: before
 * the first reading time stands still at 0, and goes on from there.
 */
export class ForwardClock {
  readonly #clock: Clock;
  #lastReading = -Number.MAX_VALUE;
  #offsetMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    const reading = this.#clock();
    if (reading >= this.#lastReading && reading < Number.POSITIVE_INFINITY) {
      this.#lastReading = reading;
      return reading + this.#offsetMs;
    }
    return this.#paused(reading);
  }

  /** The time for work in the background; the last one when the user's clock throws, because nobody could be told. */
  nowOrLast(): number {
    try {
      return this.now();
    } catch {
      return this.#paused(Number.NaN);
    }
  }

  #paused(reading: number): number {
    if (this.#lastReading === -Number.MAX_VALUE) {
      // The sum of the two is the time, which is 0. The first real reading is a step back from this last one, and so a
      // pause. A step ahead would expire all that was counted.
      this.#lastReading = Number.MAX_VALUE;
      this.#offsetMs = -Number.MAX_VALUE;
    }
    const nowMs = this.#lastReading + this.#offsetMs;
    if (Number.isFinite(reading)) {
      this.#offsetMs = nowMs - reading;
      this.#lastReading = reading;
    }
    return nowMs;
  }
}
