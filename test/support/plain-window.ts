// A key's window as a list of its buckets. What the strategies see of the window is computed from the list, as plainly
// as it can be said.

import type { Rate } from "trypema";
import { type Bucket, cellStartOf } from "../../src/strategy/bucket.ts";
import { recentPerSecond, recentSpanMs } from "../../src/strategy/suppressed.ts";
import type { SuppressedView, WindowView } from "../../src/strategy/view.ts";

export interface PlainWindow {
  /** Oldest first. Some of them may have expired. */
  readonly buckets: readonly Bucket[];
  readonly nowMs: number;
  readonly windowMs: number;
  readonly bucketMs: number;
  /** The rate that was given last. */
  readonly rate: Rate;
  /** What other processes have leased, until when. */
  readonly leased: number;
  readonly leasedUntilMs: number;
  /** The factor that was kept, and when. It is gone when all buckets are. */
  readonly factor: number;
  readonly factorMs: number;
}

/** The buckets that have not expired. */
export function liveBuckets({ buckets, nowMs, windowMs }: PlainWindow): Bucket[] {
  return buckets.filter(({ hitMs }) => hitMs + windowMs > nowMs);
}

/** The window with one hit more. */
export function withHit(window: PlainWindow, count: number, declined: number): PlainWindow {
  const buckets = liveBuckets(window);
  const { nowMs: hitMs, bucketMs } = window;
  const newest = buckets.at(-1);
  if (newest === undefined || newest.hitMs < cellStartOf(hitMs, bucketMs)) {
    return { ...window, buckets: [...buckets, { hitMs, count, declined }] };
  }
  const grown = { hitMs, count: newest.count + count, declined: newest.declined + declined };
  return { ...window, buckets: buckets.with(-1, grown) };
}

export function viewOf(window: PlainWindow): WindowView & SuppressedView {
  const { nowMs, windowMs, bucketMs, rate } = window;
  const buckets = liveBuckets(window);
  const oldest = buckets[0];
  const leased = window.leasedUntilMs > nowMs ? window.leased : 0;
  const accepted = buckets.map(({ count, declined }) => count - declined);
  const recent = buckets.filter(({ hitMs }) => hitMs + recentSpanMs(windowMs) > nowMs);
  const expiresInMs = ({ hitMs }: Bucket) => hitMs + windowMs - nowMs;
  /** The oldest buckets that hold `amount` together, or all of them. */
  const freeing = (amount: number) => {
    const last = accepted.findIndex((_, index) => sum(accepted.slice(0, index + 1)) >= amount);
    return last === -1 ? buckets : buckets.slice(0, last + 1);
  };
  const leasesEndInMs = window.leasedUntilMs - nowMs;
  const leftMs = oldest !== undefined ? expiresInMs(oldest) : leased > 0 ? leasesEndInMs : 0;
  const moreInMs = Math.max(0, Math.min(windowMs, leftMs));
  const keepsOnly = oldest === undefined || (buckets.length === 1 && oldest.hitMs >= cellStartOf(nowMs, bucketMs));
  return {
    used: sum(accepted) + leased,
    observed: sum(buckets.map(({ count }) => count)),
    rate,
    // Where leases take the capacity and there is no bucket, their end is what one can wait for.
    waitMsFor: (amount) => (oldest === undefined ? leasesEndInMs : expiresInMs(freeing(amount).at(-1)!)),
    freedWith: (amount) => (oldest === undefined ? leased : sum(accepted.slice(0, freeing(amount).length))),
    keptFactor: (maxAgeMs) => (oldest !== undefined && nowMs - window.factorMs < maxAgeMs ? window.factor : -1),
    recentPerSecond: () => {
      const count = sum(recent.map((bucket) => bucket.count));
      return count === 0 ? 0 : recentPerSecond(count, recent[0]!.hitMs, bucketMs, recentSpanMs(windowMs), nowMs);
    },
    oldestExpiresInMs: moreInMs,
    oldestExpiresWithHitInMs: keepsOnly ? windowMs : moreInMs,
    oldestAccepted: accepted[0] ?? 0,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
