// Calls as heavy as numbers go: Redis decides about them as Local does, though all totals have an end.

import fc from "fast-check";
import { createLimits, createLocalProvider, type LimitDefinition, type Provider, perSecond, unlimited } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { expect, it } from "vitest";
import { inCrowd } from "../support/in-crowd.ts";
import { type Step, take } from "../support/schedules.ts";
import { soundUsages } from "../support/usage.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

const NAMES = ["one", "two", "three"] as const;

const MOST = Number.MAX_SAFE_INTEGER;
const HALF = 2 ** 52;

const count = fc.constantFrom(1, 1, 5, HALF / 2, HALF - 1, HALF, HALF + 1, MOST - 1, MOST);
const countOrNone = fc.oneof({ arbitrary: count, weight: 4 }, { arbitrary: fc.constant(0), weight: 1 });
const finiteRate = fc
  .constantFrom(10, HALF / 2, HALF, HALF + 3, MOST - 1, MOST, 2 ** 53, 2 ** 55, 1e300)
  .map(perSecond);
const rate = fc.oneof({ arbitrary: finiteRate, weight: 10 }, { arbitrary: fc.constant(unlimited()), weight: 1 });

/** A take of several limits, and what it is settled to. */
interface TakeStep {
  readonly method: "take";
  readonly waitMs: number;
  readonly counts: Readonly<Partial<Record<(typeof NAMES)[number], number>>>;
  readonly settledTo: number | undefined;
}

const step = fc
  .tuple(
    fc.record({
      waitMs: fc.constantFrom(0, 0, 0, 50, 100, 300, 500, 1_000),
      strategy: fc.constantFrom("absolute", "suppressed"),
      key: fc.constant("a"),
    }),
    fc.oneof(
      { arbitrary: fc.record({ method: fc.constant("inc"), rate, count }), weight: 8 },
      {
        arbitrary: fc.record({
          method: fc.constant("isAllowed"),
          rate: fc.option(rate, { nil: undefined }),
          count,
        }),
        weight: 2,
      },
      { arbitrary: fc.record({ method: fc.constantFrom("get", "getSuppressionFactor") }), weight: 2 },
      {
        arbitrary: fc.record({
          method: fc.constant("adjust"),
          delta: fc.tuple(count, fc.constantFrom(1, -1)).map(([size, sign]) => size * sign),
        }),
        weight: 2,
      },
      {
        arbitrary: fc.record({
          method: fc.constant("setIf"),
          rate,
          condition: fc.constant({ op: "always" }),
          count: countOrNone,
          history: fc.constantFrom("replace", "preserve-newest", "preserve-oldest"),
        }),
        weight: 2,
      },
      {
        arbitrary: fc.record({
          method: fc.constant("take"),
          counts: fc.record({ one: countOrNone, two: countOrNone, three: countOrNone }, { requiredKeys: ["two"] }),
          settledTo: fc.constantFrom(undefined, undefined, 0, 3),
        }),
        weight: 6,
      },
    ),
  )
  .map(([common, specific]) => ({ ...common, ...specific }) as Step | TakeStep);

const definition: fc.Arbitrary<LimitDefinition> = fc.record({
  rate: finiteRate,
  windowMs: fc.constant(1_000),
  strategy: fc.constantFrom("absolute", "suppressed", "suppressed"),
});

const cases = fc.record({
  steps: fc.array(step, { maxLength: 30 }),
  definitions: fc.record({ one: definition, two: definition, three: definition }),
  hardLimitFactor: fc.constantFrom(1, 1.5, 4),
  suppressionCacheMs: fc.constantFrom(0, 100),
  bucketMs: fc.constantFrom(100, 1_000),
  /** Always the same, because providers may draw ahead. */
  draw: fc.constantFrom(0, 0.3, 0.5, 0.9),
});

/** Makes the call, and tells what it was answered and what is counted then. */
async function outcomeOf(
  step: Step | TakeStep,
  provider: Provider,
  limits: ReturnType<typeof createLimits<Provider, (typeof NAMES)[number]>>,
) {
  if (step.method !== "take") return [await take(step, provider), await soundUsages(provider, "a")];
  const keys = Object.fromEntries(Object.keys(step.counts).map((name) => [name, "k"])) as { two: string };
  const taken = await limits.take(keys, step.counts);
  if (step.settledTo !== undefined) await taken.settle(step.settledTo);
  const { allowed, deniedBy, retryAfterMs, decisions } = taken;
  const usages = await Promise.all(NAMES.map((name) => limits.limiter(name).get("k")));
  return [{ allowed, deniedBy, retryAfterMs, decisions }, usages];
}

it.each(["alone", "in batches"])("Redis answers heavy calls as Local does, %s", async (way) => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(cases, async ({ steps, definitions, draw, ...drawn }) => {
      const clock = manualClock(1_000_000);
      const options = { windowMs: 1_000, ...drawn, clock, random: () => draw };
      const local = createLocalProvider({ ...options, cleanup: false });
      const own = { prefix: `heavy-${way}-${++runs}`, timeoutMs: 30_000 };
      const provider = createRedisProvider(redis.client, { ...options, ...own });
      const [here, there] = [local, provider].map((one) => createLimits(one as Provider, definitions));
      for (const step of steps) {
        clock.advance(step.waitMs);
        const expected = await outcomeOf(step, local, here!);
        const called = way === "alone" ? provider : inCrowd(provider);
        expect(await outcomeOf(step, called, there!)).toEqual(expected);
      }
      await provider.close();
      expect(provider.stats()).toMatchObject({ failures: 0 });
    }),
    { numRuns: 100 },
  );
});
