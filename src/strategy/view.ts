// What the strategies need to see of a key's window at the present time. Local's store is such a view, the reply of a
// Redis script is another. The strategies only look: whoever holds the window adds the hit when the decision is made.

import type { Rate } from "../core/rate.ts";

/** A key's window as the absolute strategy needs to see it. */
export interface WindowView {
  /** What is used of the capacity: accepted counts that are live, and what other processes have leased. */
  readonly used: number;
  /**
   * How long until the oldest buckets that hold `count` together have expired. Only asked when that much is used, and
   * where nothing is declined.
   */
  waitMsFor(count: number): number;
  /** How much has expired after that wait: `count`, or more when the last of these buckets holds more. */
  freedWith(count: number): number;
  /** How long until the oldest bucket expires; 0 when there is none. */
  readonly oldestExpiresInMs: number;
  /** The same with a hit at the present time, which may make the first bucket, or keep the only bucket alive. */
  readonly oldestExpiresWithHitInMs: number;
}

/** A key's window as the suppressed strategy needs to see it. */
export interface SuppressedView {
  /** As in {@link WindowView}. Declined counts take nothing of the capacity. */
  readonly used: number;
  /** The total of the live counts, accepted and declined. */
  readonly observed: number;
  /** The rate that was last given for the key. The kept factor was computed for this rate. */
  readonly rate: Rate;
  /** The factor that was computed less than `maxAgeMs` ago; -1 when there is none. */
  keptFactor(maxAgeMs: number): number;
  /** The observed rate over the recent span, in requests per second. */
  recentPerSecond(): number;
  /** As in {@link WindowView}. */
  readonly oldestExpiresInMs: number;
  /** As in {@link WindowView}. */
  readonly oldestExpiresWithHitInMs: number;
  /** How much accepted usage the oldest bucket has. */
  readonly oldestAccepted: number;
}

/** The window of a key that nobody knows. */
export function emptyWindow(windowMs: number): WindowView & SuppressedView {
  return {
    used: 0,
    observed: 0,
    rate: Number.NaN as Rate,
    waitMsFor: () => 0,
    freedWith: () => 0,
    keptFactor: () => -1,
    recentPerSecond: () => 0,
    oldestExpiresInMs: 0,
    oldestExpiresWithHitInMs: windowMs,
    oldestAccepted: 0,
  };
}
