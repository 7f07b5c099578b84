// Whole decisions: the scripts in Redis decide about any window as src/strategy does about the list of its buckets, and
// count what they admit.

import fc from "fast-check";
import { type Decision, perSecond } from "trypema";
import { expect, it } from "vitest";
import { resolveLimiterOptions } from "../../src/core/options.ts";
import { argumentsOf, type Command, fieldsOf } from "../../src/redis/commands.ts";
import { ABSOLUTE_INC, SUPPRESSED_INC } from "../../src/redis/lua.generated.ts";
import { admissionFrom } from "../../src/redis/reply.ts";
import { decideAbsolute } from "../../src/strategy/absolute.ts";
import { type Bucket, cellStartOf } from "../../src/strategy/bucket.ts";
import { capacityOf } from "../../src/strategy/capacity.ts";
import { allowed, rejected, suppressed } from "../../src/strategy/decision.ts";
import { decideSuppressed, type SuppressedRule, suppressedRuleOf } from "../../src/strategy/suppressed.ts";
import { liveBuckets, type PlainWindow, viewOf, withHit } from "../support/plain-window.ts";
import { readStored, writeStored } from "../support/stored-state.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

const STATE = "{k}";
/** Within a cell of the grid, whatever its width. */
const NOW_MS = 1_000_240;

/** Buckets in different cells. Some have expired. */
const bucketsIn = (windowMs: number, bucketMs: number, mostDeclined: number) =>
  fc
    .uniqueArray(
      fc.record({
        ageMs: fc.oneof(fc.integer({ min: 0, max: 1_100 }), fc.integer({ min: 0, max: windowMs + bucketMs })),
        count: fc.integer({ min: 1, max: 9 }),
        declined: fc.nat(mostDeclined),
      }),
      { selector: ({ ageMs }) => cellStartOf(NOW_MS - ageMs, bucketMs), maxLength: 7 },
    )
    .map((drawn) => drawn.toSorted((one, other) => other.ageMs - one.ageMs))
    .map((drawn) =>
      drawn.map(
        ({ ageMs, count, declined }): Bucket => ({
          hitMs: NOW_MS - ageMs,
          count,
          declined: Math.min(declined, count),
        }),
      ),
    );

const capacities = fc.integer({ min: 1, max: 40 });

/** Windows whose rate is that of the call, or another one. */
const windows = (mostDeclined: number) =>
  fc.tuple(fc.constantFrom(500, 3_000), fc.constantFrom(10, 100, 500)).chain(([windowMs, bucketMs]) =>
    fc.record({
      buckets: bucketsIn(windowMs, bucketMs, mostDeclined),
      nowMs: fc.constant(NOW_MS),
      windowMs: fc.constant(windowMs),
      bucketMs: fc.constant(bucketMs),
      rate: capacities.map((capacity) => perSecond((capacity * 1_000) / windowMs)),
      leased: fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, fc.integer({ min: 1, max: 20 })),
      leasedUntilMs: fc.constantFrom(NOW_MS, NOW_MS + 1, NOW_MS + 4_000),
      factor: fc.constantFrom(0, 0.25, 0.75),
      factorMs: fc.constantFrom(Number.NEGATIVE_INFINITY, NOW_MS - 100, NOW_MS - 99, NOW_MS),
    }),
  );

const calls = {
  count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 30 })),
  /** The call's own capacity; undefined for that of the window's rate. */
  capacity: fc.option(capacities, { nil: undefined }),
};

/** Stores a window as the scripts do, and gives what a script replies then. */
async function run<Reply>(command: Command<never, Reply>, window: PlainWindow, values: object): Promise<unknown> {
  const { buckets, nowMs, windowMs, bucketMs, rate, leased, leasedUntilMs, factor } = window;
  const factorMs = buckets.length === 0 ? Number.NEGATIVE_INFINITY : window.factorMs;
  const leases = { reserved: leased, leaseCount: Math.min(1, leased), firstGoneMs: leasedUntilMs };
  const others = { rate, factor, factorMs, ...leases, lastGoneMs: leasedUntilMs, newestMs: nowMs };
  await writeStored(redis.client, STATE, buckets, others);
  const args = argumentsOf(command, { windowMs, bucketMs, clockMs: nowMs, ...values } as never);
  return redis.client.eval(command.source, 2, STATE, `${STATE}b`, ...args);
}

/** The buckets that Redis has then; what has expired isn't dropped where nothing else is stored. */
async function storedBuckets({ nowMs, windowMs }: PlainWindow): Promise<Bucket[]> {
  const { state } = await readStored(redis.client, STATE);
  return (state?.buckets ?? []).filter(({ hitMs }) => hitMs + windowMs > nowMs);
}

