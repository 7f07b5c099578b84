import fc from "fast-check";
import { createLocalProvider, type LocalProvider } from "trypema";
import { manualClock, seededRandom } from "trypema/testing";
import { expect, it } from "vitest";
import { createNaiveProvider } from "../support/naive-provider.ts";
import { sizes, startsMs, steps, surge, surges, take } from "../support/schedules.ts";
import { expectSound } from "../support/usage.ts";

const cases = sizes.chain((size) =>
  fc.record({
    size: fc.constant(size),
    steps: steps(size.windowMs, size.bucketMs),
    hardLimitFactor: fc.constantFrom(1, 1.5, 4),
    suppressionCacheMs: fc.constantFrom(0, 1, 100, 100_000),
    seed: fc.nat(),
    startMs: startsMs,
    /** Whether the usage of every key is looked at after each step. A look drops what has expired. */
    looks: fc.boolean(),
  }),
);

it("Local answers every call as the specification kept in plain arrays does", () => {
  fc.assert(
    fc.property(cases, ({ size, steps, seed, startMs, looks, ...suppression }) => {
      const clock = manualClock(startMs);
      const options = { ...size, ...suppression, clock };
      const local = createLocalProvider({ ...options, random: seededRandom(seed), cleanup: false });
      const naive = createNaiveProvider({ ...options, random: seededRandom(seed) });
      for (const step of steps) {
        clock.advance(step.waitMs);
        expect(take(step, local)).toEqual(take(step, naive));
        if (looks) checkUsages(local, naive);
      }
      checkUsages(local, naive);
    }),
    { numRuns: 800 },
  );
});

function checkUsages(local: LocalProvider, naive: ReturnType<typeof createNaiveProvider>): void {
  for (const strategy of ["absolute", "suppressed"] as const) {
    for (const key of ["a", "b"]) {
      const usage = local[strategy].get(key);
      expectSound(usage);
      if (strategy === "absolute") expect(usage.declined).toBe(0);
      expect(usage).toEqual(naive[strategy].get(key));
    }
  }
}

it("Local sees the rate of the last second as a sum over the buckets would", () => {
  fc.assert(
    fc.property(surges, ({ size, steps, seed, suppressionCacheMs }) => {
      const clock = manualClock(1_000_000);
      const options = { ...size, suppressionCacheMs, hardLimitFactor: 1e6, clock };
      const local = createLocalProvider({ ...options, random: seededRandom(seed), cleanup: false }).suppressed;
      const naive = createNaiveProvider({ ...options, random: seededRandom(seed) }).suppressed;
      for (const step of steps) {
        clock.advance(step.waitMs);
        for (const limiter of [local, naive]) surge(step, limiter, size.windowMs);
        expectSound(local.get("k"));
        expect(local.getSuppressionFactor("k")).toBe(naive.getSuppressionFactor("k"));
      }
    }),
    { numRuns: 300 },
  );
});
