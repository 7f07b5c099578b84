// How large a lease a process wants: a pure function of what was called for lately.

import type { Timing } from "./timing.ts";

/** A lease that is kept for long is at most this part of what is neither used nor leased. */
const LONG_LEASE_PART = 16;

/** What a key was called for, admitted or not, since its last report. */
export interface Calls {
  /** The counts of the calls, together. */
  readonly count: number;
  /** The time in which they came. */
  readonly spanMs: number;
}

/**
 * About how much was called for within the last `horizonMs`.
 *
 * What came within the span of `calls` counts as if it had come evenly. What was known before fades with time, to
 * nothing after a whole horizon.
 *
 * @param before the result when it was last asked for, at the beginning of the span
 */
export function recentDemand(before: number, calls: Calls, horizonMs: number): number {
  const faded = calls.spanMs < horizonMs ? before * (1 - calls.spanMs / horizonMs) : 0;
  return faded + countWithin(calls, horizonMs);
}

/**
 * How much a lease should hold: twice what was called for lately.
 *
 * "Lately" is at least the short horizon. A lease that lasts for the whole horizon saves round trips for
 * keys that are called now and then, but holds capacity that others may need. So it is wanted only as long as it is a
 * small part of what is neither used nor leased.
 *
 * @param recent the {@link recentDemand} within `horizonMs`
 * @param unleased the capacity that is neither used nor leased
 */
export function wantedLease(
  recent: number,
  calls: Calls,
  unleased: number,
  horizonMs: number,
  { shortHorizonMs }: Pick<Timing, "shortHorizonMs">,
): number {
  const soon = 2 * Math.max((recent * shortHorizonMs) / horizonMs, countWithin(calls, shortHorizonMs));
  const long = Math.min(2 * recent, Math.max(0, unleased) / LONG_LEASE_PART);
  return Math.floor(Math.max(soon, long));
}

/**
 * How much headroom a process should have: twice what draws admit until the answer to the next report. That takes about
 * as long as the time between the last two reports, and it counts as the short horizon at least. The result is at least
 * 1 after any draw.
 *
 * @param recent the {@link recentDemand} of calls that draws admit, within `longHorizonMs`
 * @param draws these calls since the last report
 */
export function wantedHeadroom(
  recent: number,
  draws: Calls,
  { shortHorizonMs, longHorizonMs }: Pick<Timing, "shortHorizonMs" | "longHorizonMs">,
): number {
  const soonMs = Math.min(longHorizonMs, Math.max(shortHorizonMs, draws.spanMs));
  return Math.ceil(2 * Math.max((recent * soonMs) / longHorizonMs, countWithin(draws, soonMs)));
}

/** How much of the calls came within the last `lastMs` of their span. */
function countWithin({ count, spanMs }: Calls, lastMs: number): number {
  return spanMs > lastMs ? (count * lastMs) / spanMs : count;
}
