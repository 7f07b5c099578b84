// What a process knows of a key by itself, for `getEstimate`.

import type { Holder } from "./holder.ts";

/** What this process knows of a key without asking Redis. */
export interface Estimate {
  /** The used part of the capacity: accepted counts of all processes, and what other processes have leased. */
  readonly used: number;
  /** The capacity at the last rate that this process gave. */
  readonly limit: number;
  /** How much of the capacity this process may still use without asking Redis. */
  readonly leased: number;
  /** The accepted counts that Redis hasn't confirmed yet. They are part of `used`. */
  readonly unreported: number;
  /** Whether `used` may be too high: hits have expired, and this process doesn't know how many. */
  readonly stale: boolean;
}

/** What a holder knows that has been carried on; undefined where nothing is known. */
export function estimateOf(holder: Holder): Estimate | undefined {
  if (!holder.knows(holder.rate)) return undefined;
  const { used, limit, lease, outbox, isCurrent } = holder;
  const unreported = outbox.hits.reduce((sum, { count, declined }) => sum + count - declined, 0);
  const leased = holder.canSpend(1) ? Math.min(lease.left, limit - used) : 0;
  return { used, limit, leased, unreported, stale: !isCurrent };
}
