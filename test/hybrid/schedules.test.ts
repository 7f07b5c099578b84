// The bounds of the hybrid protocol over more than a thousand random schedules, on virtual time; see
// test/support/simulation.
// After each event, and after every fourth script, the simulation checks what always holds, so a failure says about
// where it began. With 1 in place of 4 it says exactly where, and takes twice as long.

import { minutes, perSecond } from "trypema";
import { expect, it } from "vitest";
import { type Admission, countOf, mostWithin } from "../support/simulation/admissions.ts";
import { cases, DRIFT, Fleet, faultsOf, KEYS, simulate } from "../support/simulation/fleet.ts";
import { HybridProcess, LEASE_MS, totalOf } from "../support/simulation/process.ts";
import { useSimulation } from "../support/simulation/use-simulation.ts";
import { PERFECT } from "../support/simulation/world.ts";

const createWorld = useSimulation(4);

/** How many calls were admitted in all worlds of a case, and what makes the bounds worth checking. */
interface Seen {
  admissions: number;
  degraded: number;
  /** How many keys were admitted the whole capacity in some window, so that one more would have been seen. */
  full: number;
}

/** No window of any key has more admissions than the capacity, of which those by decision without Redis are no part. */
function expectWithinCapacity(admitted: readonly Admission[], capacity: number, windowMs: number, seen: Seen): void {
  seen.degraded += admitted.filter(({ degraded }) => degraded).length;
  const spanMs = windowMs - 2 * DRIFT * (windowMs + LEASE_MS);
  for (const key of KEYS) {
    const counted = admitted.filter((admission) => admission.key === key && !admission.degraded);
    seen.admissions += counted.length;
    const most = mostWithin(counted, spanMs);
    expect(most, `the most of ${key} within a window`).toBeLessThanOrEqual(capacity);
    if (most === capacity) seen.full++;
  }
}

/** Otherwise there would be nothing to see. */
function expectEnoughSeen({ admissions, degraded, full }: Seen, seeds: number): void {
  expect(admissions).toBeGreaterThan(6 * seeds);
  expect(degraded).toBeGreaterThan(seeds / 2);
  expect(full).toBeGreaterThan(seeds / 2);
}

const SHORT = { windowsMs: [50, 100, 250], capacities: [1, 3, 10, 25], intervalsMs: [5, 10, 30] };
/** Where reports may wait. */
const LONG = { windowsMs: [1_000, 2_000], capacities: [10, 200], intervalsMs: [1] };

it.each([
  ...cases(4, 145).map((seeds) => ({ ...SHORT, ...seeds })),
  ...cases(3, 16).map((seeds) => ({ ...LONG, ...seeds })),
])(
  "absolute: whatever happens, no window of $windowsMs has more than the capacity: $seeds seeds from $firstSeed",
  async (bounds) => {
    const seen: Seen = { admissions: 0, degraded: 0, full: 0 };
    await simulate(bounds, async (seed) => {
      const world = createWorld(seed);
      faultsOf(world);
      const windowMs = world.pick(...bounds.windowsMs);
      const capacity = world.pick(...bounds.capacities);
      world.capacity = capacity;
      const bucketMs = world.pick(1, windowMs / 10, windowMs / 3, windowMs);
      const syncIntervalMs = world.pick(...bounds.intervalsMs);
      const rate = perSecond((capacity * 1_000) / windowMs);
      const fleet = new Fleet(world, rate, { windowMs, bucketMs, syncIntervalMs });
      for (let count = world.pick(1, 2, 3, 4); count > 0; count--) {
        const callsPerSecond = rate * world.pick(0.3, 1, 3);
        fleet.startHybrid({ callsPerSecond, stalls: 0.05, crashes: 0.2, crashesWithinMs: 1_000 });
      }
      await world.runUntil(windowMs * world.pick(2, 5));
      await world.runUntil(Math.max(world.nowMs, fleet.endMs));
      expectWithinCapacity(fleet.admitted, capacity, windowMs, seen);
    });
    expectEnoughSeen(seen, bounds.seeds);
  },
);

it.each(cases(2, 40))(
  "suppressed: whatever happens, no window has more than the hard limit: $seeds seeds from $firstSeed",
  async (bounds) => {
    const seen: Seen = { admissions: 0, degraded: 0, full: 0 };
    await simulate(bounds, async (seed) => {
      const world = createWorld(seed);
      faultsOf(world);
      const windowMs = world.pick(100, 250, 1_500);
      const capacity = world.pick(4, 10, 25);
      const hardLimitFactor = world.pick(1, 1.2, 1.5);
      const hardLimit = Math.floor(capacity * hardLimitFactor);
      world.hardLimit = hardLimit;
      const bucketMs = world.pick(1, windowMs / 10, windowMs);
      const rate = perSecond((capacity * 1_000) / windowMs);
      const syncIntervalMs = world.pick(5, 10, 30);
      const suppressionCacheMs = world.pick(1, 20, 100);
      const fleet = new Fleet(world, rate, { windowMs, bucketMs, hardLimitFactor, suppressionCacheMs, syncIntervalMs });
      const strategy = "suppressed";
      for (let count = world.pick(1, 2, 3, 4); count > 0; count--) {
        const callsPerSecond = rate * world.pick(0.5, 2, 5);
        fleet.startHybrid({ callsPerSecond, strategy, stalls: 0.05, crashes: 0.2, crashesWithinMs: 1_000 });
      }
      if (world.random() < 0.3) fleet.startRedis(rate, strategy);
      await world.runUntil(Math.min(2_500, windowMs * world.pick(2, 5)));
      await world.runUntil(Math.max(world.nowMs, fleet.endMs));
      expectWithinCapacity(fleet.admitted, hardLimit, windowMs, seen);
    });
    expectEnoughSeen(seen, bounds.seeds);
  },
);

