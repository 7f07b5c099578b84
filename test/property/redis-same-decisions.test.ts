import fc from "fast-check";
import { createLocalProvider } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { manualClock, seededRandom } from "trypema/testing";
import { expect, it } from "vitest";
import { sizes, steps, take } from "../support/schedules.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

const cases = sizes.chain((size) =>
  fc.record({
    size: fc.constant(size),
    steps: steps(size.windowMs, size.bucketMs),
    hardLimitFactor: fc.constantFrom(1, 1.5, 4, 1e6),
    suppressionCacheMs: fc.constantFrom(0, 1, 100, 100_000),
    seed: fc.nat(),
  }),
);

it("Redis answers every call as Local does", async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(cases, async ({ size, steps, seed, ...suppression }) => {
      const clock = manualClock(1_234_567);
      const options = { ...size, ...suppression, clock };
      const local = createLocalProvider({ ...options, random: seededRandom(seed), cleanup: false });
      const prefix = `run-${++runs}`;
      const provider = createRedisProvider(redis.client, { ...options, random: seededRandom(seed), prefix });
      for (const step of steps) {
        clock.advance(step.waitMs);
        expect(await take(step, provider)).toEqual(take(step, local));
      }
    }),
    { numRuns: 600 },
  );
});
