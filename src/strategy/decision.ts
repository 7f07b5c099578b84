// The makers of decisions. Each names the fields in an order of its own, and so has a hidden class
// of its own in V8: were it shared, the fractions in a denial would make V8 box every number of an
// admission too (five more allocations a call).

import type { AllowedDecision, RejectedDecision, SuppressedDecision } from "../core/types.ts";

export function allowed(limit: number, remaining: number): AllowedDecision {
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

export function rejected(
  limit: number,
  remaining: number,
  retryAfterMs: number,
  remainingAfterWaiting: number,
): RejectedDecision {
  return {
    allowed: false,
    outcome: "rejected",
    limit,
    remaining,
    retryAfterMs,
    remainingAfterWaiting,
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
    limit,
    remaining,
    retryAfterMs,
    remainingAfterWaiting,
    degraded: false,
  };
}
