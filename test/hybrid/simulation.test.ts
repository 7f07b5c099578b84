// The bounds of the hybrid protocol over thousands of random schedules, on virtual time; see test/support/simulation.ts.

import { createLocalProvider, perSecond, type Rate } from "trypema";
import type { HybridOptions } from "trypema/hybrid";
import { afterAll, beforeAll, expect, it } from "vitest";
import { smoothness } from "../support/fleet.ts";
import { type Admission, mostWithin, SimulatedProcess, virtualizeTime, World } from "../support/simulation.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();
let realTime: () => void;

beforeAll(async () => {
  realTime = virtualizeTime();
  // Redis knows the scripts from then on, so that a seed makes the same schedule always.
  const world = new World(0, redis.client, { ...PERFECT });
  const process = new SimulatedProcess(world, { prefix: "first", timeoutMs: 60_000 });
  process.call("absolute", "a", perSecond(1));
  await world.settled(process.do(() => process.provider.absolute.get("a")));
});

afterAll(() => realTime());

/** How many simulations go on at once: each waits for Redis most of the time. */
const AT_ONCE = 32;

/** Runs the seeds from 1 on; what fails names its seed. */
async function simulate(seeds: number, schedule: (seed: number) => Promise<void>): Promise<void> {
  let next = 1;
  async function runAndRun(): Promise<void> {
    while (next <= seeds) {
      const seed = next++;
      await schedule(seed).catch((cause: Error) => {
        next = Number.POSITIVE_INFINITY;
        throw new Error(`seed ${seed}: ${cause.message}`, { cause });
      });
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, runAndRun));
}

const PERFECT = { delayMs: 1, lostRequests: 0, lostAnswers: 0, sentAgain: 0 };
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
const LEASE_MS = 1_000;

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

/** What Redis says itself. */
async function totalOf(world: World, key: string, options: HybridOptions): Promise<number> {
  const observer = new SimulatedProcess(world, { ...options, onFailure: "throw" });
  return (await world.settled(observer.do(() => observer.provider.absolute.get(key)))).total;
}

