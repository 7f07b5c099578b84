// What a fleet of processes with hybrid providers does under a load, and what Local does under the same one.

import { Redis } from "ioredis";
import { createLocalProvider, perSecond } from "trypema";
import { manualClock } from "trypema/testing";
import { type Admission, admittedBy, type Load, nextCallMs, nextKey, startFleet } from "../test/support/fleet.ts";
import type { RedisServer } from "../test/support/redis.ts";

export interface Outcome {
  /** When it began, in ms. */
  readonly startMs: number;
  readonly admitted: readonly Admission[];
}

export interface FleetOutcome extends Outcome {
  readonly calls: number;
  /** Those that took asking Redis. */
  readonly asked: number;
  /** What Redis ran, read and wrote. */
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** @param port where the processes find Redis: something may stand in between */
export async function runFleet(
  server: RedisServer,
  count: number,
  load: Load,
  port = server.port,
): Promise<FleetOutcome> {
  const client = new Redis(server.port);
  await client.config("RESETSTAT");
  const { members, startMs } = await startFleet(port, count, load);
  await Promise.all(members.map(({ ended }) => ended));
  const info = await client.info("everything");
  client.disconnect();
  const sum = (field: "calls" | "promises") => members.reduce((total, { counts }) => total + counts[field], 0);
  const figure = (pattern: RegExp) => Number(pattern.exec(info)?.[1] ?? 0);
  return {
    startMs,
    admitted: admittedBy(members),
    calls: sum("calls"),
    asked: sum("promises"),
    commands: figure(/cmdstat_evalsha:calls=(\d+)/),
    bytesIn: figure(/total_net_input_bytes:(\d+)/),
    bytesOut: figure(/total_net_output_bytes:(\d+)/),
  };
}

/** In no time. */
export function runLocal(load: Load): Outcome {
  const clock = manualClock();
  const { strategy, windowMs, bucketMs = Math.min(100, windowMs), seconds } = load;
  const limiter = createLocalProvider({ windowMs, bucketMs, clock, cleanup: false })[strategy];
  const rate = perSecond(load.ratePerSecond);
  const admitted: Admission[] = [];
  const startMs = clock();
  for (let timeMs = startMs; timeMs < startMs + seconds * 1_000; timeMs = nextCallMs(load, timeMs, startMs)) {
    clock.advance(timeMs - clock());
    const key = nextKey(load);
    if (limiter.inc(key, rate).allowed) admitted.push({ madeMs: timeMs, answeredMs: timeMs, key });
  }
  return { startMs, admitted };
}
