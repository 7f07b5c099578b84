// What a process does that nobody calls, on virtual time; see test/support/simulation.

import { perSecond } from "trypema";
import { expect, it } from "vitest";
import { HybridProcess } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";

const createWorld = useSimulation();

it("a process that isn't called any longer has no timers", async () => {
  const world = createWorld();
  const process = new HybridProcess(world, { windowMs: 1_000 });
  for (const strategy of ["absolute", "suppressed"] as const) {
    for (let i = 0; i < 10; i++) process.call(strategy, `key-${i % 3}`, perSecond(3));
  }
  // Long after the windows and the leases, of which each takes a second.
  await world.runUntil(10_000);
  expect(process.admitted.length).toBeGreaterThan(10);
  expect(world.isStill).toBe(true);
});
