// The promise of the suppressed strategy (specification, section 5), on virtual time.

import { createLocalProvider, type LocalOptions, perSecond } from "trypema";
import { seededRandom } from "trypema/testing";
import { describe, expect, it } from "vitest";

interface Load {
  readonly ratePerSecond: number;
  /** Offered load as a multiple of the rate; arrivals are Poisson. */
  readonly overload: number;
  readonly seed: number;
}

/** Mean of what is admitted per second over the limit, and its coefficient of variation over that of pure Poisson noise. */
function observe(strategy: "absolute" | "suppressed", options: LocalOptions & { windowMs: number }, load: Load) {
  const { ratePerSecond, overload, seed } = load;
  const random = seededRandom(seed);
  let nowMs = 0;
  const limiter = createLocalProvider({ ...options, random, clock: () => nowMs, cleanup: false })[strategy];
  // Whatever burst the first window began with has faded after some more of them.
  const settledMs = 10 * options.windowMs;
  const seconds = Math.ceil(Math.max(10 * (options.windowMs / 1_000), 2_000 / ratePerSecond, 100));
  const admitted = new Array<number>(seconds).fill(0);
  for (;;) {
    nowMs += (-Math.log(1 - random()) * 1_000) / (ratePerSecond * overload);
    const second = Math.floor((nowMs - settledMs) / 1_000);
    if (second >= seconds) break;
    const { allowed } = limiter.inc("k", perSecond(ratePerSecond));
    if (allowed && second >= 0) admitted[second]!++;
  }
  const mean = admitted.reduce((sum, count) => sum + count, 0) / seconds;
  const variance = admitted.reduce((sum, count) => sum + (count - mean) ** 2, 0) / seconds;
  const noise = 1 / Math.sqrt(ratePerSecond);
  return { share: mean / ratePerSecond, variation: Math.sqrt(variance) / mean / noise };
}

const OVERLOADS = [1.2, 2, 5, 20, 100];
const SEEDS = [1, 2, 3];

describe.each(OVERLOADS)("suppressed at %d times the limit", (overload) => {
  it.each([
    { windowMs: 10_000, bucketMs: 10, ratePerSecond: 100 },
    { windowMs: 10_000, bucketMs: 100, ratePerSecond: 100 },
    { windowMs: 60_000, bucketMs: 100, ratePerSecond: 5.5 },
    { windowMs: 60_000, bucketMs: 1_000, ratePerSecond: 50 },
    { windowMs: 600_000, bucketMs: 100, ratePerSecond: 0.5 },
  ])("admits the limit smoothly: $ratePerSecond/s, window $windowMs ms, buckets of $bucketMs ms", (settings) => {
    for (const seed of SEEDS) {
      const { ratePerSecond, ...options } = settings;
      const { share, variation } = observe("suppressed", options, { ratePerSecond, overload, seed });
      expect(share).toBeGreaterThan(0.95);
      expect(share).toBeLessThan(1.05);
      expect(variation).toBeLessThan(1.5);
    }
  });

  it.each([
    { windowMs: 60_000, ratePerSecond: 0.5 },
    { windowMs: 10_000, ratePerSecond: 0.5 },
    { windowMs: 1_000, ratePerSecond: 5.5 },
  ])(
    "overshoots a capacity of a few by no more than 0.8 / √capacity: $ratePerSecond/s, window $windowMs ms",
    (settings) => {
      const { ratePerSecond, windowMs } = settings;
      const capacity = Math.floor((ratePerSecond * windowMs) / 1_000);
      for (const seed of SEEDS) {
        const { share, variation } = observe("suppressed", { windowMs }, { ratePerSecond, overload, seed });
        expect(share).toBeLessThan(1 + 0.8 / Math.sqrt(capacity));
        expect(share).toBeGreaterThan(0.85);
        expect(variation).toBeLessThan(1.5);
      }
    },
  );
});

it("is what the absolute strategy is not: that one admits a burst and then nothing", () => {
  const load = { ratePerSecond: 100, overload: 20, seed: 1 };
  const { share, variation } = observe("absolute", { windowMs: 10_000, bucketMs: 10 }, load);
  expect(share).toBeGreaterThan(0.95);
  expect(share).toBeLessThanOrEqual(1);
  expect(variation).toBeGreaterThan(10);
});
