// What callers of one process get who call at once: how long they wait, and whom they hold up, on virtual time; see
// test/support/simulation.

import { perSecond, type Rate } from "trypema";
import { expect, it } from "vitest";
import { HybridProcess, totalOf } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";
import type { World } from "../../support/simulation/world.ts";

const createWorld = useSimulation();

/** The longest that a question waits whose answer takes 2 ms, however busy the process is. */
const SOON_MS = 50;

const FULL_RATE = perSecond(1_000);
/** At that rate in the default window of a minute. */
const FULL = 60_000;

/** A process that has taken all that there is, and so is denied from then on. */
async function withFullKey(world: World): Promise<HybridProcess> {
  const process = new HybridProcess(world);
  process.call("absolute", "a", FULL_RATE, FULL);
  await world.runUntil(100);
  return process;
}

it("calls of different weights that there is no room for share a round trip", async () => {
  const world = createWorld();
  const process = await withFullKey(world);
  const before = process.requests;
  const decisions = Array.from({ length: 300 }, (_, i) => {
    const count = 1 + ((i * 7) % 300); // each weight once, in no order
    return process.do(() => process.provider.absolute.inc("a", FULL_RATE, count));
  });
  for (const decision of await world.settled(Promise.all(decisions))) {
    expect(decision).toMatchObject({ outcome: "rejected", degraded: false });
    expect(decision.retryAfterMs).toBeGreaterThan(0);
  }
  expect(process.requests - before).toBeLessThanOrEqual(3);
});

it("of calls of one count that wait at once as many are admitted as there is room for, in one round trip", async () => {
  const world = createWorld();
  const process = new HybridProcess(world);
  const calls = () =>
    Array.from({ length: 40 }, () => process.do(() => process.provider.absolute.inc("a", perSecond(1), 2)));
  const decisions = await world.settled(Promise.all(calls()));
  for (const [index, decision] of decisions.entries()) {
    if (index < 30) expect(decision).toMatchObject({ allowed: true, remaining: 60 - 2 * (index + 1) });
    else expect(decision).toMatchObject({ allowed: false, retryAfterMs: 60_000, degraded: false });
  }
  expect(process.requests).toBe(1);
  expect(await totalOf(world, "a")).toBe(60);
});

it("calls at different rates that wait at once share a round trip for each rate", async () => {
  const world = createWorld();
  const process = new HybridProcess(world);
  const decisions = Array.from({ length: 300 }, (_, i) =>
    process.do(() => process.provider.absolute.inc("a", perSecond(i % 2 === 0 ? 1 : 2))),
  );
  const outcomes = await world.settled(Promise.all(decisions));
  expect(outcomes.filter(({ degraded }) => degraded)).toEqual([]);
  // The capacity at the larger rate, for a minute.
  expect(outcomes.filter(({ allowed }) => allowed)).toHaveLength(120);
  expect(process.requests).toBeLessThanOrEqual(6);
});

it("whoever asks about a key is answered, however many call", async () => {
  const world = createWorld();
  const process = await withFullKey(world);
  process.repeat(
    () => process.call("absolute", "a", FULL_RATE, 1 + Math.floor(world.random() * 500)),
    () => 0.2, // some ten calls in a round trip
  );
  await world.runUntil(world.nowMs + 20);
  const askedMs = world.nowMs;
  const usage = await world.settled(process.do(() => process.provider.absolute.get("a")));
  expect(usage.total).toBe(FULL);
  expect(world.nowMs - askedMs).toBeLessThan(SOON_MS);
});

it("a key for which somebody waits always holds up neither who asks about it nor other keys", async () => {
  const world = createWorld();
  const process = new HybridProcess(world);
  const callAlways = (rate: Rate) => {
    process.repeat(
      () => process.call("absolute", "a", rate),
      () => 0.1, // some twenty calls in a round trip
    );
  };
  callAlways(perSecond(10_000));
  // The second rate comes while a report is on its way.
  for (const { requests } = process; process.requests < requests + 20; ) await world.runUntil(world.nowMs + 0.1);
  callAlways(perSecond(10_001));
  await world.runUntil(world.nowMs + 100);
  for (let i = 0; i < 10; i++) process.call("absolute", "b", perSecond(100));
  await world.runUntil(world.nowMs + 500);
  expect(await totalOf(world, "b")).toBe(10);
  const askedMs = world.nowMs;
  await world.settled(process.do(() => process.provider.absolute.get("a")));
  expect(world.nowMs - askedMs).toBeLessThan(SOON_MS);
});

it("an error that `random` throws goes to the caller, and harms nobody else", async () => {
  const world = createWorld();
  let isBroken = false;
  const random = () => {
    if (isBroken) throw new Error("no random numbers");
    return 0.999; // so nearly 1 that a call is suppressed unless the factor is 0
  };
  const process = new HybridProcess(world, { windowMs: 1_000, hardLimitFactor: 1_000, random });
  const inc = () => world.settled(process.do(async () => process.provider.suppressed.inc("a", perSecond(1))));
  for (let i = 0; i < 20; i++) await inc();
  // Longer than the 100 ms for which a suppression factor is kept: it has to be asked for.
  await world.runUntil(world.nowMs + 150);
  isBroken = true;
  await expect(inc()).rejects.toThrow("no random numbers");
  isBroken = false;
  expect(await inc()).toMatchObject({ outcome: "suppressed", degraded: false });
  await world.settled(process.do(() => process.provider.close()));
});
