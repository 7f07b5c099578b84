import { expect, it } from "vitest";
import { perSecond, unlimited } from "../core/rate.ts";
import { createLocalProvider } from "../local/provider.ts";
import { allowed, markDegraded, rejected, suppressed } from "./decision.ts";

const { absolute } = createLocalProvider();

it("a decision in JSON keeps the sense of Infinity, for which JSON has no number", () => {
  const neverFits = absolute.inc("k", perSecond(1), 61);
  expect(JSON.stringify(neverFits)).toBe(
    '{"allowed":false,"outcome":"rejected","limit":60,"remaining":60,"retryAfterMs":"Infinity",' +
      '"remainingAfterWaiting":60,"moreAfterMs":0,"suppressionFactor":1,"degraded":false}',
  );
  expect(JSON.parse(JSON.stringify({ decision: absolute.inc("k", unlimited()) })).decision).toEqual({
    outcome: "allowed",
    allowed: true,
    limit: "Infinity",
    remaining: "Infinity",
    retryAfterMs: 0,
    remainingAfterWaiting: "Infinity",
    moreAfterMs: 60_000,
    suppressionFactor: 0,
    degraded: false,
  });
});

it("a number of a decision in JSON is read back by Number", () => {
  const decisions = [
    absolute.inc("n", perSecond(1)),
    rejected(5, 0, 12.5, 1, 12.5),
    suppressed(true, 5, 0, 0, 0, 7, 0.25),
  ];
  for (const decision of [...decisions, absolute.isAllowed("unknown"), markDegraded(rejected(5, 0, 1, 0, 1))]) {
    const read = JSON.parse(JSON.stringify(decision));
    for (const name of ["limit", "remaining", "retryAfterMs", "remainingAfterWaiting", "moreAfterMs"] as const) {
      read[name] = Number(read[name]);
    }
    expect(read).toEqual({ ...decision });
  }
});

it.each([2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53])("a decision has numbers around %d exactly as they are", (many) => {
  const numbers = { limit: many, remaining: many - 1, remainingAfterWaiting: many - 1, moreAfterMs: many };
  expect(allowed(many, 1, many)).toMatchObject(numbers);
  expect(rejected(many, many - 1, 5, many - 1, many)).toMatchObject(numbers);
  expect(suppressed(true, many, many - 1, 0, many - 1, many, 0.5)).toMatchObject(numbers);
  expect(rejected(5, 0, 5, many, 5).remainingAfterWaiting).toBe(many);
  expect(suppressed(true, 5, 0, 0, many, 5, 0.5).remainingAfterWaiting).toBe(many);
});

it("a time until more is free is whole milliseconds, rounded up, of any length", () => {
  expect(allowed(5, 1, 0.001).moreAfterMs).toBe(1);
  expect(allowed(5, 1, 59_999.5)).toMatchObject({ limit: 5, remaining: 4, moreAfterMs: 60_000 });
  expect(allowed(5, 1, 2 ** 40)).toMatchObject({ limit: 5, remaining: 4, moreAfterMs: 2 ** 40 });
  expect(rejected(5, 0, 12.5, 1, 12.5).moreAfterMs).toBe(13);
  expect(rejected(5, 5, 12.5, 1, -0.5).moreAfterMs).toBe(0);
});

it("a decision has its fields for its own, and nothing else", () => {
  const names = [
    "allowed",
    "degraded",
    "limit",
    "moreAfterMs",
    "outcome",
    "remaining",
    "remainingAfterWaiting",
    "retryAfterMs",
  ];
  const decisions = [absolute.inc("f", perSecond(1)), absolute.inc("f", perSecond(1e12)), rejected(5, 0, 1, 0, 1)];
  for (const decision of [...decisions, suppressed(false, 5, 0, 1, 0, 1, 1)]) {
    expect(Object.keys(decision).sort()).toEqual([...names, "suppressionFactor"].sort());
  }
});
