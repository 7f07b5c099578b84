// Takes on Hybrid where this process has leases.

import { minutes, perSecond } from "trypema";
import { expect, it } from "vitest";
import { HybridProcess } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";

const createWorld = useSimulation();

const LIMIT = 100;
const LIMITS = {
  all: { limit: LIMIT, windowMs: minutes(1) },
  each: { limit: LIMIT, windowMs: minutes(1) },
};

it.each([
  ["it has a lease", 0],
  ["it asks for a lease", 1],
])(
  "a take that Redis decides is not denied because of what the process itself has leased, while %s",
  async (_, extra) => {
    const world = createWorld();
    const process = new HybridProcess(world);
    const limits = process.limits(LIMITS);
    const used = () => process.admitted.filter(({ limit }) => limit === "all").length;
    for (let i = 0; i < 40; i++) {
      process.take(limits, ["all"], "k");
      await world.runUntil(world.nowMs + 5);
    }
    expect(used()).toBe(40);
    if (extra === 1) process.take(limits, ["all"], "k", 30);
    else expect(process.do(() => limits.limiter("all").getEstimate("k"))?.leased).toBeGreaterThan(0);
    // Nothing is known of the other key, so Redis has to decide.
    const rest = LIMIT - 40 - (extra === 1 ? 30 : 0);
    process.take(limits, ["all", "each"], "k", rest);
    await world.runUntil(world.nowMs + 500);
    expect(process.admitted.filter(({ limit }) => limit === "each").map(({ count }) => count)).toEqual([rest]);
    process.take(limits, ["all"], "k");
    await world.runUntil(world.nowMs + 500);
    expect(process.admitted.reduce((sum, { limit, count }) => sum + (limit === "all" ? count : 0), 0)).toBe(LIMIT);
  },
);

it("a take spends no lease whose time is over", async () => {
  const world = createWorld();
  const process = new HybridProcess(world);
  const limits = process.limits(LIMITS);
  for (let i = 0; i < 40; i++) {
    process.take(limits, ["all"], "k");
    await world.runUntil(world.nowMs + 5);
  }
  expect(process.do(() => limits.limiter("all").getEstimate("k"))?.leased).toBeGreaterThan(0);
  // The process stalls, so it neither refreshes the lease nor gives it back.
  process.stalledUntilMs = world.nowMs + 30_000;
  await world.runUntil(process.stalledUntilMs - 1);
  process.take(limits, ["all"], "k");
  expect(process.admitted).toHaveLength(40);
  await world.runUntil(world.nowMs + 500);
  expect(process.admitted).toHaveLength(41);
});

it("a take of a suppressed limit under its soft limit meets no factor that was kept", async () => {
  const world = createWorld();
  const process = new HybridProcess(world, { suppressionCacheMs: 60_000, hardLimitFactor: 10, random: () => 0 });
  const limits = process.limits({ load: { limit: 4, windowMs: 500, bucketMs: 1, strategy: "suppressed" } });
  const admitted = () => process.admitted.map(({ count }) => count);
  process.take(limits, ["load"], "k", 10);
  await world.runUntil(300);
  // Over the soft limit: the factor is kept for a minute, and a draw of 0 is denied by any factor above 0.
  for (let i = 0; i < 2; i++) {
    process.callLimit(limits, "load", "k", perSecond(8), 4);
    await world.runUntil(world.nowMs + 20);
  }
  expect(admitted()).toEqual([10]);
  // The first call expires, and the denied ones don't.
  await world.runUntil(600);
  process.take(limits, ["load"], "k");
  await world.runUntil(620);
  expect(admitted()).toEqual([10, 1]);
});

it("a take meets one draw, so those that Redis decides are admitted as often as those that the process decides", async () => {
  const world = createWorld();
  const process = new HybridProcess(world);
  const load = { limit: 50, windowMs: 1_000, bucketMs: 50, strategy: "suppressed" as const };
  const limits = process.limits({ client: { limit: 10, windowMs: minutes(1) }, load });
  const seen = { here: { takes: 0, admitted: 0 }, inRedis: { takes: 0, admitted: 0 } };
  const take = async (number: number) => {
    // Nothing is known of a new client.
    const isNew = number % 4 === 0;
    const counts = isNew ? seen.inRedis : seen.here;
    const { allowed } = await process.do(async () =>
      isNew ? limits.take({ client: `client-${number}`, load: "all" }) : limits.take({ load: "all" }),
    );
    counts.takes++;
    if (allowed) counts.admitted++;
  };
  let number = 0;
  process.repeat(
    () => void take(number++),
    () => world.pause(250),
  );
  await world.runUntil(20_000);
  const shareOf = ({ takes, admitted }: { takes: number; admitted: number }) => admitted / takes;
  expect(shareOf(seen.here)).toBeGreaterThan(0.15);
  expect(shareOf(seen.inRedis) / shareOf(seen.here)).toBeGreaterThan(0.85);
});