it.each([
  { schedules: 1_500, windowsMs: [50, 100, 250], capacities: [1, 3, 10, 25], intervalsMs: [5, 10, 30] },
  // Where reports may wait.
  { schedules: 200, windowsMs: [1_000, 2_000], capacities: [10, 200], intervalsMs: [1] },
])("absolute: whatever happens, no window of $windowsMs has more than the capacity", async (bounds) => {
  const seen = { admissions: 0, degraded: 0, full: 0 };
  await simulate(bounds.schedules, async (seed) => {
    const world = new World(seed, redis.client, { ...PERFECT });
    faultsOf(world);
    const windowMs = world.pick(...bounds.windowsMs);
    const capacity = world.pick(...bounds.capacities);
    const bucketMs = world.pick(1, windowMs / 10, windowMs / 3, windowMs);
    const syncIntervalMs = world.pick(...bounds.intervalsMs);
    const rate = perSecond((capacity * 1_000) / windowMs);
    const fleet = new Fleet(world, rate, {
      prefix: `window-${bounds.schedules}-${seed}`,
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
  expect(seen.admissions).toBeGreaterThan(10_000);
  expect(seen.degraded).toBeGreaterThan(bounds.schedules / 2);
  expect(seen.full).toBeGreaterThan(bounds.schedules / 2);
});

it("whatever is lost on the way, Redis counts each call once", async () => {
  const seen = { degraded: 0 };
  await simulate(500, async (seed) => {
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
  expect(seen.degraded).toBeGreaterThan(1_000);
});

/** `count` processes that offer `overload` times the limit together, each call a count of 1, where nothing goes wrong. */
async function offer(
  strategy: "absolute" | "suppressed",
  { seed, count, overload, perSecond: limit, windowMs, bucketMs = windowMs / 100, windows, shares }: Load,
): Promise<Admission[]> {
  const world = new World(seed, redis.client, { ...PERFECT });
  const rate = perSecond(limit);
  const processes = Array.from({ length: count }, (_, i) => {
    const share = shares?.[i] ?? 1 / count;
    const options = {
      prefix: `load-${strategy}-${JSON.stringify([seed, count, overload, limit, shares]).replaceAll(/\W/g, "-")}`,
    };
    const process = new SimulatedProcess(world, { ...options, windowMs, bucketMs, timeoutMs: 50 });
    const call = () => process.call(strategy, "a", rate);
    const pauseMs = () => world.pause(limit * overload * share);
    world.at(0, () => process.repeat(call, pauseMs), process);
    return process;
  });
  await world.runUntil(windowMs * windows);
  return processes.flatMap(({ admitted }) => admitted);
}

interface Load {
  readonly seed: number;
  readonly count: number;
  readonly overload: number;
  readonly perSecond: number;
  readonly windowMs: number;
  readonly bucketMs?: number;
  readonly windows: number;
  /** What part of it each process offers; the same, if it isn't said. */
  readonly shares?: readonly number[];
}

const UNEQUAL = [0.5, 0.3, 0.15, 0.05];

it.each([
  ["1 process", 1, undefined],
  ["4 processes", 4, undefined],
  ["8 processes", 8, undefined],
  ["processes of unequal loads", 4, UNEQUAL],
] as const)("absolute: %s use all of the capacity", async (_, count, shares) => {
  const windowMs = 1_000;
  const capacity = 300;
  for (const overload of [1.5, 5]) {
    const load = { seed: 1, count, overload, perSecond: capacity, windowMs, windows: 6, ...(shares && { shares }) };
    const admitted = await offer("absolute", load);
    expect(mostWithin(admitted, windowMs)).toBeLessThanOrEqual(capacity);
    expect(admitted.every(({ degraded }) => !degraded)).toBe(true);
    const used = admitted.filter(({ timeMs }) => timeMs >= windowMs).length / (5 * capacity);
    expect(used).toBeGreaterThan(0.97);
  }
});

it.each([
  { overload: 1.2, perSecond: 100, windowMs: 5_000, windows: 11 },
  { overload: 5, perSecond: 100, windowMs: 5_000, windows: 11 },
  { overload: 20, perSecond: 100, windowMs: 5_000, windows: 10 },
  { overload: 5, perSecond: 10, windowMs: 30_000, windows: 10 },
  { overload: 5, perSecond: 1, windowMs: 300_000, windows: 10 },
])("suppressed: the fleet admits the limit smoothly at $overload times $perSecond/s", async (load) => {
  const admitted = await offer("suppressed", { seed: 1, count: 4, ...load });
  const warmMs = 5 * load.windowMs;
  const times = admitted.map(({ timeMs }) => timeMs);
  const { mean, cv } = smoothness([times], warmMs, load.windowMs * load.windows);
  const noise = 1 / Math.sqrt(load.perSecond);
  expect(mean / load.perSecond).toBeGreaterThan(0.95);
  expect(mean / load.perSecond).toBeLessThan(1.05);
  expect(cv / noise).toBeLessThan(1.5);
});

it.each([
  { count: 1, runsMs: 10, pausesMs: 100 },
  { count: 4, runsMs: 10, pausesMs: 30 },
  { count: 4, runsMs: 10, pausesMs: 100 },
  { count: 4, runsMs: 10, pausesMs: 400 },
  { count: 8, runsMs: 10, pausesMs: 100 },
  { count: 8, runsMs: 50, pausesMs: 400 },
])("absolute: $count processes that run for $runsMs ms and wait for $pausesMs lose little of it", async (starved) => {
  const { count, runsMs, pausesMs } = starved;
  const world = new World(1, redis.client, { ...PERFECT });
  const prefix = `starved-${count}-${runsMs}-${pausesMs}`;
  const options = { prefix, windowMs: 1_000, timeoutMs: 200 };
  const capacity = 300;
  const rate = perSecond(capacity);
  // What one provider would do with the same calls.
  const local = createLocalProvider({ windowMs: 1_000, clock: () => world.nowMs, cleanup: false }).absolute;
  let admittedByLocal = 0;
  const processes = Array.from({ length: count }, () => {
    const process = new SimulatedProcess(world, options);
    let nextMs = 0;
    const callThoseDue = () => {
      for (; nextMs <= world.nowMs; nextMs += world.pause((5 * capacity) / count)) {
        process.call("absolute", "a", rate);
        if (local.inc("a", rate).allowed) admittedByLocal++;
      }
    };
    world.at(0, () => process.repeat(callThoseDue, () => 1), process);
    const stall = () => {
      process.stalledUntilMs = world.nowMs + 2 * pausesMs * world.random();
      world.at(process.stalledUntilMs + 2 * runsMs * world.random(), stall);
    };
    world.at(world.random() * runsMs, stall);
    return process;
  });
  await world.runUntil(11_000);
  const admitted = processes.flatMap((process) => process.admitted);
  console.log(JSON.stringify(starved), admitted.length, admittedByLocal, admitted.length / admittedByLocal);
  expect(admitted.filter(({ degraded }) => degraded)).toEqual([]);
  expect(mostWithin(admitted, options.windowMs)).toBeLessThanOrEqual(capacity);
  expect(admitted.length / admittedByLocal).toBeGreaterThan(0.9);
});

it("what was spent is free again after a window, however late it is reported", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  const options = { prefix: "ages", windowMs: 1_000, bucketMs: 1, timeoutMs: 50, syncIntervalMs: 90 };
  const [spending, waiting] = [new SimulatedProcess(world, options), new SimulatedProcess(world, options)];
  const capacity = perSecond(1_000);
  for (let calls = 0; calls < 3; calls++) {
    for (let i = 0; i < 20; i++) spending.call("absolute", "a", capacity);
    await world.runUntil(world.nowMs + 20);
  }
  // Whatever is reported of it has been, and something is leased.
  await world.runUntil(world.nowMs + 250);
  const spentMs = world.nowMs;
  const before = spending.waits;
  spending.call("absolute", "a", capacity);
  expect(spending.waits).toBe(before);
  while (world.nowMs < spentMs + 1_300) {
    await world.runUntil(world.nowMs + 5);
    if (waiting.admitted.length === 0) waiting.call("absolute", "a", capacity, 1_000);
  }
  const [{ timeMs }] = waiting.admitted as [Admission];
  expect(timeMs).toBeGreaterThanOrEqual(spentMs + 1_000);
  expect(timeMs).toBeLessThan(spentMs + 1_000 + 50);
});

it("a lease can't be spent when its time is over, and others are free to take it a window later", async () => {
  const windowMs = 5_000;
  const world = new World(1, redis.client, { ...PERFECT });
  const options = { prefix: "lease", windowMs, timeoutMs: 50 };
  const [stalled, other] = [new SimulatedProcess(world, options), new SimulatedProcess(world, options)];
  const rate = perSecond(20);
  for (let calls = 0; calls < 3; calls++) {
    for (let i = 0; i < 5; i++) stalled.call("absolute", "a", rate);
    await world.runUntil(world.nowMs + 20);
  }
  const renewedMs = world.nowMs;
  const { waits } = stalled;
  stalled.stalledUntilMs = 60_000;
  await world.runUntil(renewedMs + LEASE_MS - 50);
  stalled.call("absolute", "a", rate);
  expect(stalled.waits).toBe(waits);
  const spentMs = world.nowMs;
  await world.runUntil(renewedMs + LEASE_MS + 5);
  world.network.lostRequests = 1;
  stalled.call("absolute", "a", rate);
  expect(stalled.waits).toBe(waits + 1);
  await world.runUntil(world.nowMs + 5);
  world.network.lostRequests = 0;
  for (const timeMs of [spentMs + 10, renewedMs + windowMs, spentMs + windowMs - 10]) {
    await world.runUntil(timeMs);
    other.call("absolute", "a", rate, 100);
  }
  await world.runUntil(spentMs + windowMs);
  expect(other.admitted).toEqual([]);
  await world.runUntil(renewedMs + LEASE_MS + windowMs + 10);
  other.call("absolute", "a", rate, 100);
  await world.runUntil(world.nowMs + 10);
  expect(other.admitted).toHaveLength(1);
});

it("what a process leases is not more than it needs, however long it goes on", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  const options = { prefix: "needs", windowMs: 10_000, timeoutMs: 50 };
  const [steady, other] = [new SimulatedProcess(world, options), new SimulatedProcess(world, options)];
  const rate = perSecond(100);
  const call = () => steady.call("absolute", "a", rate);
  steady.repeat(call, () => 50);
  await world.runUntil(10_000);
  for (let i = 0; i < 1_000; i++) other.call("absolute", "a", rate);
  await world.runUntil(10_050);
  const rest = 1_000 - 200;
  expect(other.admitted.length).toBeGreaterThan(rest - 1_000 / 16 - 10);
  // A few calls later the lease is as small as it can be.
  await world.runUntil(10_500);
  for (let i = 0; i < 1_000; i++) other.call("absolute", "a", rate);
  await world.runUntil(10_550);
  expect(other.admitted.length).toBeGreaterThan(rest - 20);
});

it.each([
  { count: 1, perSecond: 10, used: 0.1, asked: 0.3 },
  { count: 4, perSecond: 10, used: 0.4, asked: 0.2 },
  { count: 4, perSecond: 100, used: 0.5, asked: 0.01 },
  { count: 8, perSecond: 100, used: 0.8, asked: 0.01 },
  { count: 8, perSecond: 100, used: 0.9, asked: 0.02 },
  { count: 8, perSecond: 10, used: 0.8, asked: 0.2 },
  { count: 8, perSecond: 100, used: 0.98, asked: 0.5 },
])("$count processes that use $used of $perSecond/s seldom ask, and deny what Local would", async (load) => {
  const { count, used } = load;
  const world = new World(1, redis.client, { ...PERFECT });
  const options = { prefix: `seldom-${count}-${used}-${load.perSecond}`, timeoutMs: 50 };
  const rate = perSecond(load.perSecond);
  const local = createLocalProvider({ clock: () => world.nowMs, cleanup: false }).absolute;
  let calls = 0;
  let admittedByLocal = 0;
  const processes = Array.from({ length: count }, () => {
    const process = new SimulatedProcess(world, options);
    const pauseMs = () => world.pause((used * load.perSecond) / count);
    const call = () => {
      calls++;
      if (local.inc("a", rate).allowed) admittedByLocal++;
      process.call("absolute", "a", rate);
    };
    world.at(pauseMs(), () => process.repeat(call, pauseMs), process);
    return process;
  });
  await world.runUntil(120_000);
  const waits = processes.reduce((sum, process) => sum + process.waits, 0);
  const admitted = processes.reduce((sum, process) => sum + process.admitted.length, 0);
  expect(calls).toBeGreaterThan(0.9 * 120 * used * load.perSecond);
  expect(waits / calls).toBeLessThan(load.asked);
  // What is leased before it is called for, and what is reported late, is free a little later than in Local.
  expect(admitted).toBeGreaterThan(admittedByLocal - 0.003 * calls);
});

it.each([10, 100, 10_000])(
  "a key far from its limit costs no more when it is called %i times a second",
  async (calls) => {
    const world = new World(1, redis.client, { ...PERFECT });
    const process = new SimulatedProcess(world, { prefix: `often-${calls}`, timeoutMs: 50 });
    const call = () => process.call("absolute", "a", perSecond(50_000));
    process.repeat(call, () => 1_000 / calls);
    await world.runUntil(1_000);
    const before = process.requests;
    await world.runUntil(4_000);
    // Every 300 ms.
    expect(process.requests - before).toBeGreaterThan(5);
    expect(process.requests - before).toBeLessThan(15);
    expect(await totalOf(world, "a", { prefix: `often-${calls}`, timeoutMs: 50 })).toBeGreaterThan(3.6 * calls);
  },
);

it("nobody waits for longer than twice timeoutMs, though Redis answers", async () => {
  await simulate(100, async (seed) => {
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

it("a process that isn't called has no timers", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  const process = new SimulatedProcess(world, { prefix: "idle", windowMs: 1_000, timeoutMs: 50 });
  for (const strategy of ["absolute", "suppressed"] as const) {
    for (let i = 0; i < 10; i++) process.call(strategy, `key-${i % 3}`, perSecond(3));
  }
  await world.runUntil(10_000);
  expect(process.admitted.length).toBeGreaterThan(10);
  expect(world.isStill).toBe(true);
});

it("a seed makes the same schedule always", async () => {
  const load = { seed: 5, overload: 3, perSecond: 50, windowMs: 500, windows: 3, count: 3 };
  const first = await offer("suppressed", load);
  await redis.client.flushdb();
  expect(await offer("suppressed", load)).toEqual(first);
});

it("what is counted in an outage is not more to report the longer it lasts", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  const options = { prefix: "outage", windowMs: 86_400_000, timeoutMs: 50 };
  const process = new SimulatedProcess(world, options);
  const rate = perSecond(100);
  process.call("absolute", "a", rate);
  await world.runUntil(1_000);
  world.network.lostRequests = 1;
  const call = () => process.call("absolute", "a", rate);
  process.repeat(call, () => world.pause(2));
  await world.runUntil(1_200_000);
  world.network.lostRequests = 0;
  world.longestRequest = 0;
  await world.runUntil(1_210_000);
  await world.settled(process.do(() => process.provider.absolute.get("a")));
  expect(await totalOf(world, "a", options)).toBe(process.admitted.length);
  expect(world.longestRequest).toBeLessThan(20 + 4 * 200);
});

it("a lease that is over takes nothing off those that were granted since", async () => {
  const windowMs = 4_000;
  const world = new World(1, redis.client, { ...PERFECT });
  const options = { prefix: "over", windowMs, bucketMs: windowMs, timeoutMs: 50 };
  const processes = Array.from({ length: 3 }, () => new SimulatedProcess(world, options));
  const [stalled, second, third] = processes as [SimulatedProcess, SimulatedProcess, SimulatedProcess];
  const rate = perSecond(250);
  const lease = async (process: SimulatedProcess) => {
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 30; i++) process.call("absolute", "a", rate);
      await world.runUntil(world.nowMs + 5);
    }
  };
  await lease(stalled);
  stalled.stalledUntilMs = world.nowMs + LEASE_MS + windowMs + 200;
  await world.runUntil(stalled.stalledUntilMs - 100);
  await lease(second);
  // When it goes on it gives back what it thinks it has.
  await world.runUntil(stalled.stalledUntilMs + 20);
  for (const process of [third, second, stalled]) {
    for (let i = 0; i < 1_000; i++) process.call("absolute", "a", rate);
    await world.runUntil(world.nowMs + 20);
  }
  const admitted = processes.flatMap((process) => process.admitted);
  expect(mostWithin(admitted, windowMs)).toBe(1_000);
});

/** A process that takes what there is, and so is denied from then on. */
async function fullKey(prefix: string, options: HybridOptions = {}): Promise<[World, SimulatedProcess]> {
  const world = new World(1, redis.client, { ...PERFECT });
  const process = new SimulatedProcess(world, { prefix, timeoutMs: 50, ...options });
  process.call("absolute", "a", perSecond(1_000), 60_000);
  await world.runUntil(100);
  return [world, process];
}

it("calls of different weights that there is no room for share a round trip", async () => {
  const [world, process] = await fullKey("weights");
  const before = process.requests;
  const decisions = Array.from({ length: 300 }, (_, i) =>
    process.do(() => process.provider.absolute.inc("a", perSecond(1_000), 1 + ((i * 7) % 300))),
  );
  for (const decision of await world.settled(Promise.all(decisions))) {
    expect(decision).toMatchObject({ outcome: "rejected", degraded: false });
    expect(decision.retryAfterMs).toBeGreaterThan(0);
  }
  expect(process.requests - before).toBeLessThanOrEqual(3);
});

it("calls at different rates that wait at once share a round trip for each rate", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  const process = new SimulatedProcess(world, { prefix: "rates", timeoutMs: 50 });
  const decisions = Array.from({ length: 300 }, (_, i) =>
    process.do(() => process.provider.absolute.inc("a", perSecond(i % 2 === 0 ? 1 : 2))),
  );
  const outcomes = await world.settled(Promise.all(decisions));
  expect(outcomes.filter(({ degraded }) => degraded)).toEqual([]);
  expect(outcomes.filter(({ allowed }) => allowed)).toHaveLength(120);
  expect(process.requests).toBeLessThanOrEqual(6);
});

it("whoever asks about a key is answered, however many call", async () => {
  const [world, process] = await fullKey("starving");
  const call = () => process.call("absolute", "a", perSecond(1_000), 1 + Math.floor(world.random() * 500));
  process.repeat(call, () => 0.2);
  await world.runUntil(world.nowMs + 20);
  const askedMs = world.nowMs;
  const usage = await world.settled(process.do(() => process.provider.absolute.get("a")));
  expect(usage.total).toBe(60_000);
  expect(world.nowMs - askedMs).toBeLessThan(50);
});

it("a key for which somebody waits always holds up neither who asks about it nor other keys", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  const options = { prefix: "always", timeoutMs: 50 };
  const process = new SimulatedProcess(world, options);
  const callAlways = (rate: Rate) => {
    const call = () => process.call("absolute", "a", rate);
    process.repeat(call, () => 0.1);
  };
  callAlways(perSecond(10_000));
  // The second rate comes while a report is on its way.
  for (const { requests } = process; process.requests < requests + 20; ) await world.runUntil(world.nowMs + 0.1);
  callAlways(perSecond(10_001));
  await world.runUntil(world.nowMs + 100);
  for (let i = 0; i < 10; i++) process.call("absolute", "b", perSecond(100));
  await world.runUntil(world.nowMs + 500);
  expect(await totalOf(world, "b", options)).toBe(10);
  const askedMs = world.nowMs;
  await world.settled(process.do(() => process.provider.absolute.get("a")));
  expect(world.nowMs - askedMs).toBeLessThan(50);
});

it("a lease is given back soon when capacity gets scarce, though its report could wait before", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  const options = { prefix: "deferred", windowMs: 600_000, timeoutMs: 50 };
  const [patient, other] = [new SimulatedProcess(world, options), new SimulatedProcess(world, options)];
  const rate = perSecond(1_000 / 600);
  for (let i = 0; i < 40; i++) {
    patient.call("absolute", "a", rate);
    await world.runUntil(world.nowMs + 15);
  }
  await world.runUntil(world.nowMs + 1_300);
  patient.call("absolute", "a", rate); // which is reported in a second
  const { remaining } = await world.settled(other.do(() => other.provider.absolute.isAllowed("a")));
  other.call("absolute", "a", rate, remaining - 40);
  await world.runUntil(world.nowMs + 30);
  patient.call("absolute", "a", rate, 60); // and this asks, and is granted more than it needs
  await world.runUntil(world.nowMs + 100);
  const before = other.admitted.length;
  for (let i = 0; i < 100; i++) other.call("absolute", "a", rate);
  await world.runUntil(world.nowMs + 20);
  expect(other.admitted.length).toBeGreaterThan(before);
  const total = [patient, other].flatMap(({ admitted }) => admitted).reduce((sum, { count }) => sum + count, 0);
  expect(total).toBe(1_000);
});

it("what nobody was told of a rate isn't reported as one", async () => {
  const world = new World(1, redis.client, { ...PERFECT, lostAnswers: 1 });
  const options = { prefix: "no-rate", timeoutMs: 50, onFailure: "throw" } as const;
  const process = new SimulatedProcess(world, options);
  const failing = process.do(async () => process.provider.absolute.inc("a", perSecond(10)));
  await expect(world.settled(failing)).rejects.toThrow("Redis");
  world.network.lostAnswers = 0;
  await world.settled(process.do(() => process.provider.absolute.get("a")));
  const usage = await world.settled(process.do(() => process.provider.absolute.get("a")));
  expect(usage).toMatchObject({ total: 1, limit: 600 });
});

it("what random throws goes to the caller, and harms nobody else", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  let isBroken = false;
  const random = () => {
    if (isBroken) throw new Error("no chance");
    return 0.999;
  };
  const options = { prefix: "throwing", windowMs: 1_000, timeoutMs: 50, hardLimitFactor: 1_000, random };
  const process = new SimulatedProcess(world, options);
  const inc = () => world.settled(process.do(async () => process.provider.suppressed.inc("a", perSecond(1))));
  for (let i = 0; i < 20; i++) await inc();
  await world.runUntil(world.nowMs + 150); // until the factor has to be asked for
  isBroken = true;
  await expect(inc()).rejects.toThrow("no chance");
  isBroken = false;
  expect(await inc()).toMatchObject({ outcome: "suppressed", degraded: false });
  await world.settled(process.do(() => process.provider.close()));
});

