// The invariants of what a hybrid process has of one key, as src/hybrid states them.

import type { Holder } from "../../../src/hybrid/holder.ts";

/** The longest outbox: 64 cells in flight, as many pending, one for calls whose answer was lost, and the newest one. */
const MOST_CELLS = 4 * 64;

/**
 * What doesn't hold of a holder.
 *
 * @param capacity undefined where something may rightly have passed it: a draw, a failure policy, another rate
 */
export function unsoundnessOf(holder: Holder, capacity: number | undefined): string[] {
  const { lease, outbox, used, limit } = holder;
  const problems: string[] = [];
  // It is put into words only where there is one, because this runs after each of some million events.
  const check = (holds: boolean, problem: () => string) => {
    if (!holds) problems.push(problem());
  };
  check(Number.isInteger(lease.left) && lease.left >= 0, () => `a lease of ${lease.left}`);
  check(Number.isInteger(lease.headroom) && lease.headroom >= 0, () => `a headroom of ${lease.headroom}`);
  check(
    lease.left + lease.headroom === 0 || lease.isSetAside(lease.expiryMs),
    () => `a lease of ${lease.left} and a headroom of ${lease.headroom} that Redis has not set aside`,
  );
  check(lease.left <= lease.setAside, () => `a lease of ${lease.left}, of which ${lease.setAside} is set aside`);
  if (!holder.knows(holder.rate)) check(lease.left + lease.headroom === 0, () => "a lease of a key that isn't known");
  if (holder.isCurrent) {
    check(used >= 0, () => `used ${used}`);
    if (capacity !== undefined)
      check(used + lease.left <= limit, () => `used ${used} and leased ${lease.left} of ${limit}`);
  }
  const { hits } = outbox;
  check(outbox.isEmpty === (hits.length === 0), () => "an outbox that is wrong about being empty");
  check(hits.length <= MOST_CELLS, () => `${hits.length} cells in the outbox`);
  for (const [i, { count, declined, hitMs }] of hits.entries()) {
    check(count > 0 && declined >= 0 && declined <= count, () => `a hit of ${count} with ${declined} declined`);
    check(i === 0 || hits[i - 1]!.hitMs <= hitMs, () => "hits that are not in the order of their times");
  }
  return problems;
}
