// The protocol between hybrid processes on thousands of random schedules: message delays, lost messages, crashes and
// clocks that are apart. A failure names its seed.

import { perSecond } from "trypema";
import type { HybridOptions, HybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { seededRandom } from "trypema/testing";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type SimulatedCall, Simulation } from "../support/simulation.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});

afterAll(() => {
  vi.useRealTimers();
});

/** The most admitted calls that were made and answered within a window. */
function mostInAWindow(calls: readonly SimulatedCall[], windowMs: number): number {
  const admitted = calls.filter(({ decision }) => decision.allowed && !decision.degraded);
  let most = 0;
  for (const { sentMs } of admitted) {
    const endMs = sentMs + windowMs;
    const within = admitted.filter((call) => call.sentMs >= sentMs && call.answeredMs < endMs);
    most = Math.max(
      most,
      within.reduce((sum, { count }) => sum + count, 0),
    );
  }
  return most;
}

interface Schedule {
  readonly simulation: Simulation;
  readonly processes: HybridProvider[];
}

function start(seed: number, network: { delayMs: number; loss: number }, options: HybridOptions): Schedule {
  const random = seededRandom(seed);
  const simulation = new Simulation(redis.client, random, network);
  const count = 1 + Math.floor(random() * 4);
  const processes = Array.from({ length: count }, () => simulation.addProcess({ prefix: `seed-${seed}`, ...options }));
  return { simulation, processes };
}

it("no window has more than the capacity, whatever is late, lost or dies", async () => {
  let busiest = 0;
  for (let seed = 1; seed <= 1_500; seed++) {
    const random = seededRandom(-seed);
    const windowMs = 20 + Math.floor(random() * 60);
    const capacity = 1 + Math.floor(random() * 30);
    const network = { delayMs: Math.floor(random() * 8), loss: random() < 0.5 ? 0 : random() * 0.15 };
    const { simulation, processes } = start(seed, network, {
      windowMs,
      bucketMs: 1 + Math.floor(random() * 10),
      onFailure: "deny",
    });
    const rate = perSecond((capacity * 1_000) / windowMs);
    const load = (random() * 4 * capacity) / windowMs;
    for (let ms = 0; ms < 200; ms++) {
      for (const process of processes) {
        for (let due = (load / processes.length) * random() * 2; random() < due; due--) {
          simulation.call(process, "absolute", rate, random() < 0.9 ? 1 : 1 + Math.floor(random() * capacity));
        }
      }
      if (processes.length > 1 && random() < 0.003) simulation.crash(processes.pop()!);
      await simulation.step();
    }
    const most = mostInAWindow(simulation.calls, windowMs);
    expect(most, `seed ${seed}`).toBeLessThanOrEqual(capacity);
    busiest = Math.max(busiest, most / capacity);
  }
  expect(busiest).toBe(1);
});

it("what was admitted is counted once, whatever is lost", async () => {
  for (let seed = 2_001; seed <= 2_800; seed++) {
    const random = seededRandom(-seed);
    const options = { windowMs: 10_000, bucketMs: 10 };
    const { simulation, processes } = start(seed, { delayMs: Math.floor(random() * 8), loss: 0.05 }, options);
    let made = 0;
    for (let ms = 0; ms < 200; ms++) {
      for (const process of processes) {
        if (random() > 0.3) continue;
        simulation.call(process, "absolute", perSecond(1_000));
        made++;
      }
      await simulation.step();
    }
    simulation.network = { delayMs: 1, loss: 0 };
    const clock = () => simulation.nowMs;
    const { absolute } = createRedisProvider(redis.client, {
      ...options,
      clock,
      prefix: `seed-${seed}`,
      timeoutMs: 30_000,
    });
    for (let ms = 0; ms < 300; ms++) await simulation.step();
    expect(simulation.calls, `seed ${seed}`).toHaveLength(made);
    expect((await absolute.get("key")).total, `seed ${seed}`).toBe(made);
  }
});

it("the limit is used, and suppression is smooth", async () => {
  for (const strategy of ["absolute", "suppressed"] as const) {
    const seed = 3_001;
    const random = seededRandom(-seed);
    const simulation = new Simulation(redis.client, seededRandom(seed), { delayMs: 2, loss: 0 });
    const processes = Array.from({ length: 4 }, () =>
      simulation.addProcess({ prefix: `smooth-${strategy}`, windowMs: 1_000 }),
    );
    const rate = perSecond(200);
    for (let ms = 0; ms < 8_000; ms++) {
      for (const process of processes) if (random() < 0.25) simulation.call(process, strategy, rate);
      await simulation.step();
    }
    const times = simulation.calls
      .filter(({ decision }) => decision.allowed)
      .map(({ answeredMs }) => answeredMs - 1_000_000);
    const used = times.filter((timeMs) => timeMs >= 3_000).length / 1_000;
    expect(used, strategy).toBeGreaterThan(strategy === "absolute" ? 0.97 : 0.95);
    expect(used, strategy).toBeLessThan(strategy === "absolute" ? 1.0001 : 1.05);
    if (strategy === "absolute") continue;
    const perSecondCounts = Array.from({ length: 5 }, (_, second) => {
      return times.filter((timeMs) => Math.floor(timeMs / 1_000) === second + 3).length;
    });
    const deviation = Math.sqrt(perSecondCounts.reduce((sum, count) => sum + (count - 200) ** 2, 0) / 5);
    expect(deviation / 200).toBeLessThan(1.5 / Math.sqrt(200));
  }
});
