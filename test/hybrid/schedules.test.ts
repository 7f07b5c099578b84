// The bounds of the hybrid protocol over thousands of random schedules, on virtual time; see test/support/simulation.ts.

import { perSecond, type Rate } from "trypema";
import type { HybridOptions } from "trypema/hybrid";
import { expect, it } from "vitest";
import {
  type Admission,
  LEASE_MS,
  mostWithin,
  PERFECT,
  SimulatedProcess,
  totalOf,
  World,
} from "../support/simulation.ts";
import { useSimulation } from "../support/use-redis.ts";

const redis = useSimulation();

/** How many simulations go on at once: each waits for Redis most of the time. */
const AT_ONCE = 32;

interface Seeds {
  readonly firstSeed: number;
  readonly seeds: number;
}

/** `count` cases of `seeds` each: little enough for a machine that is ten times slower. */
function cases(count: number, seeds: number): Seeds[] {
  return Array.from({ length: count }, (_, i) => ({ firstSeed: 1 + i * seeds, seeds }));
}

/** Runs as many seeds as a case has; what fails names its seed. */
async function simulate({ firstSeed, seeds }: Seeds, schedule: (seed: number) => Promise<void>): Promise<void> {
  let next = firstSeed;
  async function runAndRun(): Promise<void> {
    while (next < firstSeed + seeds) {
      const seed = next++;
      await schedule(seed).catch((cause: Error) => {
        next = Number.POSITIVE_INFINITY;
        throw new Error(`seed ${seed}: ${cause.message}`, { cause });
      });
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, runAndRun));
}

/** Quartz is that good. */
const DRIFT = 1e-4;

/** What may be wrong in a world. */
function faultsOf(world: World): void {
  world.network.delayMs = world.pick(0.1, 2, 20, 40);
  if (world.random() < 0.5) return;
  world.network.lostRequests = world.pick(0, 0.02, 0.2);
  world.network.lostAnswers = world.pick(0, 0.02, 0.2);
  world.network.sentAgain = world.pick(0, 0.5);
}

const KEYS = ["a", "b"];

/** Processes that offer calls at random times, and may crash. */
class Fleet {
  readonly processes: SimulatedProcess[] = [];
  readonly #world: World;
  readonly #rate: Rate;
  readonly #options: HybridOptions;
  /** Before that there may be something to see. */
  endMs = 0;
  #isCalling = true;

  constructor(world: World, rate: Rate, options: HybridOptions) {
    this.#world = world;
    this.#rate = rate;
    this.#options = options;
  }

  get admitted(): Admission[] {
    return this.processes.flatMap(({ admitted }) => admitted);
  }

  stopCalling(): void {
    this.#isCalling = false;
  }

