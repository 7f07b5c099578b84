// Takes on Hybrid where this process has leases.

import { minutes } from "trypema";
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
    else expect(limits.limiter("all").getEstimate("k")?.leased).toBeGreaterThan(0);
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
