import { expect, it } from "vitest";
import { absoluteFactor, decideAbsolute } from "./absolute.ts";
import { emptyWindow, type WindowView } from "./view.ts";

const EMPTY = emptyWindow(100);

/** Buckets of 3 and then 7, which expire in 10 and in 40 ms; `leased` is what other processes have. */
function windowOf3And7(leased = 0): WindowView {
  return {
    used: 10 + leased,
    waitMsFor: (count) => (count <= 3 ? 10 : 40),
    freedWith: (count) => (count <= 3 ? 3 : 10),
    oldestExpiresInMs: 9.5,
    oldestExpiresWithHitInMs: 9.7,
  };
}

const allowed = (limit: number, remaining: number, moreAfterMs = 10) => ({
  ...{ outcome: "allowed", allowed: true, limit, remaining, retryAfterMs: 0, remainingAfterWaiting: remaining },
  ...{ moreAfterMs, suppressionFactor: 0, degraded: false },
});
const rejected = (
  limit: number,
  remaining: number,
  retryAfterMs: number,
  remainingAfterWaiting: number,
  moreAfterMs = 10,
) => ({
  ...{ outcome: "rejected", allowed: false, limit, remaining, retryAfterMs, remainingAfterWaiting },
  ...{ moreAfterMs, suppressionFactor: 1, degraded: false },
});

it.each([
  ["fits as the first call", EMPTY, 10, 10, allowed(10, 0, 100)],
  ["fits into what is left", windowOf3And7(), 12, 1, allowed(12, 1)],
  ["fits exactly", windowOf3And7(), 11, 1, allowed(11, 0)],
  ["waits for the oldest bucket", windowOf3And7(), 10, 1, rejected(10, 0, 10, 3)],
  ["needs all of the oldest bucket", windowOf3And7(), 10, 3, rejected(10, 0, 10, 3)],
  ["waits for both buckets", windowOf3And7(), 10, 4, rejected(10, 0, 40, 10)],
  ["finds some free, but not enough", windowOf3And7(), 12, 3, rejected(12, 2, 10, 5)],
  ["can never fit", windowOf3And7(), 10, 11, rejected(10, 0, Infinity, 10)],
  ["can never fit, not as the first call either", EMPTY, 10, 11, rejected(10, 10, Infinity, 10, 0)],
  ["comes after the capacity was made smaller", windowOf3And7(), 5, 1, rejected(5, 0, 40, 5)],
  ["comes while leases hold more than the capacity", windowOf3And7(9), 5, 1, rejected(5, 0, 40, 0)],
  ["has no limit", windowOf3And7(), Infinity, 5, allowed(Infinity, Infinity)],
])("decides about a call that %s", (_, window, limit, count, decision) => {
  expect({ ...decideAbsolute(window, limit, count) }).toEqual(decision);
});

it.each([
  ["is unknown", EMPTY, 1, 0],
  ["has room for one more", windowOf3And7(), 11, 0],
  ["has none left", windowOf3And7(), 10, 1],
])("sheds nothing or all: a key that %s", (_, window, limit, factor) => {
  expect(absoluteFactor(window, limit)).toBe(factor);
});
