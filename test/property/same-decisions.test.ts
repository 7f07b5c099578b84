import fc from "fast-check";
import { createLocalProvider, type LocalProvider, perSecond } from "trypema";
import { manualClock, seededRandom } from "trypema/testing";
import { expect, it } from "vitest";
import { createNaiveProvider } from "../support/naive-provider.ts";
import { sizes, startsMs, steps, take } from "../support/schedules.ts";
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
    { numRuns: 3_000 },
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

/** Surges: far over the limit, with pauses about as long as a second, and no ceiling that hides the factor. */
const surges = fc.record({
  bucketMs: fc.constantFrom(10, 100, 700, 1_000, 3_000),
  suppressionCacheMs: fc.constantFrom(0, 300),
  steps: fc.array(
    fc.record({
      waitMs: fc.constantFrom(0, 1, 60, 300, 950, 1_000, 1_050, 4_000, 9_000, 10_000),
      method: fc.constantFrom("inc", "inc", "inc", "adjust", "setIf", "look"),
      count: fc.integer({ min: 1, max: 30 }),
    }),
    { maxLength: 80 },
  ),
  seed: fc.nat(),
});

it("Local sees the rate of the last second as a sum over the buckets would", () => {
  fc.assert(
    fc.property(surges, ({ steps, seed, ...settings }) => {
      const clock = manualClock(1_000_000);
      const options = { windowMs: 10_000, hardLimitFactor: 1e6, clock, ...settings };
      const local = createLocalProvider({ ...options, random: seededRandom(seed), cleanup: false }).suppressed;
      const naive = createNaiveProvider({ ...options, random: seededRandom(seed) }).suppressed;
      for (const { waitMs, method, count } of steps) {
        clock.advance(waitMs);
        for (const limiter of [local, naive]) {
          if (method === "inc") limiter.inc("k", perSecond(0.5), count);
          if (method === "adjust") limiter.adjust("k", 15 - count);
          if (method === "setIf") limiter.setIf("k", perSecond(0.5), { op: "lt", value: 40 }, count, "preserve-newest");
        }
        expectSound(local.get("k"));
        expect(local.getSuppressionFactor("k")).toBe(naive.getSuppressionFactor("k"));
      }
    }),
    { numRuns: 2_000 },
  );
});
