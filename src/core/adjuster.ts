// Says who corrects what was counted, so that a correction reaches the place that counted and no other. Redis has never
// counted what a failure policy admitted, and the Local provider that stands in for Redis has never counted what Redis
// did. So a limiter has one adjuster, and a decision of a failure policy has another.

import type { Awaitable } from "./types.ts";

/** Corrects what was counted for a key. */
export interface Adjuster {
  adjust(key: string, delta: number): Awaitable<unknown>;
}

const adjusters = new WeakMap<object, Adjuster>();

/**
 * Names who corrects what `owner` counted.
 *
 * @param owner a limiter, for the decisions that it made itself, or one decision of a failure policy
 * @returns the owner
 */
export function setAdjuster<Owner extends object>(owner: Owner, adjuster: Adjuster): Owner {
  adjusters.set(owner, adjuster);
  return owner;
}

/** The adjuster of a limiter or of a decision; undefined when none was set. */
export function adjusterOf(owner: object): Adjuster | undefined {
  return adjusters.get(owner);
}
