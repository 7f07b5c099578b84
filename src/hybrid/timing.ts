// The lengths of time that all keys of a limiter have in common, derived from its options.

import { CLOCK_TOLERANCE_MS } from "./wall-clock.ts";

export interface Timing {
  readonly windowMs: number;
  readonly bucketMs: number;
  /** How long a lease may be spent. */
  readonly leaseMs: number;
  /**
   * How long Redis counts a lease before the window of its last hits begins. A suspension that is too short to be
   * noticed makes a process spend its lease for that much longer by the clock of Redis.
   */
  readonly setAsideMs: number;
  /**
   * How far back a process looks for what was called for lately, and how long it keeps a lease that nobody spends,
   * while the key's capacity is scarce.
   */
  readonly shortHorizonMs: number;
  /** The same while it isn't scarce. */
  readonly longHorizonMs: number;
  /** How long a report may wait while there is plenty; see `Holder.reportsWhen`. */
  readonly lingerMs: number;
}

/** A lease may be spent for a tenth of the window, within these bounds. */
const SHORTEST_LEASE_MS = 1_000;
const LONGEST_LEASE_MS = 10_000;
/** The short horizon in rounds of reports. */
const SHORT_ROUNDS = 5;
/** While there is plenty a report may wait for a 200th of the window, and no longer than these two. */
const LINGER_PARTS = 200;
const LONGEST_LINGER_MS = 1_000;
const LONGEST_LINGER_BUCKETS = 32;

/** The lengths of time for a limiter with these options. */
export function timingOf(
  { windowMs, bucketMs, timeoutMs }: { windowMs: number; bucketMs: number; timeoutMs: number },
  syncIntervalMs: number,
): Timing {
  const tenthMs = Math.min(Math.max(windowMs / 10, SHORTEST_LEASE_MS), LONGEST_LEASE_MS);
  // An answer may take twice `timeoutMs` to come, and a lease that has expired by then would be of no use.
  const leaseMs = Math.max(tenthMs, 2 * timeoutMs);
  const shortHorizonMs = SHORT_ROUNDS * syncIntervalMs;
  const longHorizonMs = Math.max(shortHorizonMs, leaseMs / 2);
  const lingerMs = Math.min(windowMs / LINGER_PARTS, LONGEST_LINGER_BUCKETS * bucketMs, LONGEST_LINGER_MS);
  const setAsideMs = leaseMs + CLOCK_TOLERANCE_MS;
  return { windowMs, bucketMs, leaseMs, setAsideMs, shortHorizonMs, longHorizonMs, lingerMs };
}
