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

/** `count`, which is a whole number and not negative, as a 32-bit integer if it is one. */
function int32(count: number): number {
  return count > MAX_INT32 ? count : count | 0;
}
