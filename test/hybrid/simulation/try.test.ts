// Calls that are decided here or not at all, on virtual time; see test/support/simulation. After each event and each
// script the simulation checks what always holds.

import { perSecond, type Rate } from "trypema";
import { expect, it } from "vitest";
import { mostWithin } from "../../support/simulation/admissions.ts";
import { HybridProcess, totalOf } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";
import type { World } from "../../support/simulation/world.ts";

const createWorld = useSimulation();
const SEEDS = 40;

/** Calls until the process has a lease, and all is reported. Returns how many calls that were. */
async function callInRounds(world: World, process: HybridProcess, rate: Rate): Promise<number> {
  for (let round = 0; round < 3; round++) {
    for (let call = 0; call < 20; call++) process.call("absolute", "a", rate);
    await world.runUntil(world.nowMs + 20);
  }
  await world.runUntil(world.nowMs + 100);
  return process.admitted.length;
}

it("whatever gets lost, a fleet that mostly tries never admits more than the capacity in a window", async () => {
  let tried = 0;
  let full = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = createWorld(seed);
    world.network.delayMs = world.pick(0.1, 2, 20);
    world.network.lostAnswers = world.pick(0, 0.05);
    world.network.lostRequests = world.pick(0, 0.05);
    const windowMs = world.pick(100, 250, 1_000);
    const capacity = world.pick(3, 10, 50);
    world.capacity = capacity;
    const rate = perSecond((capacity * 1_000) / windowMs);
    // Below 0 every call that the process could not decide is dropped.
    const asking = world.pick(0.02, 0.2, 0.5);
    const options = { windowMs, bucketMs: world.pick(1, windowMs / 10, windowMs), onFailure: "deny" as const };
    const processes = Array.from({ length: world.pick(1, 2, 4) }, () => new HybridProcess(world, options));
    for (const process of processes) {
      process.repeat(
        () => {
          const count = world.pick(1, 1, 1, 2, 5);
          if (process.tryCall("absolute", "a", rate, count)) tried++;
          else if (world.random() < asking) process.call("absolute", "a", rate, count);
        },
        () => world.pause(rate * 2),
      );
    }
    await world.runUntil(5 * windowMs);
    const admitted = processes.flatMap((process) => process.admitted.filter(({ degraded }) => !degraded));
    const most = mostWithin(admitted, windowMs);
    expect(most, `seed ${seed}: the most within a window`).toBeLessThanOrEqual(capacity);
    if (most === capacity) full++;
  }
  // Otherwise there would be nothing to see.
  expect(tried).toBeGreaterThan(10 * SEEDS);
  expect(full).toBeGreaterThan(SEEDS / 4);
});

it("a fleet that only tries asks Redis nothing, and admits nothing", async () => {
  const world = createWorld();
  const processes = Array.from({ length: 3 }, () => new HybridProcess(world, { windowMs: 1_000 }));
  for (const process of processes) {
    process.repeat(
      () => expect(process.tryCall(world.pick("absolute", "suppressed"), "a", perSecond(100))).toBe(false),
      () => 5,
    );
  }
  await world.runUntil(3_000);
  expect(processes.map(({ requests }) => requests)).toEqual([0, 0, 0]);
  expect(processes.flatMap(({ admitted }) => admitted)).toEqual([]);
  expect(await totalOf(world, "a", { windowMs: 1_000 })).toBe(0);
});

it("a process that has a lease goes on by trying, and Redis is told of all that it admits", async () => {
  const world = createWorld();
  const rate = perSecond(1_000);
  const options = { windowMs: 10_000 };
  const process = new HybridProcess(world, options);
  const called = await callInRounds(world, process, rate);
  let decided = 0;
  for (let call = 0; call < 200; call++) {
    if (process.tryCall("absolute", "a", rate)) decided++;
    await world.runUntil(world.nowMs + 5);
  }
  expect(decided).toBe(200);
  await world.runUntil(world.nowMs + 1_000);
  expect(await totalOf(world, "a", options)).toBe(called + 200);
});

it("what an estimate calls leased can be spent at once, all of it", async () => {
  let spent = 0;
  let stale = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = createWorld(seed);
    world.network.delayMs = world.pick(0.1, 2);
    const windowMs = world.pick(100, 250, 1_000);
    const rate = perSecond((world.pick(10, 50) * 1_000) / windowMs);
    const options = { windowMs, bucketMs: world.pick(1, windowMs / 10), onFailure: "deny" as const };
    const processes = Array.from({ length: world.pick(1, 2) }, () => new HybridProcess(world, options));
    for (const process of processes) {
      process.repeat(
        () => {
          const estimate = process.do(() => process.provider.absolute.getEstimate("a"));
          if (estimate?.stale) stale++;
          if (estimate === undefined || estimate.leased === 0 || world.random() < 0.8) {
            process.call("absolute", "a", rate);
            return;
          }
          expect(process.tryCall("absolute", "a", rate, estimate.leased), `seed ${seed}`).toBe(true);
          spent++;
        },
        () => world.pause(rate * 2),
      );
    }
    await world.runUntil(3 * windowMs);
  }
  // Otherwise there would be nothing to see.
  expect(spent).toBeGreaterThan(SEEDS);
  expect(stale).toBeGreaterThan(SEEDS);
});

it("an estimate is what a process knows: all that is used where it is alone, and nothing of other keys", async () => {
  const world = createWorld();
  const rate = perSecond(100);
  const options = { windowMs: 10_000 };
  const process = new HybridProcess(world, options);
  const { absolute } = process.provider;
  const estimate = () => process.do(() => absolute.getEstimate("a"));
  expect(estimate()).toBeUndefined();
  const called = await callInRounds(world, process, rate);
  const { requests } = process;
  const known = estimate()!;
  expect(known).toMatchObject({ used: called, limit: 1_000, unreported: 0, stale: false });
  expect(known.leased).toBeGreaterThan(0);
  process.tryCall("absolute", "a", rate, 2);
  expect(estimate()).toEqual({ ...known, used: called + 2, leased: known.leased - 2, unreported: 2 });
  expect(process.requests).toBe(requests);
  expect(process.do(() => absolute.getEstimate("b"))).toBeUndefined();
  expect(process.do(() => process.provider.suppressed.getEstimate("a"))).toBeUndefined();
});
