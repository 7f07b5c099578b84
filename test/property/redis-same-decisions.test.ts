import fc from "fast-check";
import { createLocalProvider } from "trypema";
import { createRedisProvider, type RedisClient, type RedisOptions } from "trypema/redis";
import { manualClock, seededRandom } from "trypema/testing";
import { describe, expect, it } from "vitest";
import { callsOnBorders } from "../support/borders.ts";
import { inCrowd } from "../support/in-crowd.ts";
import { sizes, startsMs, steps, surge, surges, take } from "../support/schedules.ts";
import { soundUsages } from "../support/usage.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

const cases = sizes.chain((size) =>
  fc.record({
    size: fc.constant(size),
    steps: steps(size.windowMs, size.bucketMs),
    hardLimitFactor: fc.constantFrom(1, 1.5, 4, 1e6),
    suppressionCacheMs: fc.constantFrom(0, 1, 100, 100_000),
    seed: fc.nat(),
    startMs: startsMs,
  }),
);

const providers = {
  Redis: createRedisProvider,
  "Redis, in batches": (client: RedisClient, options: RedisOptions) => inCrowd(createRedisProvider(client, options)),
};

describe.each(Object.entries(providers))("%s", (name, createProvider) => {
  it("answers every call as Local does", async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(cases, async ({ size, steps, seed, startMs, ...suppression }) => {
        const clock = manualClock(startMs);
        const options = { ...size, ...suppression, clock };
        const local = createLocalProvider({ ...options, random: seededRandom(seed), cleanup: false });
        const own = { random: seededRandom(seed), prefix: `${name}-${++runs}`, timeoutMs: 30_000 };
        const provider = createProvider(redis.client, { ...options, ...own });
        for (const step of steps) {
          clock.advance(step.waitMs);
          expect(await take(step, provider)).toEqual(take(step, local));
        }
        for (const key of ["a", "b"]) {
          expect(await soundUsages(provider, key)).toEqual(await soundUsages(local, key));
        }
        await provider.close();
        expect(provider.stats()).toMatchObject({ failures: 0 });
      }),
      { numRuns: 300 },
    );
  });

  it("counts a call on the border of two cells of the grid in the bucket that Local counts it in", async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(callsOnBorders, async ({ size, calls, timesMs, seed }) => {
        const clock = manualClock();
        const options = { ...size, suppressionCacheMs: 0, clock };
        const local = createLocalProvider({ ...options, random: seededRandom(seed), cleanup: false });
        const own = { random: seededRandom(seed), prefix: `${name}-borders-${++runs}`, timeoutMs: 30_000 };
        const provider = createProvider(redis.client, { ...options, ...own });
        for (const [i, call] of calls.entries()) {
          clock.set(timesMs[i]!);
          expect(await take(call, provider)).toEqual(take(call, local));
        }
        await provider.close();
        expect(provider.stats()).toMatchObject({ failures: 0 });
      }),
      { numRuns: 300 },
    );
  });
});

it("Redis sees the rate of the last second as Local does", async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(surges, async ({ size, steps, suppressionCacheMs }) => {
      const clock = manualClock(1_000_000);
      const options = { ...size, suppressionCacheMs, hardLimitFactor: 1e6, random: () => 0.5, clock };
      const local = createLocalProvider({ ...options, cleanup: false }).suppressed;
      const own = { prefix: `surges-${++runs}`, timeoutMs: 30_000 };
      const { suppressed } = createRedisProvider(redis.client, { ...options, ...own });
      for (const step of steps) {
        clock.advance(step.waitMs);
        for (const limiter of [local, suppressed]) await surge(step, limiter, size.windowMs);
        expect(await suppressed.getSuppressionFactor("k")).toBe(local.getSuppressionFactor("k"));
      }
    }),
    { numRuns: 100 },
  );
});
