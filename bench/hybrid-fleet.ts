// What a fleet of processes with hybrid providers does under a load, and what Local does under the same one.

import { Redis } from "ioredis";
import { createLocalProvider, perSecond } from "trypema";
import { manualClock } from "trypema/testing";
import { type Admission, groupByKey, type Load, Member, nextCallMs, nextKey } from "../test/support/fleet.ts";
import type { RedisServer } from "../test/support/redis.ts";

const LEAD_MS = 2_000;

export interface Outcome {
  /** When it began, in ms. */
  readonly startMs: number;
  /** By key. */
  readonly admitted: readonly (readonly Admission[])[];
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

let fleets = 0;

export async function runFleet(server: RedisServer, count: number, load: Load): Promise<FleetOutcome> {
  const client = new Redis(server.port);
  await client.config("RESETSTAT");
  const startMs = Date.now() + LEAD_MS;
  fleets++;
  const members = Array.from(
    { length: count },
    (_, i) =>
      new Member({
        ...load,
        port: server.port,
        prefix: `fleet-${fleets}`,
        client: i % 2 === 0 ? "ioredis" : "node-redis",
        offeredPerSecond: load.offeredPerSecond / count,
        startMs,
      }),
  );
  await Promise.all(members.map(({ ended }) => ended));
  const info = await client.info("everything");
  client.disconnect();
  const sum = (field: "calls" | "promises") => members.reduce((total, { counts }) => total + counts[field], 0);
  const figure = (pattern: RegExp) => Number(pattern.exec(info)?.[1] ?? 0);
  return {
    startMs,
    admitted: groupByKey(members.flatMap((member) => member.admitted)),
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
  const { strategy, windowMs, seconds } = load;
  const limiter = createLocalProvider({ windowMs, clock, cleanup: false })[strategy];
  const rate = perSecond(load.ratePerSecond);
  const admitted: Admission[] = [];
  const startMs = clock();
  for (let timeMs = startMs; timeMs < startMs + seconds * 1_000; timeMs = nextCallMs(load, timeMs)) {
    clock.advance(timeMs - clock());
    const key = nextKey(load);
    if (limiter.inc(key, rate).allowed) admitted.push({ madeMs: timeMs, answeredMs: timeMs, key });
  }
  return { startMs, admitted: groupByKey(admitted) };
}
