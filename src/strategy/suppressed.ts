// The suppression factor: which share of an overload to shed so that what is left meets the rate.
// After Ably's distributed rate limiting; the ceiling on accepted usage, not on observed usage, is
// what keeps the outcome smooth (see docs/suppression.md).

import type { Rate } from "../core/rate.ts";

/** How far back the recent rate looks: a surge shows here long before it shows in a long window. */
export function recentSpanMs(windowMs: number): number {
  return Math.min(1_000, windowMs);
}

/**
 * f = clamp(1 − rate / perceived, 0, 1), where perceived is the larger of the window's rate and
 * the recent rate, per second.
 *
 * @param observed the live total of the window
 * @param recentObserved the part of it hit within the last `recentSpanMs(windowMs)`
 */
export function suppressionFactor(rate: Rate, observed: number, windowMs: number, recentObserved: number): number {
  const perceived = Math.max((observed * 1_000) / windowMs, (recentObserved * 1_000) / recentSpanMs(windowMs));
  return Math.max(0, 1 - rate / perceived);
}
