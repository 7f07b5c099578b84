// How much of the capacity a fleet uses when Redis is far away, on virtual time; see test/support/simulation.

import { createLocalProvider, perSecond } from "trypema";
import { expect, it } from "vitest";
import { type Admission, countOf, mostWithin } from "../../support/simulation/admissions.ts";
import { HybridProcess } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";

const createWorld = useSimulation();

const PROCESSES = 4;
const CAPACITY = 200;
const WINDOWS = 12;
/** They offer so much more than the limit, once the first window has spread its hits evenly. */
const TIMES = 5;
const TURN_MS = 2;

/** Times of the server's clock are rounded by less. */
const ROUNDED_MS = 0.01;

it.each([
  { windowMs: 2_000, bucketMs: 100, eachWayMs: 20, least: 0.97 },
  { windowMs: 2_000, bucketMs: 100, eachWayMs: 150, least: 0.93 },
  { windowMs: 100, bucketMs: 10, eachWayMs: 0.3, least: 0.9 },
])(
  "with a window of $windowMs ms and up to $eachWayMs ms each way, a fleet admits at least $least of what Local does, and never more than the capacity",
  async ({ windowMs, bucketMs, eachWayMs, least }) => {
    const world = createWorld(1, { delayMs: eachWayMs });
    world.capacity = CAPACITY;
    const options = { windowMs, bucketMs, timeoutMs: 1_000 };
    const local = createLocalProvider({ windowMs, bucketMs, clock: () => world.nowMs, cleanup: false }).absolute;
    const perMs = CAPACITY / windowMs;
    const rate = perSecond(perMs * 1_000);
    const locally: Admission[] = [];
    const fleet = Array.from({ length: PROCESSES }, () => new HybridProcess(world, options));
    for (const process of fleet) {
      let nextMs = 0;
      const callWhatIsDue = () => {
        for (; nextMs <= world.nowMs; ) {
          process.call("absolute", "a", rate);
          const timeMs = world.nowMs;
          if (local.inc("a", rate).allowed) locally.push({ timeMs, key: "a", count: 1, degraded: false });
          nextMs += world.pause((1_000 * perMs * (nextMs < windowMs ? 1 : TIMES)) / PROCESSES);
        }
      };
      process.repeat(callWhatIsDue, () => TURN_MS);
    }
    await world.runUntil(WINDOWS * windowMs);
    const admitted = fleet.flatMap((process) => process.admitted);
    expect(admitted.some(({ degraded }) => degraded)).toBe(false);
    expect(mostWithin(admitted, windowMs - ROUNDED_MS)).toBeLessThanOrEqual(CAPACITY);
    const later = (all: readonly Admission[]) => countOf(all.filter(({ timeMs }) => timeMs >= 2 * windowMs));
    expect(later(admitted) / later(locally)).toBeGreaterThanOrEqual(least);
  },
);
