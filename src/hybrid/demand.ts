// How much a key is called for here. How large a lease is follows from that, and how long an unspent one is kept. The
// holder counts the calls, because with many keys a look at one object more is a cache miss.
//
// What always holds: `recent` is about what was called for within the last `horizonMs`, as of the last report.

import type { Lease } from "./lease.ts";
import type { Timing } from "./timing.ts";
import { recentDemand, wantedLease } from "./wants.ts";

/** Capacity is scarce when less than this part of it is neither used nor leased. */
const SCARCE_PART = 32;

export class Demand {
  readonly #timing: Timing;
  #recent = 0;
  #reportedMs = Number.NEGATIVE_INFINITY;
  /** How far back demand is looked at, and how long an unspent lease is kept: `shortHorizonMs` or `longHorizonMs`. */
  #horizonMs: number;
  /** When a report last said that there were calls. */
  #calledMs = Number.NEGATIVE_INFINITY;

  constructor(timing: Timing) {
    this.#timing = timing;
    this.#horizonMs = timing.longHorizonMs;
  }

  get recent(): number {
    return this.#recent;
  }

  /** How long ago the last report was. */
  sinceReportMs(nowMs: number): number {
    return nowMs - this.#reportedMs;
  }

  /**
   * How large a lease is wanted with a report that is made now; begins a new span of calls.
   *
   * @param called the counts of the calls since the last report
   * @param unleased the capacity that is neither used nor leased
   */
  takeWanted(called: number, unleased: number, nowMs: number): number {
    const calls = { count: called, spanMs: this.sinceReportMs(nowMs) };
    this.#recent = recentDemand(this.#recent, calls, this.#horizonMs);
    if (called > 0) this.#calledMs = nowMs;
    this.#reportedMs = nowMs;
    return wantedLease(this.#recent, calls, unleased, this.#horizonMs, this.#timing);
  }

  /** Redis has said how much of the capacity is neither used nor leased. */
  noteUnleased(unleased: number, limit: number): void {
    this.#horizonMs = SCARCE_PART * unleased < limit ? this.#timing.shortHorizonMs : this.#timing.longHorizonMs;
  }

  /** No lease is wanted any longer. */
  clear(): void {
    this.#recent = 0;
  }

  /** Whether nobody has called for so long that something of the lease should go back. */
  isIdle({ left, headroom }: Lease, nowMs: number): boolean {
    const keepsHeadroom = left === 0 && headroom > 0;
    return nowMs >= this.#calledMs + (keepsHeadroom ? this.#timing.longHorizonMs : this.#horizonMs);
  }

  /** Whether nobody has called for so long that headroom should go back too, for which others seldom wait. */
  isLongIdle(nowMs: number): boolean {
    return nowMs >= this.#calledMs + this.#timing.longHorizonMs;
  }

  /** Whether to look in every round if the lease should go back: while capacity is scarce, others wait for it. */
  get isScarce(): boolean {
    return this.#horizonMs === this.#timing.shortHorizonMs;
  }
}
