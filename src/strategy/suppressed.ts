// How the suppressed strategy decides. Under the soft limit a call is allowed. Over the soft limit a call meets the
// suppression factor, the share of an overload to shed so that what is left meets the rate, and a draw decides. Over
// the hard limit the factor is 1.
// After Ably's distributed rate limiting; the ceiling on accepted usage, not on observed usage, is
// what keeps the outcome smooth (see docs/suppression.md).
//
// A caller that counts goes step by step, because a draw decides how the call is counted, and a denied call is counted
// before its decision is made: the hit puts off the time at which its bucket expires. `decideSuppressed` has the same
// steps for a caller that only looks.

import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedDecision } from "../core/types.ts";
import { cellStartOf } from "./bucket.ts";
import { capacityOf, hardLimitOf } from "./capacity.ts";
import { allowed, suppressed } from "./decision.ts";
import type { SuppressedView } from "./view.ts";

/** What a call is judged by: the rate that the call brings, and what follows from it. */
export interface SuppressedRule {
  readonly rate: Rate;
  /** The soft limit: the capacity. */
  readonly limit: number;
  /** The ceiling on accepted usage. */
  readonly hardLimit: number;
  readonly windowMs: number;
  /** For how long a computed factor holds. */
  readonly suppressionCacheMs: number;
}

/** @throws {TrypemaError} `INVALID_RATE`, `CAPACITY_BELOW_ONE` */
export function suppressedRuleOf(rate: Rate, settings: LimiterSettings): SuppressedRule {
  const { windowMs, suppressionCacheMs } = settings;
  const limit = capacityOf(rate, windowMs);
  return {
    rate,
    limit,
    hardLimit: hardLimitOf(rate, windowMs, settings.hardLimitFactor),
    windowMs,
    suppressionCacheMs,
  };
}

/** The decision that a call of `count` would get. Nothing is counted and no factor is kept. */
export function decideSuppressed(
  window: SuppressedView,
  rule: SuppressedRule,
  count: number,
  random: () => number,
): Decision {
  const used = window.used;
  if (used + count <= rule.limit) return allowed(rule.limit, used + count, window.oldestExpiresWithHitInMs);
  const factor = factorOver(window, rule, count);
  if (drawAdmits(factor, random)) return admittedByDraw(rule, used + count, window.oldestExpiresWithHitInMs, factor);
  return deniedByFactor(window, rule, count, factor, window.oldestExpiresWithHitInMs);
}

/** The factor that a call of 1 would meet. */
export function factorOfNext(window: SuppressedView, rule: SuppressedRule): number {
  return window.used + 1 <= rule.limit ? 0 : factorOver(window, rule, 1);
}

/** The factor that a call over the soft limit meets. */
function factorOver(window: SuppressedView, rule: SuppressedRule, count: number): number {
  const factor = knownFactor(window, rule, count);
  return factor >= 0 ? factor : freshFactor(window, rule);
}

/**
 * The factor that a call over the soft limit meets, if nothing has to be computed: 1 over the hard limit, else the
 * factor that was kept. -1 when there is none, and a fresh factor has to be computed and kept.
 */
export function knownFactor(window: SuppressedView, rule: SuppressedRule, count: number): number {
  if (window.used + count > rule.hardLimit) return 1;
  return rule.rate === window.rate ? window.keptFactor(rule.suppressionCacheMs) : -1;
}

/** The factor that follows from what is observed now. */
export function freshFactor(window: SuppressedView, rule: SuppressedRule): number {
  return suppressionFactor(rule.rate, window.observed, rule.windowMs, window.recentPerSecond());
}

/** Whether a call that meets `factor` is admitted. Only a factor below 1 takes a draw. */
export function drawAdmits(factor: number, random: () => number): boolean {
  return factor < 1 && random() >= factor;
}

/**
 * The decision about a call over the soft limit that the draw admitted.
 *
 * @param used what is used of the capacity with the call
 * @param moreAfterMs how long until the oldest bucket expires, when the call is counted
 */
export function admittedByDraw(
  rule: SuppressedRule,
  used: number,
  moreAfterMs: number,
  factor: number,
): SuppressedDecision {
  const remaining = atLeast0(rule.limit - used);
  return suppressed(true, rule.limit, remaining, 0, remaining, moreAfterMs, factor);
}

/**
 * The decision about a call over the soft limit that was denied. Its wait is a hint: until the oldest bucket expires.
 *
 * @param window the window with the call, as declined, where the call is counted
 * @param moreAfterMs how long until the oldest bucket expires, when the call is counted
 */
export function deniedByFactor(
  window: Pick<SuppressedView, "used" | "oldestAccepted" | "oldestExpiresInMs">,
  rule: SuppressedRule,
  count: number,
  factor: number,
  moreAfterMs: number,
): SuppressedDecision {
  const { limit } = rule;
  const used = window.used;
  const remaining = atLeast0(limit - used);
  if (count > rule.hardLimit) {
    return suppressed(false, limit, remaining, Number.POSITIVE_INFINITY, limit, moreAfterMs, factor);
  }
  const remainingAfterWaiting = atLeast0(limit - used + window.oldestAccepted);
  return suppressed(false, limit, remaining, window.oldestExpiresInMs, remainingAfterWaiting, moreAfterMs, factor);
}

function atLeast0(value: number): number {
  return value > 0 ? value : 0;
}

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
