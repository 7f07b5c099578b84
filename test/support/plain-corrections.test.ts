import fc from "fast-check";
import { expect, it } from "vitest";
import type { Bucket } from "../../src/strategy/bucket.ts";
import { adjusted, totalOf, withTotal } from "./plain-corrections.ts";

const bucketLists = fc
  .array(
    fc.record({ count: fc.integer({ min: 1, max: 50 }), declinedShare: fc.double({ min: 0, max: 1, noNaN: true }) }),
    {
      maxLength: 8,
    },
  )
  .map((list) =>
    list.map(
      ({ count, declinedShare }, i): Bucket => ({
        hitMs: 1_000 + i * 100,
        count,
        declined: Math.floor(count * declinedShare),
      }),
    ),
  );
const histories = fc.constantFrom("replace" as const, "preserve-newest" as const, "preserve-oldest" as const);

function expectWellFormed(buckets: readonly Bucket[]): void {
  for (const [i, { hitMs, count, declined }] of buckets.entries()) {
    expect(count).toBeGreaterThan(0);
    expect(declined).toBeGreaterThanOrEqual(0);
    expect(declined).toBeLessThanOrEqual(count);
    if (i > 0) expect(hitMs).toBeGreaterThan(buckets[i - 1]!.hitMs);
  }
}

it("a history that is set has the total that was asked for, in sound buckets", () => {
  fc.assert(
    fc.property(bucketLists, fc.integer({ min: 0, max: 400 }), histories, (buckets, count, history) => {
      const result = withTotal(buckets, count, history, 5_000);
      expect(totalOf(result)).toBe(count);
      expectWellFormed(result);
    }),
  );
});

it("an adjusted history has its total changed by the correction, never below 0, in sound buckets", () => {
  fc.assert(
    fc.property(bucketLists, fc.integer({ min: -400, max: 400 }), (buckets, delta) => {
      const result = adjusted(buckets, delta);
      expect(totalOf(result)).toBe(buckets.length === 0 ? 0 : Math.max(0, totalOf(buckets) + delta));
      expectWellFormed(result);
    }),
  );
});

it("a correction touches an older bucket only when the newer ones have nothing accepted left", () => {
  const buckets = [
    { hitMs: 1, count: 5, declined: 1 },
    { hitMs: 2, count: 6, declined: 4 },
  ];
  expect(adjusted(buckets, -2)).toEqual([buckets[0], { hitMs: 2, count: 4, declined: 4 }]);
  expect(adjusted(buckets, -3)).toEqual([
    { hitMs: 1, count: 4, declined: 1 },
    { hitMs: 2, count: 4, declined: 4 },
  ]);
  expect(adjusted(buckets, -8)).toEqual([
    { hitMs: 1, count: 1, declined: 1 },
    { hitMs: 2, count: 2, declined: 2 },
  ]);
});
