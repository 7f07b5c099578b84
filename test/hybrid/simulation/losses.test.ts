// What becomes of hits when requests and answers are lost, on virtual time; see test/support/simulation.

import { type Awaitable, perSecond } from "trypema";
import type { HybridOptions } from "trypema/hybrid";
import { expect, it } from "vitest";
import { countOf, mostWithin } from "../../support/simulation/admissions.ts";
import { cases, simulate } from "../../support/simulation/fleet.ts";
import { HybridProcess, RedisProcess, totalOf } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";
import { PERFECT, type World } from "../../support/simulation/world.ts";

const createWorld = useSimulation();

/** How many hits a process keeps apart while no report has brought them, as src/hybrid has it; others are merged. */
const MOST_HITS = 64;

it("what is counted in an outage is no more to report the longer the outage lasts", async () => {
  const world = createWorld();
  const options = { windowMs: 86_400_000 };
  const process = new HybridProcess(world, options);
  const rate = perSecond(100);
  process.call("absolute", "a", rate);
  await world.runUntil(1_000);
  world.network.lostRequests = 1;
  process.repeat(
    () => process.call("absolute", "a", rate),
    () => world.pause(2),
  );
  // Twenty minutes: some 2400 calls.
  await world.runUntil(1_200_000);
  world.network.lostRequests = 0;
  world.longestRequest = 0;
  await world.runUntil(1_210_000);
  await world.settled(process.do(() => process.provider.absolute.get("a")));
  expect(await totalOf(world, "a", options)).toBe(process.admitted.length);
  // A report has some 20 arguments, and four for each hit; hits that were in a report before come beside the merged
  // ones.
  expect(world.longestRequest).toBeLessThan(20 + 4 * (3 * MOST_HITS));
});

it("a call that failed tells Redis its count, and not its rate as one that somebody was told", async () => {
  const world = createWorld(1, { lostAnswers: 1 });
  const process = new HybridProcess(world, { onFailure: "throw" });
  const failing = process.do(async () => process.provider.absolute.inc("a", perSecond(10)));
  await expect(world.settled(failing)).rejects.toThrow("Redis");
  world.network.lostAnswers = 0;
  await world.settled(process.do(() => process.provider.absolute.get("a")));
  const usage = await world.settled(process.do(() => process.provider.absolute.get("a")));
  expect(usage).toMatchObject({ total: 1, limit: 600 });
});

/** Each loses a request with one hit, and half a ms later counts another hit, while that request is on its way. */
const ROUNDS = MOST_HITS + 6;

/** A process that has lost so many requests that its reports hold hits back. */
async function withMuchToReport(world: World, options: HybridOptions): Promise<HybridProcess> {
  const process = new HybridProcess(world, options);
  for (let round = 0; round < ROUNDS; round++) {
    world.network.lostRequests = 1;
    process.call("absolute", "a", perSecond(1_000));
    await world.runUntil(world.nowMs + 0.5);
    process.call("absolute", "a", perSecond(1_000));
    // Longer than it takes the client to give up, so that the next round is a new request.
    await world.runUntil(world.nowMs + 1_100);
    // Calls for another key get through, so that the process doesn't take Redis for out of order and cease to ask.
    world.network.lostRequests = 0;
    await world.settled(process.do(() => process.provider.absolute.get("b")));
  }
  return process;
}

it("whoever calls while much is reported is counted once", async () => {
  const world = createWorld();
  const options = { bucketMs: 1, windowMs: 3_600_000, syncIntervalMs: 1_000_000 };
  const process = await withMuchToReport(world, options);
  const settling = process.do(() => process.provider.absolute.get("a"));
  for (let i = 0; i < 20; i++) process.call("absolute", "a", perSecond(1_000));
  await world.settled(settling);
  await world.settled(process.do(() => process.provider.close()));
  const counted = 2 * ROUNDS + 20;
  expect(process.admitted).toHaveLength(counted);
  expect(await totalOf(world, "a", options)).toBe(counted);
});

