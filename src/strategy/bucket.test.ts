import fc from "fast-check";
import { expect, it } from "vitest";
import { timesOnBorders } from "../../test/support/borders.ts";
import { cellStartOf, sureUntilMs } from "./bucket.ts";

it.each([
  [0, 10, 0],
  [9.999, 10, 0],
  [10, 10, 10],
  [-0.5, 10, -10],
  [7.4, 2.5, 5],
])("the cell of %d in a grid of %d starts at %d", (ms, bucketMs, startMs) => {
  expect(cellStartOf(ms, bucketMs)).toBe(startMs);
});

it("has every time in its cell, also the last one before the next", () => {
  const justBefore = (ms: number) => ms * (1 - Number.EPSILON / 2);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 1, max: 60_000 }), (cell, bucketMs) => {
      const ms = justBefore(cell * bucketMs);
      expect(cellStartOf(ms, bucketMs)).toBe((cell - 1) * bucketMs);
      expect(cellStartOf(cell * bucketMs, bucketMs)).toBe(cell * bucketMs);
    }),
    { numRuns: 2_000 },
  );
});

it("has a time in the cell of an earlier one, if it comes before that cell is no longer sure", () => {
  fc.assert(
    fc.property(timesOnBorders, ({ bucketMs, timesMs }) => {
      for (const ms of timesMs) {
        const startMs = cellStartOf(ms, bucketMs);
        const untilMs = sureUntilMs(startMs, bucketMs);
        const lastMs = untilMs - (Math.abs(untilMs) * Number.EPSILON) / 2;
        for (const laterMs of [ms + bucketMs / 2, lastMs]) {
          if (laterMs < untilMs) expect(cellStartOf(Math.max(ms, laterMs), bucketMs)).toBe(startMs);
        }
        // And it is sure for nearly all of its time.
        expect(untilMs).toBeGreaterThan(startMs + 0.99 * bucketMs);
      }
    }),
    { numRuns: 300 },
  );
});
