// What a lease is good for, and until when, on virtual time; see test/support/simulation.

import { perSecond } from "trypema";
import { expect, it } from "vitest";
import { type Admission, countOf, mostWithin } from "../../support/simulation/admissions.ts";
import { HybridProcess, LEASE_MS, SET_ASIDE_MS } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";
import type { World } from "../../support/simulation/world.ts";

const createWorld = useSimulation();

/** Longer than a call takes to be answered, at most 2 ms here, and than `syncIntervalMs`, which is 10 ms by default. */
const ROUND_MS = 20;

/** Calls in rounds, each of which is answered before the next one, so that the process is granted a lease. */
async function callInRounds(world: World, process: HybridProcess, rate: ReturnType<typeof perSecond>, round: Rounds) {
  for (let i = 0; i < round.rounds; i++) {
    for (let call = 0; call < round.calls; call++) process.call("absolute", "a", rate);
    await world.runUntil(world.nowMs + (round.everyMs ?? ROUND_MS));
  }
}

interface Rounds {
  readonly rounds: number;
  readonly calls: number;
  readonly everyMs?: number;
}

function callTimes(count: number, call: () => void): void {
  for (let i = 0; i < count; i++) call();
}

it("what was spent is free again after a window, however late it is reported", async () => {
  const windowMs = 1_000;
  const capacity = 1_000;
  const world = createWorld();
  // Reports may be nearly 100 ms late.
  const options = { windowMs, bucketMs: 1, syncIntervalMs: 90 };
  const [spending, waiting] = [new HybridProcess(world, options), new HybridProcess(world, options)];
  const rate = perSecond(capacity);
  await callInRounds(world, spending, rate, { rounds: 3, calls: 20 });
  // By then two reports have brought all of it, and something is leased.
  await world.runUntil(world.nowMs + 250);
  const spentMs = world.nowMs;
  const before = spending.waits;
  spending.call("absolute", "a", rate);
  expect(spending.waits, "it spends its lease").toBe(before);
  // The other one needs the whole capacity, so it is admitted when the last hit has left the window.
  while (world.nowMs < spentMs + windowMs + 300) {
    await world.runUntil(world.nowMs + 5);
    if (waiting.admitted.length === 0) waiting.call("absolute", "a", rate, capacity);
  }
  const [{ timeMs }] = waiting.admitted as [Admission];
  expect(timeMs).toBeGreaterThanOrEqual(spentMs + windowMs);
  expect(timeMs).toBeLessThan(spentMs + windowMs + 50);
});

it("a lease can't be spent when its time is over, and others are free to take it a window later", async () => {
  const windowMs = 5_000;
  const capacity = 100;
  const world = createWorld();
  const options = { windowMs };
  const [stalled, other] = [new HybridProcess(world, options), new HybridProcess(world, options)];
  const rate = perSecond((capacity * 1_000) / windowMs);
  await callInRounds(world, stalled, rate, { rounds: 3, calls: 5 });
  const renewedMs = world.nowMs;
  const { waits } = stalled;
  // Its timers don't run any longer, so that nothing renews its lease or gives it back. It still calls.
  stalled.stalledUntilMs = 60_000;
  await world.runUntil(renewedMs + LEASE_MS - 50);
  stalled.call("absolute", "a", rate);
  expect(stalled.waits, "it spends its lease").toBe(waits);
  const spentMs = world.nowMs;
  await world.runUntil(renewedMs + LEASE_MS + 5);
  world.network.lostRequests = 1;
  stalled.call("absolute", "a", rate);
  expect(stalled.waits, "it asks Redis").toBe(waits + 1);
  await world.runUntil(world.nowMs + 5);
  world.network.lostRequests = 0;
  // As long as what was spent is in the window, nobody gets the whole capacity.
  for (const timeMs of [spentMs + 10, renewedMs + windowMs, spentMs + windowMs - 10]) {
    await world.runUntil(timeMs);
    other.call("absolute", "a", rate, capacity);
  }
  await world.runUntil(spentMs + windowMs);
  expect(other.admitted).toEqual([]);
  await world.runUntil(renewedMs + SET_ASIDE_MS + windowMs + 10);
  other.call("absolute", "a", rate, capacity);
  await world.runUntil(world.nowMs + 10);
  expect(other.admitted).toHaveLength(1);
});