it("a call whose answer was lost is counted once, also after a long outage", async () => {
  const world = createWorld();
  const options = { bucketMs: 1, windowMs: 3_600_000 };
  const process = new HybridProcess(world, options);
  const rate = perSecond(1_000);
  world.network.lostRequests = 1;
  for (let i = 0; i < 6; i++) process.call("absolute", `other-${i}`, rate);
  await world.runUntil(world.nowMs + 60);
  // The process decides without Redis now, except for some calls. Redis executes that one, and its answer is lost.
  // One more call is decided meanwhile.
  Object.assign(world.network, { lostRequests: 0, lostAnswers: 1 });
  for (const { waits } = process; process.waits === waits; await world.runUntil(world.nowMs + 1)) {
    process.call("absolute", "a", rate, 10);
  }
  process.call("absolute", "a", rate);
  await world.runUntil(world.nowMs + 60);
  Object.assign(world.network, { lostRequests: 1, lostAnswers: 0 });
  // In more cells of the grid than hits are kept apart, so that hits are merged.
  for (let i = 0; i < 3 * MOST_HITS; i++) {
    process.call("absolute", "a", rate);
    await world.runUntil(world.nowMs + 2);
  }
  world.network.lostRequests = 0;
  await world.runUntil(world.nowMs + 5_000);
  await world.settled(process.do(() => process.provider.close()));
  const admitted = process.admitted.filter(({ key }) => key === "a");
  expect(await totalOf(world, "a", options)).toBe(countOf(admitted));
});

it.each([
  ["allow", 100],
  ["local", 60],
] as const)(
  "calls that there was room for in part are counted once, where their answer was lost and %j admits %i",
  async (onFailure, admits) => {
    const world = createWorld(1, { lostAnswers: 1 });
    const process = new HybridProcess(world, { onFailure });
    // Redis counts 60 of them.
    for (let i = 0; i < 100; i++) process.call("absolute", "a", perSecond(1));
    await world.runUntil(world.nowMs + 60);
    expect(countOf(process.admitted)).toBe(admits);
    world.network.lostAnswers = 0;
    await world.runUntil(world.nowMs + 5_000);
    await world.settled(process.do(() => process.provider.close()));
    expect(await totalOf(world, "a")).toBe(admits);
  },
);

