// A machine that is suspended: its monotonic clock stands still, and its wall clock goes on. On virtual time; see
// test/support/simulation.

import { perSecond } from "trypema";
import { expect, it } from "vitest";
import { countOf, mostWithin } from "../../support/simulation/admissions.ts";
import { HybridProcess, LEASE_MS, RedisProcess } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";
import type { World } from "../../support/simulation/world.ts";

const createWorld = useSimulation();

const WINDOW_MS = 2_000;
const CAPACITY = 100;
const RATE = perSecond((CAPACITY * 1_000) / WINDOW_MS);

function callTimes(count: number, process: HybridProcess): void {
  for (let i = 0; i < count; i++) process.call("absolute", "a", RATE);
}

function leasedBy(process: HybridProcess): number {
  return process.do(() => process.provider.absolute.getEstimate("a"))?.leased ?? 0;
}

/** A process that has a lease of some size. */
async function leasingProcess(world: World): Promise<HybridProcess> {
  const process = new HybridProcess(world, { windowMs: WINDOW_MS });
  for (let round = 0; round < 4; round++) {
    callTimes(10, process);
    await world.runUntil(world.nowMs + 20);
  }
  expect(leasedBy(process)).toBeGreaterThan(10);
  return process;
}

it.each([
  ["while it has a lease", false],
  ["while it asks for one", true],
])("a process that is suspended %s spends nothing when it wakes that others may have", async (_, isAsking) => {
  const world = createWorld();
  const suspended = await leasingProcess(world);
  // What it admitted is reported when it wakes, as if it had just been made.
  world.overdrawn.add("a");
  const other = new RedisProcess(world, { windowMs: WINDOW_MS });
  if (isAsking) {
    world.network.delayMs = 5;
    callTimes(leasedBy(suspended) + 1, suspended);
  }
  // The request is made then, and its answer isn't read.
  await world.runUntil(world.nowMs + 1);
  const wakeMs = world.nowMs + WINDOW_MS + LEASE_MS + 200;
  for (const callMs of [wakeMs, wakeMs + 1]) world.at(callMs, () => callTimes(CAPACITY, suspended), suspended);
  suspended.suspendUntil(wakeMs);
  await world.runUntil(wakeMs - 50);
  other.call("absolute", "a", RATE, CAPACITY);
  await world.runUntil(wakeMs + 200);
  expect(countOf(other.admitted)).toBe(CAPACITY);
  expect(mostWithin([...suspended.admitted, ...other.admitted], WINDOW_MS)).toBe(CAPACITY);
});

it("what Redis said before a suspension is believed no longer: a call asks whether there is room", async () => {
  const world = createWorld();
  const process = await leasingProcess(world);
  callTimes(CAPACITY, process);
  await world.runUntil(world.nowMs + 100);
  expect(process.admitted).toHaveLength(CAPACITY);
  const wakeMs = world.nowMs + WINDOW_MS + 200;
  process.suspendUntil(wakeMs);
  world.at(wakeMs, () => callTimes(1, process), process);
  await world.runUntil(wakeMs + 20);
  expect(process.admitted).toHaveLength(CAPACITY + 1);
});

it("a wall clock that is set costs no more than the lease", async () => {
  const world = createWorld();
  const process = await leasingProcess(world);
  const { waits } = process;
  process.setWallClock(-3_600_000);
  callTimes(1, process);
  expect(process.waits, "set back").toBe(waits);
  await world.runUntil(world.nowMs + 100);
  process.setWallClock(3_600_000);
  callTimes(3, process);
  expect(process.waits, "set forward").toBe(waits + 3);
  await world.runUntil(world.nowMs + 100);
  callTimes(1, process);
  expect(process.waits, "set forward, and asked since").toBe(waits + 3);
  await world.runUntil(world.nowMs + 100);
  expect(process.admitted).toHaveLength(45);
});
