// What fleets of hybrid processes make of loads, on virtual time; see test/support/simulation.

import { createLocalProvider, perSecond } from "trypema";
import { expect, it, vi } from "vitest";
import { smoothness } from "../support/fleet.ts";
import { type Admission, mostWithin } from "../support/simulation/admissions.ts";
import { HybridProcess, totalOf } from "../support/simulation/process.ts";
import { useSimulation } from "../support/simulation/use-simulation.ts";

/** Five loads at a time share one process, so that each may take the time of all. */
vi.setConfig({ testTimeout: 5 * 300_000 });

/** Nothing goes wrong here, so now and then is often enough to check what Redis holds. */
const createWorld = useSimulation(10);

/**
 * `count` processes that offer `overload` times the limit together, each call a count of 1, where nothing goes wrong.
 */
async function offer(
  strategy: "absolute" | "suppressed",
  { seed, count, overload, perSecond: limit, windowMs, bucketMs = windowMs / 100, windows, shares }: Load,
): Promise<Admission[]> {
  const world = createWorld(seed);
  const rate = perSecond(limit);
  const processes = Array.from({ length: count }, (_, i) => {
    const share = shares?.[i] ?? 1 / count;
    const process = new HybridProcess(world, { windowMs, bucketMs });
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

it.concurrent.each([
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

it.concurrent.each([
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

it.concurrent.each([
  { count: 1, runsMs: 10, pausesMs: 100 },
  { count: 4, runsMs: 10, pausesMs: 30 },
  { count: 4, runsMs: 10, pausesMs: 100 },
  { count: 4, runsMs: 10, pausesMs: 400 },
  { count: 8, runsMs: 10, pausesMs: 100 },
  { count: 8, runsMs: 50, pausesMs: 400 },
])("absolute: $count processes that run for $runsMs ms and wait for $pausesMs lose little of it", async (starved) => {
  const { count, runsMs, pausesMs } = starved;
  const world = createWorld();
  const options = { windowMs: 1_000, timeoutMs: 200 };
  const capacity = 300;
  const rate = perSecond(capacity);
  // What one provider would do with the same calls.
  const local = createLocalProvider({ windowMs: 1_000, clock: () => world.nowMs, cleanup: false }).absolute;
  let admittedByLocal = 0;
  const processes = Array.from({ length: count }, () => {
    const process = new HybridProcess(world, options);
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
  await world.runUntil(7_000);
  const admitted = processes.flatMap((process) => process.admitted);
  expect(admitted.filter(({ degraded }) => degraded)).toEqual([]);
  expect(mostWithin(admitted, options.windowMs)).toBeLessThanOrEqual(capacity);
  expect(admitted.length / admittedByLocal).toBeGreaterThan(0.9);
});

it.concurrent.each([
  { count: 1, perSecond: 10, used: 0.1, asked: 0.3 },
  { count: 4, perSecond: 10, used: 0.4, asked: 0.2 },
  { count: 4, perSecond: 100, used: 0.5, asked: 0.01 },
  { count: 8, perSecond: 100, used: 0.8, asked: 0.01 },
  { count: 8, perSecond: 100, used: 0.9, asked: 0.02 },
  { count: 8, perSecond: 10, used: 0.8, asked: 0.2 },
  { count: 8, perSecond: 100, used: 0.98, asked: 0.5 },
])("$count processes that use $used of $perSecond/s seldom ask, and deny what Local would", async (load) => {
  const { count, used } = load;
  const world = createWorld();
  const rate = perSecond(load.perSecond);
  const local = createLocalProvider({ clock: () => world.nowMs, cleanup: false }).absolute;
  let calls = 0;
  let admittedByLocal = 0;
  const processes = Array.from({ length: count }, () => {
    const process = new HybridProcess(world);
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

it.concurrent.each([10, 100, 10_000])(
  "a key far from its limit costs no more when it is called %i times a second",
  async (calls) => {
    const world = createWorld();
    const process = new HybridProcess(world);
    const call = () => process.call("absolute", "a", perSecond(50_000));
    process.repeat(call, () => 1_000 / calls);
    await world.runUntil(1_000);
    const before = process.requests;
    await world.runUntil(4_000);
    // Every 300 ms.
    expect(process.requests - before).toBeGreaterThan(5);
    expect(process.requests - before).toBeLessThan(15);
    expect(await totalOf(world, "a")).toBeGreaterThan(3.6 * calls);
  },
);

it("a seed makes the same schedule always", async () => {
  const load = { seed: 5, overload: 3, perSecond: 50, windowMs: 500, windows: 3, count: 3 };
  const first = await offer("suppressed", load);
  expect(await offer("suppressed", load)).toEqual(first);
});
