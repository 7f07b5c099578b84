// The bounds of the hybrid protocol over more than a thousand random schedules, on virtual time; see
// test/support/simulation.
// After each event, and after every fourth script, the simulation checks what always holds, so a failure says about
// where it began. With 1 in place of 4 it says exactly where, and takes twice as long.

import { perSecond, type Rate } from "trypema";
import type { HybridOptions } from "trypema/hybrid";
import { expect, it } from "vitest";
import { type Admission, countOf, mostWithin } from "../support/simulation/admissions.ts";
import {
  HybridProcess,
  LEASE_MS,
  RedisProcess,
  type SimulatedProcess,
  totalOf,
} from "../support/simulation/process.ts";
import { useSimulation } from "../support/simulation/use-simulation.ts";
import { PERFECT, type World } from "../support/simulation/world.ts";

const createWorld = useSimulation(4);

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
  world.network.repeated = world.pick(0, 0, 0.3);
  if (world.random() < 0.5) return;
  world.network.lostRequests = world.pick(0, 0.02, 0.2);
  world.network.lostAnswers = world.pick(0, 0.02, 0.2);
  world.network.sentAgain = world.pick(0, 0.5);
}

const KEYS = ["a", "b", "c", "d"];
/** Which keys the processes of a world call. The reports about four of them share scripts. */
const CALLED = [["a", "a", "b"], KEYS];

const LAST_CALLS = 10;

/** What a process of a fleet does beside calling. */
interface Habits {
  readonly callsPerSecond: number;
  /** The share of processes that stall for longer than a lease, and of those that crash; another takes the place. */
  readonly stalls: number;
  readonly crashes: number;
  /** When it crashes, it does so before this time. */
  readonly crashesWithinMs: number;
}

/** Processes that offer calls at random times. */
class Fleet {
  readonly processes: SimulatedProcess[] = [];
  readonly #world: World;
  readonly #rate: Rate;
  readonly #options: HybridOptions;
  readonly #keys: readonly string[];
  /** Before that there may be something to see. */
  endMs = 0;
  #isCalling = true;

  constructor(world: World, rate: Rate, options: HybridOptions) {
    this.#world = world;
    this.#rate = rate;
    this.#options = options;
    this.#keys = world.pick(...CALLED);
  }

  get admitted(): Admission[] {
    return this.processes.flatMap(({ admitted }) => admitted);
  }

  stopCalling(): void {
    this.#isCalling = false;
  }

  startHybrid(habits: Habits): void {
    this.#start(new HybridProcess(this.#world, this.#options, this.#clock()), habits);
    const process = this.processes.at(-1)!;
    const world = this.#world;
    if (world.random() < habits.stalls) {
      world.at(world.nowMs + world.random() * 300, () => {
        process.stalledUntilMs = world.nowMs + LEASE_MS + world.random() * 500;
        this.endMs = process.stalledUntilMs + 500;
      });
    }
    if (world.random() > habits.crashes) return;
    world.at(world.nowMs + world.random() * habits.crashesWithinMs, () => {
      // What it spends last it can't report.
      for (let i = 0; i < LAST_CALLS; i++) process.call("absolute", world.pick(...this.#keys), this.#rate);
      process.crashed = true;
      this.startHybrid(habits);
    });
  }

  /** A process that asks Redis for each call, beside the hybrid ones. */
  startRedis(callsPerSecond: number): void {
    const { syncIntervalMs: _, ...options } = this.#options;
    this.#start(new RedisProcess(this.#world, options, this.#clock()), { callsPerSecond });
  }

  #clock() {
    const world = this.#world;
    return { aheadMs: world.random() * 1e6, drift: (2 * world.random() - 1) * DRIFT };
  }

  #start(process: SimulatedProcess, { callsPerSecond }: Pick<Habits, "callsPerSecond">): void {
    const world = this.#world;
    this.processes.push(process);
    const callAndCall = () => {
      if (!this.#isCalling) return;
      for (let burst = world.pick(1, 1, 1, 4); burst > 0; burst--) {
        process.call("absolute", world.pick(...this.#keys), this.#rate, world.pick(1, 1, 1, 1, 2, 5));
      }
      world.at(world.nowMs + world.pause(callsPerSecond), callAndCall, process);
    };
    world.at(world.nowMs + world.pause(callsPerSecond), callAndCall, process);
  }
}

/** How many calls were admitted in all worlds of a case, and what makes the bounds worth checking. */
interface Seen {
  admissions: number;
  degraded: number;
  /** How many keys were admitted the whole capacity in some window, so that one more would have been seen. */
  full: number;
}

/** No window of any key has more admissions than the capacity, of which those by decision without Redis are no part. */
function expectWithinCapacity({ admitted }: Fleet, capacity: number, windowMs: number, seen: Seen): void {
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

const SHORT = { windowsMs: [50, 100, 250], capacities: [1, 3, 10, 25], intervalsMs: [5, 10, 30] };
/** Where reports may wait. */
const LONG = { windowsMs: [1_000, 2_000], capacities: [10, 200], intervalsMs: [1] };

it.each([
  ...cases(4, 160).map((seeds) => ({ ...SHORT, ...seeds })),
  ...cases(3, 25).map((seeds) => ({ ...LONG, ...seeds })),
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
      expectWithinCapacity(fleet, capacity, windowMs, seen);
    });
    // Otherwise there would be nothing to see.
    expect(seen.admissions).toBeGreaterThan(6 * bounds.seeds);
    expect(seen.degraded).toBeGreaterThan(bounds.seeds / 2);
    expect(seen.full).toBeGreaterThan(bounds.seeds / 2);
  },
);
/** Longer than a lease, so that what a crashed process has spent outlives its lease. */
const OUTLIVING = { windowsMs: [1_500, 3_000], capacities: [10, 40], intervalsMs: [30, 90] };

it.each(cases(3, 25))(
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
      expectWithinCapacity(fleet, capacity, windowMs, seen);
    });
    expect(seen.full).toBeGreaterThan(bounds.seeds / 2);
  },
);

it.each(cases(2, 160))(
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