it.each(cases(2, 20))(
  "takes: whatever happens, no window of any limit has more than the capacity: $seeds seeds from $firstSeed",
  async (bounds) => {
    const seen: Seen = { admissions: 0, degraded: 0, full: 0 };
    await simulate(bounds, async (seed) => {
      const world = createWorld(seed);
      faultsOf(world);
      const limit = world.pick(...SHORT.capacities);
      world.capacity = limit;
      const [oneMs, twoMs] = [world.pick(50, 100), world.pick(100, 250)];
      const rate = perSecond((limit * 1_000) / oneMs);
      // With batches a script would have several takes, with a time each.
      const options = { windowMs: minutes(1), syncIntervalMs: world.pick(...SHORT.intervalsMs), batch: false as const };
      const fleet = new Fleet(world, rate, options, {
        one: { limit, windowMs: oneMs, bucketMs: world.pick(1, oneMs / 10, oneMs) },
        two: { limit, windowMs: twoMs, bucketMs: world.pick(1, twoMs / 10, twoMs) },
      });
      for (let count = world.pick(1, 2, 3, 4); count > 0; count--) {
        fleet.startHybrid({
          callsPerSecond: rate * world.pick(0.3, 1, 3),
          stalls: 0.05,
          crashes: 0.2,
          crashesWithinMs: 1_000,
        });
      }
      if (world.random() < 0.3) fleet.startRedis(rate);
      await world.runUntil(twoMs * world.pick(2, 5));
      await world.runUntil(Math.max(world.nowMs, fleet.endMs));
      const of = (name: string) => fleet.admitted.filter((admission) => admission.limit === name);
      expectWithinCapacity(of("one"), limit, oneMs, seen);
      expectWithinCapacity(of("two"), limit, twoMs, seen);
    });
    expectEnoughSeen(seen, bounds.seeds);
  },
);

/** Longer than a lease, so that what a crashed process has spent outlives its lease. */
const OUTLIVING = { windowsMs: [1_500, 3_000], capacities: [10, 40], intervalsMs: [30, 90] };

it.each(cases(3, 16))(
  "absolute: no window has more than the capacity where hybrid processes crash and others use Redis only: $seeds seeds from $firstSeed",
  async (bounds) => {
    const seen: Seen = { admissions: 0, degraded: 0, full: 0 };
    await simulate(bounds, async (seed) => {
      const world = createWorld(seed);
      faultsOf(world);
      const windowMs = world.pick(...OUTLIVING.windowsMs);
      const capacity = world.pick(...OUTLIVING.capacities);
      world.capacity = capacity;
      const bucketMs = world.pick(1, windowMs / 10, windowMs);
      const rate = perSecond((capacity * 1_000) / windowMs);
      const fleet = new Fleet(world, rate, {
        windowMs,
        bucketMs,
        syncIntervalMs: world.pick(...OUTLIVING.intervalsMs),
      });
      for (let count = world.pick(1, 2); count > 0; count--) {
        fleet.startHybrid({ callsPerSecond: rate, stalls: 0.2, crashes: 0.8, crashesWithinMs: windowMs });
      }
      // They take at once whatever gets free.
      for (let count = world.pick(1, 2); count > 0; count--) fleet.startRedis(rate * 3);
      await world.runUntil(3 * windowMs);
      expectWithinCapacity(fleet.admitted, capacity, windowMs, seen);
    });
    expect(seen.full).toBeGreaterThan(bounds.seeds / 2);
  },
);

it.each(cases(2, 100))(
  "whatever is lost on the way, Redis counts each call once: $seeds seeds from $firstSeed",
  async (bounds) => {
    const seen = { degraded: 0 };
    await simulate(bounds, async (seed) => {
      const world = createWorld(seed);
      faultsOf(world);
      const rate = perSecond(world.pick(0.1, 10));
      const options = { windowMs: 3_600_000 };
      const fleet = new Fleet(world, rate, options);
      for (let count = world.pick(1, 2, 4); count > 0; count--) {
        fleet.startHybrid({ callsPerSecond: 100, stalls: 0, crashes: 0, crashesWithinMs: 0 });
      }
      await world.runUntil(world.pick(200, 600));
      fleet.stopCalling();
      Object.assign(world.network, PERFECT);
      await world.runUntil(world.nowMs + 5_000);
      for (const process of fleet.processes) await world.settled(process.do(async () => process.provider.close()));
      for (const key of KEYS) {
        const admitted = fleet.admitted.filter((admission) => admission.key === key);
        seen.degraded += admitted.filter(({ degraded }) => degraded).length;
        expect(await totalOf(world, key, options)).toBe(countOf(admitted));
      }
    });
    expect(seen.degraded).toBeGreaterThan(2 * bounds.seeds);
  },
);

it("nobody waits for longer than twice timeoutMs, though Redis answers", async () => {
  await simulate({ firstSeed: 1, seeds: 100 }, async (seed) => {
    // Two ways of 24 ms at most are nearly `timeoutMs`.
    const world = createWorld(seed, { delayMs: 24 });
    const timeoutMs = 50;
    const process = new HybridProcess(world, { windowMs: 100, timeoutMs });
    const call = () => process.call("absolute", "a", perSecond(world.pick(100, 200)), world.pick(1, 2, 5));
    process.repeat(call, () => world.pause(500));
    await world.runUntil(1_000);
    // Timers are in whole milliseconds.
    expect(process.longestWaitMs).toBeLessThanOrEqual(2 * timeoutMs + 2);
    expect(process.admitted.some(({ degraded }) => !degraded)).toBe(true);
  });
});