it("a process leases no more than it needs, however long it goes on", async () => {
  const windowMs = 10_000;
  const ratePerSecond = 100;
  const capacity = 1_000;
  const world = createWorld();
  const options = { windowMs };
  const [steady, other] = [new HybridProcess(world, options), new HybridProcess(world, options)];
  const rate = perSecond(ratePerSecond);
  const everyMs = 50;
  const spent = windowMs / everyMs;
  steady.repeat(
    () => steady.call("absolute", "a", rate),
    () => everyMs,
  );
  await world.runUntil(windowMs);
  callTimes(capacity, () => other.call("absolute", "a", rate));
  await world.runUntil(world.nowMs + 50);
  // While there is plenty, a lease may be a 16th of the capacity.
  expect(other.admitted.length).toBeGreaterThan(capacity - spent - capacity / 16 - 10);
  // A few calls later capacity is scarce, and the lease is as small as it can be.
  await world.runUntil(world.nowMs + 450);
  callTimes(capacity, () => other.call("absolute", "a", rate));
  await world.runUntil(world.nowMs + 50);
  expect(other.admitted.length).toBeGreaterThan(capacity - spent - 20);
});

it("a lease that is over takes nothing off the leases that were granted since", async () => {
  const windowMs = 4_000;
  const capacity = 1_000;
  const world = createWorld();
  const processes = Array.from({ length: 3 }, () => new HybridProcess(world, { windowMs, bucketMs: windowMs }));
  const [stalled, second, third] = processes as [HybridProcess, HybridProcess, HybridProcess];
  const rate = perSecond((capacity * 1_000) / windowMs);
  const often = { rounds: 8, calls: 30, everyMs: 5 };
  await callInRounds(world, stalled, rate, often);
  stalled.stalledUntilMs = world.nowMs + LEASE_MS + windowMs + 200;
  await world.runUntil(stalled.stalledUntilMs - 100);
  await callInRounds(world, second, rate, often);
  // When the first one goes on, it gives back what it thinks it has.
  await world.runUntil(stalled.stalledUntilMs + 20);
  for (const process of [third, second, stalled]) {
    callTimes(capacity, () => process.call("absolute", "a", rate));
    await world.runUntil(world.nowMs + 20);
  }
  const admitted = processes.flatMap((process) => process.admitted);
  expect(mostWithin(admitted, windowMs)).toBe(capacity);
});

it("a lease is given back soon when capacity gets scarce, though its report could wait before", async () => {
  const windowMs = 600_000;
  const capacity = 1_000;
  const world = createWorld();
  const options = { windowMs };
  const [patient, other] = [new HybridProcess(world, options), new HybridProcess(world, options)];
  const rate = perSecond((capacity * 1_000) / windowMs);
  await callInRounds(world, patient, rate, { rounds: 40, calls: 1, everyMs: 15 });
  // Longer than the second that a report may wait in so long a window.
  await world.runUntil(world.nowMs + 1_300);
  patient.call("absolute", "a", rate); // is reported in a second
  const { remaining } = await world.settled(other.do(() => other.provider.absolute.isAllowed("a")));
  other.call("absolute", "a", rate, remaining - 40);
  await world.runUntil(world.nowMs + 30);
  patient.call("absolute", "a", rate, 60); // asks, and more is granted than it needs
  await world.runUntil(world.nowMs + 100);
  const before = other.admitted.length;
  callTimes(100, () => other.call("absolute", "a", rate));
  await world.runUntil(world.nowMs + 20);
  expect(other.admitted.length).toBeGreaterThan(before);
  expect(countOf([...patient.admitted, ...other.admitted])).toBe(capacity);
});