  /** A process that offers `overload` times the limit; the next one may take its place. */
  start(overload: number, callsPerSecond = this.#rate * overload, mayCrash = true): void {
    const world = this.#world;
    const drift = (2 * world.random() - 1) * DRIFT;
    const process = new SimulatedProcess(world, this.#options, world.random() * 1e6, drift);
    this.processes.push(process);
    const callAndCall = () => {
      if (!this.#isCalling) return;
      for (let burst = world.pick(1, 1, 1, 4); burst > 0; burst--) {
        process.call("absolute", world.pick("a", "a", "b"), this.#rate, world.pick(1, 1, 1, 1, 2, 5));
      }
      world.at(world.nowMs + world.pause(callsPerSecond), callAndCall, process);
    };
    world.at(world.nowMs + world.pause(callsPerSecond), callAndCall, process);
    if (!mayCrash) return;
    if (world.random() < 0.05) {
      world.at(world.nowMs + world.random() * 300, () => {
        process.stalledUntilMs = world.nowMs + LEASE_MS + world.random() * 500;
        this.endMs = process.stalledUntilMs + 500;
      });
    }
    if (world.random() > 0.2) return;
    world.at(world.nowMs + world.random() * 1_000, () => {
      process.crashed = true;
      this.start(overload);
    });
  }
}
const SHORT = { windowsMs: [50, 100, 250], capacities: [1, 3, 10, 25], intervalsMs: [5, 10, 30] };
/** Where reports may wait. */
const LONG = { windowsMs: [1_000, 2_000], capacities: [10, 200], intervalsMs: [1] };

it.each([
  ...cases(6, 250).map((seeds) => ({ ...SHORT, ...seeds })),
  ...cases(5, 40).map((seeds) => ({ ...LONG, ...seeds })),
])(
  "absolute: whatever happens, no window of $windowsMs has more than the capacity: $seeds seeds from $firstSeed",
  async (bounds) => {
    const seen = { admissions: 0, degraded: 0, full: 0 };
    await simulate(bounds, async (seed) => {
      const world = new World(seed, redis.client, { ...PERFECT });
      faultsOf(world);
      const windowMs = world.pick(...bounds.windowsMs);
      const capacity = world.pick(...bounds.capacities);
      const bucketMs = world.pick(1, windowMs / 10, windowMs / 3, windowMs);
      const syncIntervalMs = world.pick(...bounds.intervalsMs);
      const rate = perSecond((capacity * 1_000) / windowMs);
      const fleet = new Fleet(world, rate, {
        prefix: `window-${bounds.windowsMs[0]}-${seed}`,
        windowMs,
        bucketMs,
        syncIntervalMs,
        timeoutMs: 50,
      });
      for (let count = world.pick(1, 2, 3, 4); count > 0; count--) fleet.start(world.pick(0.3, 1, 3));
      await world.runUntil(windowMs * world.pick(2, 5));
      await world.runUntil(Math.max(world.nowMs, fleet.endMs));
      seen.degraded += fleet.admitted.filter(({ degraded }) => degraded).length;
      const spanMs = windowMs - 2 * DRIFT * (windowMs + LEASE_MS);
      for (const key of KEYS) {
        const admitted = fleet.admitted.filter((admission) => admission.key === key && !admission.degraded);
        seen.admissions += admitted.length;
        const most = mostWithin(admitted, spanMs);
        expect(most).toBeLessThanOrEqual(capacity);
        if (most === capacity) seen.full++;
      }
    });
    // Otherwise there would be nothing to see.
    expect(seen.admissions).toBeGreaterThan(6 * bounds.seeds);
    expect(seen.degraded).toBeGreaterThan(bounds.seeds / 2);
    expect(seen.full).toBeGreaterThan(bounds.seeds / 2);
  },
);
it.each(cases(2, 250))(
  "whatever is lost on the way, Redis counts each call once: $seeds seeds from $firstSeed",
  async (bounds) => {
    const seen = { degraded: 0 };
    await simulate(bounds, async (seed) => {
      const world = new World(seed, redis.client, { ...PERFECT });
      faultsOf(world);
      const rate = perSecond(world.pick(0.1, 10));
      const options = { prefix: `total-${seed}`, windowMs: 3_600_000, timeoutMs: 50 };
      const fleet = new Fleet(world, rate, options);
      for (let count = world.pick(1, 2, 4); count > 0; count--) fleet.start(1, 100, false);
      await world.runUntil(world.pick(200, 600));
      fleet.stopCalling();
      Object.assign(world.network, PERFECT);
      await world.runUntil(world.nowMs + 5_000);
      for (const process of fleet.processes) await world.settled(process.do(() => process.provider.close()));
      for (const key of KEYS) {
        const admitted = fleet.admitted.filter((admission) => admission.key === key);
        seen.degraded += admitted.filter(({ degraded }) => degraded).length;
        expect(await totalOf(world, key, options)).toBe(admitted.reduce((sum, { count }) => sum + count, 0));
      }
    });
    expect(seen.degraded).toBeGreaterThan(2 * bounds.seeds);
  },
);
it("nobody waits for longer than twice timeoutMs, though Redis answers", async () => {
  await simulate({ firstSeed: 1, seeds: 100 }, async (seed) => {
    const world = new World(seed, redis.client, { ...PERFECT, delayMs: 24 });
    const process = new SimulatedProcess(world, { prefix: `wait-${seed}`, windowMs: 100, timeoutMs: 50 });
    const call = () => process.call("absolute", "a", perSecond(world.pick(100, 200)), world.pick(1, 2, 5));
    process.repeat(call, () => world.pause(500));
    await world.runUntil(1_000);
    // Timers are in whole milliseconds.
    expect(process.longestWaitMs).toBeLessThanOrEqual(2 * 50 + 2);
    expect(process.admitted.some(({ degraded }) => !degraded)).toBe(true);
  });
});
