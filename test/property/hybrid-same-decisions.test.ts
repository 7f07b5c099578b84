// Hybrid alone in the world decides as Local does, whenever it reports. Its timers are false, so it reports where a
// schedule says and nowhere else: otherwise each interleaving of a report and calls would be a matter of luck.

import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { createLocalProvider, type Decision, perSecond } from "trypema";
import { type CommandClient, createHybridProvider, type HybridProvider } from "trypema/hybrid";
import { manualClock, seededRandom } from "trypema/testing";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import {
  atOneRate,
  rates,
  type Step,
  type Subject,
  sizes,
  startsMs,
  step,
  subjects,
  take,
  waits,
} from "../support/schedules.ts";
import { soundUsages } from "../support/usage.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

beforeAll(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterAll(() => void vi.useRealTimers());

/** No report of a provider waits for longer than that. */
const LONGEST_LINGER_MS = 1_000;

/** When a round of reports begins: not now, early enough to be answered before a call, or right before the call. */
type Round = "none" | "before" | "during";

/** Hits in more cells than 64 are merged while they aren't reported, because an outage can be long. */
const MOST_UNREPORTED = 64;

interface Schedules {
  readonly make: typeof step;
  readonly change?: (steps: readonly Step[]) => readonly Step[];
  readonly rounds: readonly Round[];
}

const ROUNDS: readonly Round[] = ["none", "before", "during"];

const schedules: Record<string, Schedules> = {
  "at any rate at each call": { make: step, rounds: ["none"] },
  "at one rate": { make: step, change: atOneRate, rounds: ["none"] },
  "at any rate at each call, whenever it reports": { make: step, rounds: ROUNDS },
  "at one rate, whenever it reports": { make: step, change: atOneRate, rounds: ROUNDS },
  "about one suppressed key": { make: shedding, change: atOneRate, rounds: ["none"] },
  "about one suppressed key, whenever it reports": { make: shedding, change: atOneRate, rounds: ROUNDS },
};

/**
 * For how long factors may be kept. A report computes a new factor when the kept one is too old, so that fewer calls
 * have to wait. Local computes it at the next call that meets one, from what is counted then. So no factor is kept
 * where there are rounds. And none is kept for longer than a window: a hit that is reported when it has expired no
 * longer keeps the factor of the hits before it.
 */
function caches(windowMs: number, rounds: readonly Round[]): readonly number[] {
  return rounds === ROUNDS ? [0] : [0, Math.min(windowMs, 100), windowMs];
}

/** A call to the one key, which often is as heavy as the whole capacity. */
function shedding(windowMs: number, bucketMs: number, subject: Subject): fc.Arbitrary<Step> {
  return fc
    .record({
      waitMs: waits(windowMs, bucketMs, subject),
      rate: rates(windowMs),
      count: fc.integer({ min: 1, max: 12 }),
    })
    .map((call) => ({ ...call, strategy: "suppressed", key: "a", method: "inc" }));
}

/** Counts the commands that are on their way. */
class CountingClient implements CommandClient {
  onTheWay = 0;

  async sendCommand([command, ...args]: [string, ...string[]]): Promise<unknown> {
    this.onTheWay++;
    try {
      return await redis.client.call(command, ...args);
    } finally {
      this.onTheWay--;
    }
  }
}

/** Begins rounds of reports until all that was counted is reported. */
async function reported(provider: HybridProvider, client: CountingClient): Promise<void> {
  do {
    vi.advanceTimersByTime(LONGEST_LINGER_MS);
    await quiet(client);
  } while (provider.stats().unconfirmedKeys > 0);
}

/** Waits until nothing is on its way. What waits to be sent with others is sent at the end of a turn. */
async function quiet(client: CountingClient): Promise<void> {
  do {
    await setImmediate();
    await setImmediate();
  } while (client.onTheWay > 0);
}

/**
 * An answer without what Hybrid may know too late: Redis isn't asked about a key that is blocked, so this process may
 * not know what is used of it when its buckets expire.
 */
function comparable(answer: unknown): unknown {
  const { blocked, ...others } = Object(answer) as Partial<Decision>;
  return blocked === true ? { ...others, blocked, moreAfterMs: 0, remainingAfterWaiting: 0 } : answer;
}

it.each(Object.entries(schedules))("answers every call as Local does, %s", async (name, schedule) => {
  const { make, change = (steps) => steps } = schedule;
  const cases = fc.tuple(sizes, subjects).chain(([size, subject]) =>
    fc.record({
      size: fc.constant(size),
      // In whole milliseconds: where Local says to wait for a part of one, Hybrid says to wait for one.
      steps: fc.array(
        fc.tuple(make(size.windowMs, Math.ceil(size.bucketMs), subject), fc.constantFrom(...schedule.rounds)),
        { maxLength: schedule.rounds === ROUNDS ? 120 : MOST_UNREPORTED },
      ),
      hardLimitFactor: fc.constantFrom(1, 1.5, 4, 1e6),
      suppressionCacheMs: fc.constantFrom(...caches(size.windowMs, schedule.rounds)),
      seed: fc.nat(),
      startMs: startsMs,
    }),
  );
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(cases, async ({ size, steps, seed, startMs, ...suppression }) => {
      const clock = manualClock(startMs);
      const client = new CountingClient();
      const options = { ...size, ...suppression, clock };
      const local = createLocalProvider({ ...options, random: seededRandom(seed), cleanup: false });
      const own = { random: seededRandom(seed), prefix: `${name}-${++runs}`, timeoutMs: 3_600_000 };
      const provider = createHybridProvider(client, { ...options, ...own });
      for (const [index, call] of change(steps.map(([call]) => call)).entries()) {
        const [, round] = steps[index]!;
        clock.advance(call.waitMs);
        if (round === "before") await reported(provider, client);
        if (round === "during") vi.advanceTimersByTime(LONGEST_LINGER_MS);
        const [here, there] = [await take(call, provider), take(call, local)];
        expect(comparable(here)).toEqual(comparable(there));
        // No report is on its way when time goes on: a process can't know when Redis has counted it then.
        await quiet(client);
      }
      for (const key of ["a", "b"]) {
        expect(await soundUsages(provider, key)).toEqual(await soundUsages(local, key));
      }
      await provider.close();
      // No answer to a report was taken for a wrong one: Hybrid would send the report again, and nobody would notice.
      expect(provider.stats()).toMatchObject({ failures: 0, reportsLost: 0 });
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
