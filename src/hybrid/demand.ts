// How much a key is called for here. How large a lease is follows from that, and how long an unspent one is kept. The
// holder counts the calls, because with many keys a look at one object more is a cache miss.
//
// What always holds: `recent` is about what was called for within the last `horizonMs`, as of the last report.

import type { Lease } from "./lease.ts";
import { CALLED_MS, IS_SCARCE, RECENT, REPORTED_MS, type Row, read, write } from "./rows.ts";
import type { Timing } from "./timing.ts";
import { recentDemand, wantedLease } from "./wants.ts";

/** Capacity is scarce when less than this part of it is neither used nor leased. */
const SCARCE_PART = 32;

/**
 * A view of a row, where all its numbers are.
 *
 * | word          | means                                                    |
 * |---------------|----------------------------------------------------------|
 * | `RECENT`      | see above                                                |
 * | `IS_SCARCE`   | 1 if capacity was scarce as of the last answer, else 0   |
 * | `REPORTED_MS` | when the last report was                                 |
 * | `CALLED_MS`   | when a report last said that there were calls            |
 */
export class Demand {
  readonly #row: Row;
  readonly #timing: Timing;

  constructor(row: Row, timing: Timing) {
    this.#row = row;
    this.#timing = timing;
  }

  get recent(): number {
    return read(this.#row, RECENT);
  }

  /** How far back demand is looked at, and how long an unspent lease is kept. */
  get #horizonMs(): number {
    return read(this.#row, IS_SCARCE) === 1 ? this.#timing.shortHorizonMs : this.#timing.longHorizonMs;
  }

  /** How long ago the last report was. */
  sinceReportMs(nowMs: number): number {
    return nowMs - read(this.#row, REPORTED_MS);
  }

  /**
   * How large a lease is wanted with a report that is made now; begins a new span of calls.
   *
   * @param called the counts of the calls since the last report
   * @param unleased the capacity that is neither used nor leased
   */
  takeWanted(called: number, unleased: number, nowMs: number): number {
    const calls = { count: called, spanMs: this.sinceReportMs(nowMs) };
    const horizonMs = this.#horizonMs;
    const recent = recentDemand(this.recent, calls, horizonMs);
    write(this.#row, RECENT, recent);
    if (called > 0) write(this.#row, CALLED_MS, nowMs);
    write(this.#row, REPORTED_MS, nowMs);
    return wantedLease(recent, calls, unleased, horizonMs, this.#timing);
  }

  /** Redis has said how much of the capacity is neither used nor leased. */
  noteUnleased(unleased: number, limit: number): void {
    write(this.#row, IS_SCARCE, SCARCE_PART * unleased < limit ? 1 : 0);
  }

  /** No lease is wanted any longer. */
  clear(): void {
    write(this.#row, RECENT, 0);
  }

  /** Whether nobody has called for so long that something of the lease should go back. */
  isIdle({ left, headroom }: Lease, nowMs: number): boolean {
    const keepsHeadroom = left === 0 && headroom > 0;
    return nowMs >= read(this.#row, CALLED_MS) + (keepsHeadroom ? this.#timing.longHorizonMs : this.#horizonMs);
  }

  /** Whether nobody has called for so long that headroom should go back too, for which others seldom wait. */
  isLongIdle(nowMs: number): boolean {
    return nowMs >= read(this.#row, CALLED_MS) + this.#timing.longHorizonMs;
  }

  /** Whether to look in every round if the lease should go back: while capacity is scarce, others wait for it. */
  get isScarce(): boolean {
    return this.#horizonMs === this.#timing.shortHorizonMs;
  }
}