/** A process that has lost so many requests that some of what it has to report is held back. */
async function withMuchToReport(prefix: string, options: HybridOptions): Promise<[World, SimulatedProcess]> {
  const world = new World(1, redis.client, { ...PERFECT });
  const process = new SimulatedProcess(world, { prefix, timeoutMs: 50, ...options });
  for (let i = 0; i < 70; i++) {
    world.network.lostRequests = 1;
    process.call("absolute", "a", perSecond(1_000));
    await world.runUntil(world.nowMs + 0.5);
    process.call("absolute", "a", perSecond(1_000));
    await world.runUntil(world.nowMs + 1_100);
    // Others get through, so that nothing refuses to ask.
    world.network.lostRequests = 0;
    await world.settled(process.do(() => process.provider.absolute.get("b")));
  }
  return [world, process];
}

it("who calls while much is reported is counted once", async () => {
  const options = { bucketMs: 1, windowMs: 3_600_000, syncIntervalMs: 1_000_000 };
  const [world, process] = await withMuchToReport("held-back", options);
  const settling = process.do(() => process.provider.absolute.get("a"));
  for (let i = 0; i < 20; i++) process.call("absolute", "a", perSecond(1_000));
  await world.settled(settling);
  await world.settled(process.do(() => process.provider.close()));
  expect(process.admitted).toHaveLength(2 * 70 + 20);
  expect(await totalOf(world, "a", { prefix: "held-back", ...options })).toBe(2 * 70 + 20);
});

