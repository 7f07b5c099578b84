// Suppressed: how much draws above the limit admit, and what is known of the room under the hard limit. A key has such
// an object only once it has passed its limit, because most keys never do.
//
// What always holds: a draw that admits is noted once, whether or not headroom covered it.

import { LEASES_MOVE_MS } from "./snapshot.ts";
import type { Timing } from "./timing.ts";
import { recentDemand, wantedHeadroom } from "./wants.ts";

export class Draws {
  readonly #timing: Pick<Timing, "shortHorizonMs" | "longHorizonMs">;
  /** The counts of the calls that draws have admitted since the last report. */
  #admitted = 0;
  /** About as much within the last `longHorizonMs`, as of the last report. */
  #recent = 0;
  /** The most that may be used at all, as Redis has said, and until when that is believed. */
  #mostUsed = Number.POSITIVE_INFINITY;
  #believedMs = Number.NEGATIVE_INFINITY;

  constructor(timing: Pick<Timing, "shortHorizonMs" | "longHorizonMs">) {
    this.#timing = timing;
  }

  /** A draw has admitted a call. */
  note(count: number): void {
    this.#admitted += count;
  }

  /** How much headroom is wanted; begins a new span of draws, after one of `spanMs`. */
  takeWanted(spanMs: number): number {
    const draws = { count: this.#admitted, spanMs };
    this.#admitted = 0;
    this.#recent = recentDemand(this.#recent, draws, this.#timing.longHorizonMs);
    return wantedHeadroom(this.#recent, draws, this.#timing);
  }

  /** No headroom is wanted any longer. */
  clear(): void {
    this.#admitted = 0;
    this.#recent = 0;
  }

  /**
   * Redis has said what is used, and what is left of the hard limit by others: together that is the most that may be
   * used. Not for long: what other processes don't need of their headroom they return.
   *
   * @param most with the lease and the headroom of this process, because it returns these when it asks for a call
   */
  noteMostUsed(most: number, nowMs: number): void {
    this.#mostUsed = most;
    this.#believedMs = nowMs + LEASES_MOVE_MS;
  }

  /** What Redis has said was at another rate. */
  forgetMostUsed(): void {
    this.#believedMs = Number.NEGATIVE_INFINITY;
  }

  /** Whether it is known that Redis has no room for a call with which `used` would be used. */
  isKnownOver(used: number, nowMs: number): boolean {
    return used > this.#mostUsed && nowMs < this.#believedMs;
  }
}
