import { expect, it } from "vitest";
import { perSecond } from "../core/rate.ts";
import { recentPerSecond, recentSpanMs, suppressionFactor } from "./suppressed.ts";

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
