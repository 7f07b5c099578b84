// What the hybrid protocol does in cases that need exact times, on virtual time; see test/support/simulation.ts.

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