it("hits that expire in an outage aren't reported after it", async () => {
  const world = createWorld();
  const process = new HybridProcess(world, { windowMs: 1_000, onFailure: "allow" });
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

it("a report that Redis gets twice takes nothing off the lease that it brought", async () => {
  const windowMs = 10_000;
  const capacity = 1_000;
  const rate = perSecond((capacity * 1_000) / windowMs);
  const world = createWorld();
  // What follows the report takes less time than there is between two reports.
  const options = { windowMs, syncIntervalMs: 90 };
  const [leasing, other] = [new HybridProcess(world, options), new HybridProcess(world, options)];
  const asking = new RedisProcess(world, { windowMs });
  const { requests } = leasing;
  while (leasing.requests < requests + 8) {
    leasing.call("absolute", "a", rate);
    await world.runUntil(world.nowMs + 2);
  }
  // While others hold leases too, Redis would grant less than before.
  for (let i = 0; i < 5; i++) {
    other.call("absolute", "a", rate);
    await world.runUntil(world.nowMs + 4);
  }
  await takeAll();
  await leasing.sendLastAgain();
  await takeAll();
  for (let i = 0; i < capacity; i++) leasing.call("absolute", "a", rate);
  for (let i = 0; i < capacity; i++) other.call("absolute", "a", rate);
  await world.runUntil(world.nowMs + 20);
  const admitted = [leasing, other, asking].flatMap((process) => process.admitted);
  expect(mostWithin(admitted, windowMs)).toBe(capacity);

  async function takeAll(): Promise<void> {
    const { remaining } = await world.settled(asking.do(() => asking.provider.absolute.isAllowed("a")));
    if (remaining > 0) asking.call("absolute", "a", rate, remaining);
    await world.runUntil(world.nowMs + 5);
  }
});

it("a call that Redis didn't count, and the policy admitted because the answer was lost, is counted later", async () => {
  const world = createWorld();
  const process = new HybridProcess(world, { onFailure: "allow" });
  const other = new RedisProcess(world);
  const rate = perSecond(1);
  // With a lease, so that Redis remembers each report.
  for (let i = 0; i < 3; i++) {
    process.call("absolute", "a", rate);
    await world.runUntil(world.nowMs + 20);
  }
  other.call("absolute", "a", rate, 40);
  await world.runUntil(world.nowMs + 20);
  world.network.lostAnswers = 1;
  process.call("absolute", "a", rate, 50); // doesn't fit
  await world.runUntil(world.nowMs + 75);
  world.network.lostAnswers = 0;
  await world.runUntil(world.nowMs + 1_000);
  expect(countOf(process.admitted)).toBe(3 + 50);
  expect(await totalOf(world, "a")).toBe(3 + 50 + countOf(other.admitted));
});

/** The total that Redis has of a limit of takes. */
async function totalOfLimit(world: World, name: string, limit: number, windowMs: number): Promise<number> {
  const observer = new HybridProcess(world, { onFailure: "throw" });
  const limits = observer.limits({ [name]: { limit, windowMs } });
  return (await world.settled(observer.do(async () => limits.limiter(name).get("a")))).total;
}

// Where no answer is lost, what fails was not executed, so it is known what Redis has to count.
it.each(cases(1, 30))(
  "what takes give back is given back once, whatever requests are lost: $seeds seeds from $firstSeed",
  async (seeds) => {
    const seen = { givenBack: 0, failed: 0 };
    await simulate(seeds, async (seed) => {
      const world = createWorld(seed, { delayMs: 10, lostRequests: 0.2 });
      const windowMs = 3_600_000;
      const processes = Array.from(
        { length: world.pick(1, 3) },
        () => new HybridProcess(world, { onFailure: "throw" }),
      );
      let total = 0;
      let isCalling = true;
      for (const process of processes) {
        const limits = process.limits({ one: { limit: 1_000, windowMs } });
        const take = async () => {
          const taken = await process.do(async () => limits.take("a"));
          total++;
          if (world.random() < 0.5) world.at(world.nowMs + world.pick(0, 1, 30), () => void giveBack(taken));
        };
        const giveBack = async (taken: { refund(): Awaitable<void> }) => {
          try {
            await process.do(async () => taken.refund());
            total--;
            seen.givenBack++;
          } catch {
            seen.failed++;
          }
        };
        const call = () => {
          if (isCalling) take().catch(() => {});
        };
        process.repeat(call, () => world.pause(100));
      }
      await world.runUntil(500);
      isCalling = false;
      Object.assign(world.network, PERFECT);
      await world.runUntil(world.nowMs + 2_000);
      for (const process of processes) await world.settled(process.do(async () => process.provider.close()));
      expect(await totalOfLimit(world, "one", 1_000, windowMs)).toBe(total);
    });
    expect(Math.min(seen.givenBack, seen.failed)).toBeGreaterThan(2 * seeds.seeds);
  },
);

it("what is admitted without Redis after `close` is never given back to Redis", async () => {
  const world = createWorld();
  const windowMs = 3_600_000;
  const [process, other] = [new HybridProcess(world), new HybridProcess(world)];
  const [limits, limitsOfOther] = [process, other].map((each) => each.limits({ one: { limit: 100, windowMs } }));
  await world.settled(other.do(async () => limitsOfOther!.take("a", 10)));
  await world.settled(process.do(async () => process.provider.close()));
  world.network.lostRequests = 1;
  for (let i = 0; i < 6; i++) process.call("absolute", `other-${i}`, perSecond(1));
  await world.runUntil(world.nowMs + 60);
  const taken = await world.settled(process.do(async () => limits!.take("a", 3)));
  expect(taken.decisions["one"]).toMatchObject({ allowed: true, degraded: true });
  world.network.lostRequests = 0;
  await world.runUntil(world.nowMs + 5_000);
  await world.settled(process.do(async () => taken.refund()));
  expect(await totalOfLimit(world, "one", 100, windowMs)).toBe(10);
});