it("a call whose answer was lost is counted once, also after a long outage", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  const options = { prefix: "merged", bucketMs: 1, windowMs: 3_600_000, timeoutMs: 50 };
  const process = new SimulatedProcess(world, options);
  world.network.lostRequests = 1;
  for (let i = 0; i < 6; i++) process.call("absolute", `other-${i}`, perSecond(1_000));
  await world.runUntil(world.nowMs + 60);
  // Redis is done without, but for a call at times, which is executed now; one more is decided meanwhile.
  Object.assign(world.network, { lostRequests: 0, lostAnswers: 1 });
  for (const { waits } = process; process.waits === waits; await world.runUntil(world.nowMs + 1)) {
    process.call("absolute", "a", perSecond(1_000), 10);
  }
  process.call("absolute", "a", perSecond(1_000));
  await world.runUntil(world.nowMs + 60);
  Object.assign(world.network, { lostRequests: 1, lostAnswers: 0 });
  for (let i = 0; i < 200; i++) {
    process.call("absolute", "a", perSecond(1_000));
    await world.runUntil(world.nowMs + 2);
  }
  world.network.lostRequests = 0;
  await world.runUntil(world.nowMs + 5_000);
  await world.settled(process.do(() => process.provider.close()));
  const admitted = process.admitted.filter(({ key }) => key === "a");
  expect(await totalOf(world, "a", options)).toBe(admitted.reduce((sum, { count }) => sum + count, 0));
});

it("what an outage outlives isn't reported after it", async () => {
  const world = new World(1, redis.client, { ...PERFECT });
  const process = new SimulatedProcess(world, {
    prefix: "outlived",
    windowMs: 1_000,
    timeoutMs: 50,
    onFailure: "allow",
  });
  world.network.lostRequests = 1;
  for (let i = 0; i < 1_000; i++) {
    process.call("absolute", `key-${i}`, perSecond(1));
    await world.runUntil(world.nowMs + 1);
  }
  await world.runUntil(world.nowMs + 5_000);
  world.network.lostRequests = 0;
  const before = process.requests;
  await world.runUntil(world.nowMs + 5_000);
  expect(process.requests - before).toBeLessThan(20);
  expect(world.isStill).toBe(true);
});
