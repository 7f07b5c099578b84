// The makers of decisions. V8 boxes the numbers of an object, one allocation each, in every object
// of a hidden class as soon as one of them held there what isn't a 32-bit integer. So each maker
// names the fields in an order of its own, which gives it a class of its own, and the whole numbers
// are made 32-bit integers where they can be: that saves three of four allocations.

import type { AllowedDecision, RejectedDecision, SuppressedDecision } from "../core/types.ts";

const MAX_INT32 = 0x7fffffff;

export function allowed(limit: number, remaining: number): AllowedDecision {
  return limit > MAX_INT32 ? allowedOfMany(limit, remaining) : allowedOfFew(limit | 0, remaining | 0);
}

function allowedOfFew(limit: number, remaining: number): AllowedDecision {
  return {
    outcome: "allowed",
    allowed: true,
    limit,
    remaining,
    retryAfterMs: 0,
    remainingAfterWaiting: remaining,
    suppressionFactor: 0,
    degraded: false,
  };
}

/** Also where there is no limit. */
function allowedOfMany(limit: number, remaining: number): AllowedDecision {
  return {
    outcome: "allowed",
    limit,
    remaining,
    allowed: true,
    retryAfterMs: 0,
    remainingAfterWaiting: remaining,
    suppressionFactor: 0,
    degraded: false,
  };
}

export function rejected(
  limit: number,
  remaining: number,
  retryAfterMs: number,
  remainingAfterWaiting: number,
): RejectedDecision {
  return {
    allowed: false,
    outcome: "rejected",
    limit: int32(limit),
    remaining: int32(remaining),
    retryAfterMs,
    remainingAfterWaiting: int32(remainingAfterWaiting),
    suppressionFactor: 1,
    degraded: false,
  };
}

export function suppressed(
  admitted: boolean,
  limit: number,
  remaining: number,
  retryAfterMs: number,
  remainingAfterWaiting: number,
  suppressionFactor: number,
): SuppressedDecision {
  return {
    outcome: "suppressed",
    allowed: admitted,
    suppressionFactor,
    limit: int32(limit),
    remaining: int32(remaining),
    retryAfterMs,
    remainingAfterWaiting: int32(remainingAfterWaiting),
    degraded: false,
  };
}

/**
 * The absolute denial of a call to a key that has used `total`.
 *
 * @param waitMs how long until enough has expired for the call, and
 * @param freed how much that is; of no interest for a count that never fits
 */
export function rejection(limit: number, total: number, count: number, waitMs = 0, freed = 0): RejectedDecision {
  const remaining = Math.max(0, limit - total);
  if (count > limit) return rejected(limit, remaining, Number.POSITIVE_INFINITY, limit);
  return rejected(limit, remaining, waitMs, limit - total + freed);
}

/** The admission by chance of a call that brought accepted usage to `accepted`. */
export function admission(limit: number, accepted: number, factor: number): SuppressedDecision {
  const remaining = Math.max(0, limit - accepted);
  return suppressed(true, limit, remaining, 0, remaining, factor);
}

/**
 * The denial by suppression of a call to a key whose accepted usage is `accepted`.
 *
 * @param waitMs how long until the oldest bucket expires, and
 * @param oldestAccepted how much accepted usage it has
 */
export function denial(
  limit: number,
  hardLimit: number,
  accepted: number,
  count: number,
  factor: number,
  waitMs: number,
  oldestAccepted: number,
): SuppressedDecision {
  const remaining = Math.max(0, limit - accepted);
  if (count > hardLimit) return suppressed(false, limit, remaining, Number.POSITIVE_INFINITY, limit, factor);
  return suppressed(false, limit, remaining, waitMs, Math.max(0, limit - accepted + oldestAccepted), factor);
}

/** `count`, which is a whole number and not negative, as a 32-bit integer if it is one. */
function int32(count: number): number {
  return count > MAX_INT32 ? count : count | 0;
}
