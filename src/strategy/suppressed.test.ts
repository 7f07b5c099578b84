import { expect, it } from "vitest";
import { resolveLimiterOptions } from "../core/options.ts";
import { perSecond } from "../core/rate.ts";
import {
  decideSuppressed,
  drawAdmits,
  factorOfNext,
  freshFactor,
  knownFactor,
  recentPerSecond,
  recentSpanMs,
  suppressedRuleOf,
  suppressionFactor,
} from "./suppressed.ts";
import { emptyWindow, type SuppressedView } from "./view.ts";

it("sheds the share of an overload that is over the rate", () => {
  expect(suppressionFactor(perSecond(100), 2_000, 10_000, 0)).toBe(0.5);
  expect(suppressionFactor(perSecond(100), 10_000, 10_000, 0)).toBe(0.9);
});

it("goes by the window or by the last second, whichever saw more", () => {
  expect(suppressionFactor(perSecond(100), 1_000, 10_000, 400)).toBe(0.75);
  expect(suppressionFactor(perSecond(100), 4_000, 10_000, 100)).toBe(0.75);
});

it("sheds nothing at or under the rate, and all of what nobody may do", () => {
  expect(suppressionFactor(perSecond(100), 1_000, 10_000, 100)).toBe(0);
  expect(suppressionFactor(perSecond(100), 0, 10_000, 0)).toBe(0);
  expect(suppressionFactor(perSecond(1), Number.MAX_SAFE_INTEGER, 1, 0)).toBeCloseTo(1);
});

it("looks back a second, or a window where that is shorter", () => {
  expect(recentSpanMs(60_000)).toBe(1_000);
  expect(recentSpanMs(250)).toBe(250);
});

it("takes buckets that reach back further than the span as the longer time that they are", () => {
  expect(recentPerSecond(30, 4_500, 100, 1_000, 5_400)).toBe(30);
  expect(recentPerSecond(30, 4_900, 1_000, 1_000, 5_500)).toBe(20);
});

/** A soft limit of 10, a hard limit of 15. */
const rule = suppressedRuleOf(perSecond(1), resolveLimiterOptions({ windowMs: 10_000 }));
const EMPTY = emptyWindow(10_000);
/** Observes twice the rate, of which half was declined. */
const overloaded: SuppressedView = {
  used: 10,
  observed: 20,
  rate: perSecond(1),
  keptFactor: () => -1,
  recentPerSecond: () => 2,
  oldestExpiresInMs: 700,
  oldestExpiresWithHitInMs: 710.5,
  oldestAccepted: 3,
};
function noDraw(): number {
  throw new Error("a draw was taken");
}
type Example = [title: string, window: SuppressedView, count: number, random: () => number, decision: unknown[]];

it.each<Example>([
  ["fits under the soft limit", EMPTY, 10, noDraw, ["allowed", true, 0, 0, 0, 0]],
  ["is over the soft limit, with luck", overloaded, 1, () => 0.5, ["suppressed", true, 0, 0, 0, 0.5]],
  ["is over the soft limit, without luck", overloaded, 1, () => 0.49, ["suppressed", false, 0, 700, 3, 0.5]],
  ["is just at the hard limit", overloaded, 5, () => 0.5, ["suppressed", true, 0, 0, 0, 0.5]],
  ["is over the hard limit", overloaded, 6, noDraw, ["suppressed", false, 0, 700, 3, 1]],
  ["is larger than the hard limit", overloaded, 16, noDraw, ["suppressed", false, 0, Infinity, 10, 1]],
  ["comes first, over the soft limit", EMPTY, 15, () => 0, ["suppressed", true, 0, 0, 0, 0]],
  ["comes first, over the hard limit", EMPTY, 16, noDraw, ["suppressed", false, 10, Infinity, 10, 1]],
  [
    "comes after the capacity was made smaller",
    { ...overloaded, used: 14 },
    1,
    () => 0,
    ["suppressed", false, 0, 700, 0, 0.5],
  ],
  [
    "meets a kept factor",
    { ...overloaded, keptFactor: () => 0.9 },
    1,
    () => 0.8,
    ["suppressed", false, 0, 700, 3, 0.9],
  ],
])("decides about a call that %s", (_, window, count, random, expected) => {
  const decision = decideSuppressed(window, rule, count, random);
  const { outcome, allowed, remaining, retryAfterMs, remainingAfterWaiting, suppressionFactor } = decision;
  expect([outcome, allowed, remaining, retryAfterMs, remainingAfterWaiting, suppressionFactor]).toEqual(expected);
  expect(decision.limit).toBe(10);
  expect(decision.moreAfterMs).toBe(Math.ceil(window.oldestExpiresWithHitInMs));
});

it("knows the factor over the hard limit, and where it was kept for the same rate", () => {
  const kept = { ...overloaded, keptFactor: (maxAgeMs: number) => (maxAgeMs === 100 ? 0.75 : -1) };
  expect(knownFactor(kept, rule, 1)).toBe(0.75);
  expect(knownFactor(kept, { ...rule, suppressionCacheMs: 50 }, 1)).toBe(-1);
  expect(knownFactor(kept, { ...rule, rate: perSecond(2) }, 1)).toBe(-1);
  expect(knownFactor(kept, rule, 6)).toBe(1);
});

it("computes a factor from the larger of both observed rates", () => {
  expect(freshFactor(overloaded, rule)).toBe(0.5);
  expect(freshFactor({ ...overloaded, recentPerSecond: () => 4 }, rule)).toBe(0.75);
  expect(freshFactor(EMPTY, rule)).toBe(0);
});

it("tells the factor of the next call of 1: none under the soft limit", () => {
  expect(factorOfNext(EMPTY, rule)).toBe(0);
  expect(factorOfNext({ ...overloaded, used: 9 }, rule)).toBe(0);
  expect(factorOfNext(overloaded, rule)).toBe(0.5);
  expect(factorOfNext({ ...overloaded, used: 15 }, rule)).toBe(1);
});

it("takes a draw for a factor below 1 only, and admits the share that the factor leaves", () => {
  expect(drawAdmits(0.25, () => 0.25)).toBe(true);
  expect(drawAdmits(0.25, () => 0.24)).toBe(false);
  expect(drawAdmits(0, () => 0)).toBe(true);
  expect(drawAdmits(1, noDraw)).toBe(false);
});
