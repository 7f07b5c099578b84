// The promise of the suppressed strategy (specification, section 5), on virtual time.

import { createLocalProvider, type LocalOptions, perSecond } from "trypema";
import { seededRandom } from "trypema/testing";
import { describe, expect, it } from "vitest";

interface Load {
  readonly ratePerSecond: number;
  /** Offered load as a multiple of the rate; arrivals are Poisson. */
  readonly overload: number;
  readonly seed: number;
  /** What calls weigh, each as often as the others. Default 1. */
  readonly weights?: readonly number[];
  /** How long to observe. Default: so long that chance is no matter. */
  readonly seconds?: number;
}

/**
 * Two ratios of what is admitted per second: its mean to the limit, and its coefficient of variation to that of Poisson
 * noise.
 */
function observe(strategy: "absolute" | "suppressed", options: LocalOptions & { windowMs: number }, load: Load) {
  const { ratePerSecond, overload, seed, weights = [1] } = load;
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanWeight = meanOf(weights);
  const random = seededRandom(seed);
  let nowMs = 0;
  const limiter = createLocalProvider({ ...options, random, clock: () => nowMs, cleanup: false })[strategy];
  // Whatever burst the first window began with has faded after some more of them.
  const settledMs = 10 * options.windowMs;
  const seconds = load.seconds ?? Math.ceil(Math.max(10 * (options.windowMs / 1_000), 2_000 / ratePerSecond, 100));
  const admitted = new Array<number>(seconds).fill(0);
  for (;;) {
    nowMs += (-Math.log(1 - random()) * 1_000 * meanWeight) / (ratePerSecond * overload);
    const second = Math.floor((nowMs - settledMs) / 1_000);
    if (second >= seconds) break;
    const weight = weights.length === 1 ? weights[0]! : weights[Math.floor(random() * weights.length)]!;
    const { allowed } = limiter.inc("k", perSecond(ratePerSecond), weight);
    if (allowed && second >= 0) admitted[second]! += weight;
  }
  const mean = meanOf(admitted);
  const variance = meanOf(admitted.map((count) => (count - mean) ** 2));
  const noise = Math.sqrt(meanOf(weights.map((weight) => weight ** 2)) / meanWeight / ratePerSecond);
  return { share: mean / ratePerSecond, variation: Math.sqrt(variance) / mean / noise };
}

const OVERLOADS = [1.2, 2, 5, 20, 100];
const SEEDS = [1, 2];
/** At 100 times the limit one run makes more calls than those at less make together, which is enough. */
const seedsAt = (overload: number) => (overload < 100 ? SEEDS : SEEDS.slice(0, 1));

describe.each(OVERLOADS)("suppressed at %d times the limit", (overload) => {
  it.each([
    { windowMs: 10_000, bucketMs: 10, ratePerSecond: 100 },
    { windowMs: 10_000, bucketMs: 100, ratePerSecond: 100 },
    { windowMs: 60_000, bucketMs: 100, ratePerSecond: 5.5 },
    { windowMs: 60_000, bucketMs: 1_000, ratePerSecond: 50 },
    { windowMs: 600_000, bucketMs: 100, ratePerSecond: 0.5 },
  ])("admits the limit smoothly: $ratePerSecond/s, window $windowMs ms, buckets of $bucketMs ms", (settings) => {
    for (const seed of seedsAt(overload)) {
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
      for (const seed of seedsAt(overload)) {
        const { share, variation } = observe("suppressed", { windowMs }, { ratePerSecond, overload, seed });
        expect(share).toBeLessThan(1 + 0.8 / Math.sqrt(capacity));
        expect(share).toBeGreaterThan(0.85);
        expect(variation).toBeLessThan(1.5);
      }
    },
  );
});

describe("where the promise ends", () => {
  const MIXES: [weights: number[], capacity: number, calls: number][] = [
    [[1, 9], 2_100, 256],
    [[1, 9], 1_000, 122],
    [[9], 1_000, 111],
    [[1, 1, 1, 1, 1, 1, 1, 1, 1, 99], 1_000, 11],
  ];
  it.each(MIXES)("weights of %j make a capacity of %d as lopsided as one of %d calls", (weights, capacity, calls) => {
    for (const overload of [1.2, 5, 20]) {
      const load = { ratePerSecond: capacity / 10, overload, seed: 1, weights };
      const { share, variation } = observe("suppressed", { windowMs: 10_000 }, load);
      expect(share).toBeLessThan(1 + Math.max(0.05, 0.8 / Math.sqrt(calls)));
      expect(share).toBeGreaterThan(0.9);
      expect(variation).toBeLessThan(1.5);
    }
  });

  it.each([
    ["a tenth of", { windowMs: 100, bucketMs: 10 }, 0.95, 1.05],
    ["a tenth of", { windowMs: 200, bucketMs: 20 }, 0.95, 1.05],
    ["the default in", { windowMs: 100 }, 0.7, 0.8],
    ["the default in", { windowMs: 200 }, 0.85, 1.05],
  ])("buckets of %s a short window, %o, make a mean of %d to %d", (_, options, least, most) => {
    for (const overload of [1.2, 5]) {
      const load = { ratePerSecond: 500_000 / options.windowMs, overload, seed: 1, seconds: 10 };
      const { share } = observe("suppressed", options, load);
      expect(share).toBeGreaterThan(least);
      expect(share).toBeLessThan(most);
    }
  });
});

it("is what the absolute strategy is not: that one admits a burst and then nothing", () => {
  const load = { ratePerSecond: 100, overload: 20, seed: 1 };
  const { share, variation } = observe("absolute", { windowMs: 10_000, bucketMs: 10 }, load);
  expect(share).toBeGreaterThan(0.95);
  expect(share).toBeLessThanOrEqual(1);
  expect(variation).toBeGreaterThan(10);
});
