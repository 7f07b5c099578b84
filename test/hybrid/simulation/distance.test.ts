// How much of a limit a fleet uses when Redis is far away, and that it never passes the limit, on virtual time; see
// test/support/simulation.

import { createLocalProvider, perSecond } from "trypema";
import { expect, it } from "vitest";
import { type Admission, countOf, mostWithin } from "../../support/simulation/admissions.ts";
import { HybridProcess } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";

const createWorld = useSimulation();

const PROCESSES = 4;
const HARD_LIMIT_FACTOR = 1.5;
const TURN_MS = 2;
/** Times of the server's clock are rounded by less. */
const ROUNDED_MS = 0.01;

interface Load {
  readonly strategy: "absolute" | "suppressed";
  readonly windowMs: number;
  readonly bucketMs: number;
  readonly eachWayMs: number;
  readonly capacity: number;
  readonly windows: number;
  /** How many times the limit the processes offer together, at a time. */
  readonly timesAt: (nowMs: number) => number;
}

/** What the processes admit together, and what one Local provider admits of the same calls. */
interface Outcome {
  readonly admitted: readonly Admission[];
  readonly locally: readonly Admission[];
}

async function offer(load: Load): Promise<Outcome> {
  const { strategy, windowMs, bucketMs, eachWayMs, capacity, windows, timesAt } = load;
  const world = createWorld(1, { delayMs: eachWayMs });
  world.capacity = capacity;
  world.hardLimit = HARD_LIMIT_FACTOR * capacity;
  const options = { windowMs, bucketMs, hardLimitFactor: HARD_LIMIT_FACTOR };
  const { random } = world;
  const local = createLocalProvider({ ...options, clock: () => world.nowMs, cleanup: false, random })[strategy];
  const perMs = capacity / windowMs;
  const rate = perSecond(perMs * 1_000);
  const locally: Admission[] = [];
  const fleet = Array.from({ length: PROCESSES }, () => new HybridProcess(world, { ...options, timeoutMs: 1_000 }));
  for (const process of fleet) {
    let nextMs = 0;
    const callWhatIsDue = () => {
      for (; nextMs <= world.nowMs; ) {
        process.call(strategy, "a", rate);
        const timeMs = world.nowMs;
        if (local.inc("a", rate).allowed) locally.push({ timeMs, key: "a", count: 1, degraded: false });
        nextMs += world.pause((1_000 * perMs * timesAt(nextMs)) / PROCESSES);
      }
    };
    process.repeat(callWhatIsDue, () => TURN_MS);
  }
  await world.runUntil(windows * windowMs);
  const admitted = fleet.flatMap((process) => process.admitted);
  expect(admitted.some(({ degraded }) => degraded)).toBe(false);
  return { admitted, locally };
}

/** What was admitted after the first two windows, of what Local admitted then. */
function shareOfLocal({ admitted, locally }: Outcome, windowMs: number): number {
  const later = (all: readonly Admission[]) => countOf(all.filter(({ timeMs }) => timeMs >= 2 * windowMs));
  return later(admitted) / later(locally);
}

it.each([
  { windowMs: 2_000, bucketMs: 100, eachWayMs: 20, least: 0.97 },
  { windowMs: 2_000, bucketMs: 100, eachWayMs: 150, least: 0.93 },
  { windowMs: 100, bucketMs: 10, eachWayMs: 0.3, least: 0.9 },
])(
  "with a window of $windowMs ms and up to $eachWayMs ms each way, a fleet admits at least $least of what Local does, and never more than the capacity",
  async ({ least, ...distance }) => {
    const { windowMs } = distance;
    const capacity = 200;
    // The first window spreads its hits evenly.
    const timesAt = (nowMs: number) => (nowMs < windowMs ? 1 : 5);
    const outcome = await offer({ strategy: "absolute", ...distance, capacity, windows: 12, timesAt });
    expect(mostWithin(outcome.admitted, windowMs - ROUNDED_MS)).toBeLessThanOrEqual(capacity);
    expect(shareOfLocal(outcome, windowMs)).toBeGreaterThanOrEqual(least);
  },
);

it.each([
  { times: 1.2, eachWayMs: 150, windows: 12, least: 0.95 },
  { times: 5, eachWayMs: 20, windows: 5, least: 0.95 },
  { times: 5, eachWayMs: 150, windows: 8, least: 0.95 },
  { times: 20, eachWayMs: 150, windows: 6, least: 0.9 },
])(
  "suppressed: at $times times the limit from the first call on, and up to $eachWayMs ms each way, a fleet never passes the hard limit, and admits at least $least of what Local does",
  async ({ times, eachWayMs, windows, least }) => {
    const [windowMs, capacity] = [2_000, 100];
    const load = { strategy: "suppressed", windowMs, bucketMs: 100, eachWayMs, capacity, windows } as const;
    const outcome = await offer({ ...load, timesAt: () => times });
    expect(mostWithin(outcome.admitted, windowMs - ROUNDED_MS)).toBeLessThanOrEqual(HARD_LIMIT_FACTOR * capacity);
    expect(shareOfLocal(outcome, windowMs)).toBeGreaterThanOrEqual(least);
  },
);
