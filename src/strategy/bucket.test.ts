import fc from "fast-check";
import { expect, it } from "vitest";
import { cellStartOf } from "./bucket.ts";

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
