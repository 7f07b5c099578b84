// A span of time in which something else decides than the backend. It has one beginning and one end, however often the
// backend comes and goes in between.

/** How long nothing else must have decided before the backend is said to be back. */
const CALM_MS = 5_000;

/** What an outage was, when it is over. */
export interface PastOutage {
  /** How many calls something else decided about. */
  readonly calls: number;
  /** From the first of these calls to the last. */
  readonly durationMs: number;
}

/**
 * Always holds: an outage lasts from the first call that something else decides about, until the backend answers a call
 * CALM_MS or more after the last one. So a backend that fails one call in ten makes one outage, and not hundreds.
 */
export class Outage {
  #calls = 0;
  #firstMs = 0;
  #lastMs = 0;

  get lasts(): boolean {
    return this.#calls > 0;
  }

  /** Something else decides about a call. Returns whether the outage begins with it. */
  addCall(nowMs: number): boolean {
    if (this.#calls++ === 0) this.#firstMs = nowMs;
    this.#lastMs = nowMs;
    return this.#calls === 1;
  }

  /** The backend has answered. Returns what the outage was if it ends with that. */
  endAt(nowMs: number): PastOutage | undefined {
    if (!this.lasts || nowMs < this.#lastMs + CALM_MS) return undefined;
    const past = { calls: this.#calls, durationMs: Math.round(this.#lastMs - this.#firstMs) };
    this.#calls = 0;
    return past;
  }
}
