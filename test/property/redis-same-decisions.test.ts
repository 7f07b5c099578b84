import fc from "fast-check";
import { createLocalProvider, perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisClient, type RedisOptions } from "trypema/redis";
import { manualClock, seededRandom } from "trypema/testing";
import { describe, expect, it } from "vitest";
import { inCrowd } from "../support/in-crowd.ts";
import { type Step, sizes, startsMs, steps, surge, surges, take } from "../support/schedules.ts";
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
  Hybrid: createHybridProvider,
};

describe.each(Object.entries(providers))("%s", (name, createProvider) => {
  it.each(["any rate at each call", "one rate"])("answers every call as Local does, at %s", async (rates) => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(cases, async ({ size, steps, seed, startMs, ...suppression }) => {
        const clock = manualClock(startMs);
        const options = { ...size, ...suppression, clock };
        const local = createLocalProvider({ ...options, random: seededRandom(seed), cleanup: false });
        const own = { random: seededRandom(seed), prefix: `${name}-${rates}-${++runs}`, timeoutMs: 30_000 };
        const provider = createProvider(redis.client, { ...options, ...own });
        for (const step of rates === "one rate" ? steps.map(withRate(steps)) : steps) {
          clock.advance(step.waitMs);
          expect(await take(step, provider)).toEqual(take(step, local));
        }
        for (const key of ["a", "b"]) {
          expect(await soundUsages(provider, key)).toEqual(await soundUsages(local, key));
        }
        await provider.close();
        // No answer to a report was taken for a wrong one: Hybrid would send the report again, and nobody would notice.
        expect(provider.stats()).toMatchObject(name === "Hybrid" ? { failures: 0, reportsLost: 0 } : { failures: 0 });
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

it("to ask Hybrid for the factor changes no factor that is asked for or met later", async () => {
  const clock = manualClock(1_234_567);
  const options = { windowMs: 10_000, bucketMs: 10_000, hardLimitFactor: 4, random: () => 0.9, clock };
  const limiters = [createLocalProvider(options), createHybridProvider(redis.client, { ...options, prefix: "factor" })];
  const [onLocal, onHybrid] = await Promise.all(
    limiters.map(async ({ suppressed }) => [await suppressed.inc("k", perSecond(0.1), 2)] as unknown[]),
  );
  for (const passedMs of [100, 1, 1, 98, 1, 50]) {
    clock.advance(passedMs);
    onLocal!.push(await limiters[0]!.suppressed.get("k"));
    onHybrid!.push(await limiters[1]!.suppressed.get("k"));
  }
  expect(onHybrid).toEqual(onLocal);
});

it("to settle a key on Hybrid that is over its soft limit is answered at the first time", async () => {
  const options = { windowMs: 10_000, hardLimitFactor: 4, suppressionCacheMs: 0, clock: manualClock(1_234_567) };
  const random = seededRandom(0);
  const provider = createHybridProvider(redis.client, { ...options, random, prefix: "settle" });
  const { suppressed } = provider;
  expect(await suppressed.inc("k", perSecond(0.1), 2)).toMatchObject({ allowed: true });
  expect(await suppressed.inc("k", perSecond(0.1))).toMatchObject({ allowed: false });
  await suppressed.setIf("k", perSecond(0.2), { op: "lt", value: 0 }, 0);
  expect(await suppressed.get("k")).toMatchObject({ total: 3, declined: 1, limit: 2 });
  await provider.close();
  expect(provider.stats()).toMatchObject({ failures: 0, reportsLost: 0 });
});

/** Gives every step the rate of the first that has one: Hybrid decides more without Redis then. */
function withRate(steps: readonly Step[]): (step: Step) => Step {
  const rate = steps.find((step) => "rate" in step)?.rate;
  return (step) => ("rate" in step && rate !== undefined ? { ...step, rate } : step);
}
