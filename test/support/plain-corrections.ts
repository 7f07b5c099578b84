// What `adjust` and `setIf` do to a key's buckets, as plainly as it can be said: oldest first in, oldest first out.

import type { History } from "trypema";
import type { Bucket } from "../../src/strategy/bucket.ts";
import { shrunk } from "../../src/strategy/corrections.ts";

export function totalOf(buckets: readonly Bucket[]): number {
  return buckets.reduce((total, bucket) => total + bucket.count, 0);
}

/** The buckets whose total is `count`, made from `buckets` in the way that `history` says. */
export function withTotal(buckets: readonly Bucket[], count: number, history: History, nowMs: number): Bucket[] {
  if (count === 0) return [];
  const total = totalOf(buckets);
  if (total === 0 || history === "replace") {
    const declined = buckets.reduce((sum, bucket) => sum + bucket.declined, 0);
    return [{ hitMs: nowMs, count, declined: shrunk(declined, total, count) }];
  }
  if (history === "preserve-newest") {
    return count < total ? takenInOrder(buckets, total - count) : grown(buckets, buckets.length - 1, count - total);
  }
  if (count >= total) return grown(buckets, 0, count - total);
  return takenInOrder(buckets.toReversed(), total - count).reverse();
}

/**
 * The buckets after a correction by `delta`. More usage joins the newest bucket. A refund takes
 * from the newest bucket back: first what was accepted, for that is what a caller gives back, and
 * only then what was declined. A correction of history that is already gone changes nothing.
 */
export function adjusted(buckets: readonly Bucket[], delta: number): Bucket[] {
  if (buckets.length === 0) return [];
  if (delta >= 0) return grown(buckets, buckets.length - 1, delta);
  let left = -delta;
  const result = buckets.toReversed().map((bucket) => {
    const taken = Math.min(left, bucket.count - bucket.declined);
    left -= taken;
    return { ...bucket, count: bucket.count - taken };
  });
  for (const [index, bucket] of result.entries()) {
    const taken = Math.min(left, bucket.count);
    if (taken === 0) continue;
    left -= taken;
    result[index] = { ...bucket, count: bucket.count - taken, declined: bucket.declined - taken };
  }
  return result.filter((bucket) => bucket.count > 0).reverse();
}

/**
 * The buckets when a take gives back up to `amount` of what was accepted by the time that it counted at, first what was
 * accepted last. If it `declines`, the last bucket of that time has it as declined then.
 *
 * @param isLater whether a bucket has no hits of that time or before
 */
export function givenBack(
  buckets: readonly Bucket[],
  amount: number,
  isLater: (bucket: Bucket) => boolean,
  declines: boolean,
): Bucket[] {
  const before = buckets.filter((bucket) => !isLater(bucket));
  const accepted = before.reduce((sum, { count, declined }) => sum + count - declined, 0);
  const taken = Math.min(amount, accepted);
  const grown = before.map(({ hitMs, count, declined }, index) => {
    const more = declines && index === before.length - 1 ? taken : 0;
    return { hitMs, count: count + more, declined: declined + more };
  });
  return [...adjusted(grown, -taken), ...buckets.filter(isLater)];
}

/** Takes `amount` from the first buckets; their declined counts shrink in proportion. */
function takenInOrder(buckets: readonly Bucket[], amount: number): Bucket[] {
  let left = amount;
  const kept: Bucket[] = [];
  for (const bucket of buckets) {
    const taken = Math.min(left, bucket.count);
    left -= taken;
    const count = bucket.count - taken;
    if (count > 0) kept.push({ ...bucket, count, declined: shrunk(bucket.declined, bucket.count, count) });
  }
  return kept;
}

function grown(buckets: readonly Bucket[], index: number, amount: number): Bucket[] {
  const room = Number.MAX_SAFE_INTEGER - totalOf(buckets);
  return buckets.map((bucket, i) =>
    i === index ? { ...bucket, count: bucket.count + Math.min(amount, room) } : bucket,
  );
}
