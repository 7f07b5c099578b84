// The suppression factor: which share of an overload to shed so that what is left meets the rate.
// After Ably's distributed rate limiting; the ceiling on accepted usage, not on observed usage, is
// what keeps the outcome smooth (see docs/suppression.md).

import type { Rate } from "../core/rate.ts";
import { cellStartOf } from "./bucket.ts";

/** How far back the recent rate looks: a surge shows here long before it shows in a long window. */
export function recentSpanMs(windowMs: number): number {
  return Math.min(1_000, windowMs);
}

/**
 * The rate of the buckets that were hit within the recent span. They may reach back further than
 * the span, to where the oldest one's cell of the grid begins, and are a rate over all of that: to
 * take it for the span's would see twice the load where buckets are as wide as the span.
 */
export function recentPerSecond(
  count: number,
  oldestHitMs: number,
  bucketMs: number,
  spanMs: number,
  nowMs: number,
): number {
  const cellStartMs = cellStartOf(oldestHitMs, bucketMs);
  return (count * 1_000) / Math.max(spanMs, nowMs - cellStartMs);
}

/**
 * f = clamp(1 − rate / perceived, 0, 1), where perceived is the larger of the window's rate and
 * the recent rate, per second.
 *
 * @param observed the live total of the window
 */
export function suppressionFactor(rate: Rate, observed: number, windowMs: number, recentPerSecond: number): number {
  const perceived = Math.max((observed * 1_000) / windowMs, recentPerSecond);
  return Math.max(0, 1 - rate / perceived);
}