function admissionIn(reply: unknown, { windowMs }: PlainWindow, limit: number, count: number): Decision {
  const { used, moreAfterMs } = admissionFrom(reply, count, limit, windowMs);
  return allowed(limit, used, moreAfterMs);
}

async function absoluteInRedis(window: PlainWindow, limit: number, values: { count: number; rate: number }) {
  const reply = await run(ABSOLUTE_INC, window, { ...values, limit });
  if (!Array.isArray(reply)) return admissionIn(reply, window, limit, values.count);
  const { used, wait, freed, moreMs } = fieldsOf(ABSOLUTE_INC, reply);
  const remaining = Math.max(0, limit - used);
  if (values.count > limit)
    return rejected(limit, remaining, wait === -1 ? Number.POSITIVE_INFINITY : wait, limit, moreMs);
  return rejected(limit, remaining, wait, Math.max(0, limit - used + freed), moreMs);
}

async function suppressedInRedis(window: PlainWindow, rule: SuppressedRule, count: number, draw: number) {
  const { limit, rate, hardLimit, suppressionCacheMs } = rule;
  const reply = await run(SUPPRESSED_INC, window, { count, limit, rate, hardLimit, suppressionCacheMs, draw });
  if (!Array.isArray(reply)) return admissionIn(reply, window, limit, count);
  const { admitted, accepted, scaledFactor, wait, oldestAccepted } = fieldsOf(SUPPRESSED_INC, reply);
  const factor = scaledFactor / 2 ** 53;
  const remaining = Math.max(0, limit - accepted - admitted * count);
  if (admitted === 1) return suppressed(true, limit, remaining, 0, remaining, wait, factor);
  if (count > hardLimit) return suppressed(false, limit, remaining, Number.POSITIVE_INFINITY, limit, wait, factor);
  return suppressed(false, limit, remaining, wait, Math.max(0, limit - accepted + oldestAccepted), wait, factor);
}

/** What kind of decision it is: a test with random cases notes which it had. */
function kindOf({ outcome, allowed, retryAfterMs }: Decision): string {
  if (allowed) return outcome;
  return `${outcome}, ${retryAfterMs === Number.POSITIVE_INFINITY ? "for ever" : "for now"}`;
}

it("the absolute strategy decides in Redis as in TypeScript", async () => {
  const tried = new Set<string>();
  await fc.assert(
    fc.asyncProperty(windows(0), fc.record(calls), async (window, { count, capacity }) => {
      const rate = capacity === undefined ? window.rate : perSecond((capacity * 1_000) / window.windowMs);
      const limit = capacityOf(rate, window.windowMs);
      const decision = decideAbsolute(viewOf(window), limit, count);
      tried.add(kindOf(decision));
      expect(await absoluteInRedis(window, limit, { count, rate })).toEqual(decision);
      const after = decision.allowed ? withHit(window, count, 0) : window;
      expect(await storedBuckets(window)).toEqual(liveBuckets(after));
    }),
    { numRuns: 1_500, seed: 1 },
  );
  expect(tried).toEqual(new Set(["allowed", "rejected, for now", "rejected, for ever"]));
});

it("the suppressed strategy decides in Redis as in TypeScript", async () => {
  const tried = new Set<string>();
  const draws = fc.constantFrom(0, 0.25, 0.5, 0.75, 0.999);
  const settings = fc.record({
    hardLimitFactor: fc.constantFrom(1, 1.5, 8),
    suppressionCacheMs: fc.constantFrom(0, 100),
  });
  await fc.assert(
    fc.asyncProperty(windows(9), fc.record(calls), settings, draws, async (window, call, settings, draw) => {
      const { count, capacity } = call;
      const rate = capacity === undefined ? window.rate : perSecond((capacity * 1_000) / window.windowMs);
      const rule = suppressedRuleOf(rate, resolveLimiterOptions({ ...settings, windowMs: window.windowMs }));
      // A denied call is told how long the oldest bucket lives with the call, which may be the newest one too.
      const { oldestExpiresInMs, oldestAccepted } = viewOf(withHit(window, count, count));
      const seen = { ...viewOf(window), oldestExpiresInMs, oldestAccepted };
      const decision = decideSuppressed(seen, rule, count, () => draw);
      tried.add(kindOf(decision));
      expect(await suppressedInRedis(window, rule, count, draw)).toEqual(decision);
      expect(await storedBuckets(window)).toEqual(withHit(window, count, decision.allowed ? 0 : count).buckets);
    }),
    { numRuns: 2_500, seed: 1 },
  );
  expect(tried).toEqual(new Set(["allowed", "suppressed", "suppressed, for now", "suppressed, for ever"]));
});
