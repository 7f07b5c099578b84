// What a process knows of a key by itself, for `getEstimate`.

import type { Holder } from "./holder.ts";

/** What a process knows of a key by itself. */
export interface Estimate {
  /** What is used of the capacity: accepted counts, here and elsewhere, and what other processes have leased. */
  readonly used: number;
  /** The capacity at the rate that this process gave last. */
  readonly limit: number;
  /** How much of the capacity this process may still use without asking Redis. */
  readonly leased: number;
  /** The accepted counts that Redis hasn't confirmed yet. They are part of `used`. */
  readonly unreported: number;
  /** Whether `used` is too high, because something has expired of which this process doesn't know how much it was. */
  readonly stale: boolean;
}

/** Undefined where nothing is known. */
export function estimateOf(holder: Holder, nowMs: number): Estimate | undefined {
  holder.carryOn(nowMs);
  if (!holder.knows(holder.rate)) return undefined;
  const { used, limit, lease, outbox, isCurrent } = holder;
  const unreported = outbox.hits.reduce((sum, { count, declined }) => sum + count - declined, 0);
  const leased = holder.canSpend(1) ? Math.min(lease.left, limit - used) : 0;
  return { used, limit, leased, unreported, stale: !isCurrent };
}
