import { expect, it } from "vitest";
import { decideBlocked } from "./block.ts";

const window = { used: 3, oldestExpiresInMs: 10 };

function decide(leftMs: number) {
  return decideBlocked(window, { limit: 5, most: 5, windowMs: 30_000 }, 1, leftMs);
}

it("a block that begins now has as long left as it lasts, whatever the fractions of the clock", () => {
  for (let nowMs = 2_000.123_457; nowMs < 4_000; nowMs += 3.210_123) {
    const leftMs = nowMs + 30_000 - nowMs;
    expect(decide(leftMs)).toMatchObject({ retryAfterMs: 30_000, remainingAfterWaiting: 5 });
  }
});

it("the wait for a block is told in microseconds, and never too short", () => {
  expect(decide(20_000.000_4).retryAfterMs).toBe(20_000.001);
  expect(decide(29_999.999_4)).toMatchObject({ retryAfterMs: 30_000, remainingAfterWaiting: 5 });
  expect(decide(29_999.999)).toMatchObject({ retryAfterMs: 29_999.999, remainingAfterWaiting: 2 });
  expect(decide(0.000_000_1).retryAfterMs).toBe(0.001);
  expect(decide(Number.MAX_SAFE_INTEGER).retryAfterMs).toBe(Number.MAX_SAFE_INTEGER);
});
