// npm run bench:hybrid: what a decision of Hybrid takes beside one of Local, how exactly a fleet of processes holds a
// limit, and what that costs Redis. With `-- --write` the figures go into docs/benchmarks.md too.

import { Redis } from "ioredis";
import { createLocalProvider, perMinute } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { Member, type MemberOptions, mostWithin, smoothness, timesByKey } from "../test/support/fleet.ts";
import { RedisServer } from "../test/support/redis.ts";
import { Report } from "./report.ts";
import { Calls, makeKeys, median } from "./workloads.ts";

const TURNS = 15;
const RATE = perMinute(1e9);

const report = new Report();
const server = await RedisServer.start();
const client = new Redis(server.port);

/** Nanoseconds a call, of Local and of Hybrid; with leases that last, so that none of the calls asks. */
async function timesOf(
  strategy: "absolute" | "suppressed",
  keyCount: number,
): Promise<[local: number, hybrid: number]> {
  const keys = makeKeys(keyCount);
  const calls = new Calls(keys);
  const perTurn = Math.max(20_000, keyCount);
  const local = createLocalProvider()[strategy];
  const provider = createHybridProvider(client, { timeoutMs: 60_000, syncIntervalMs: 60_000 });
  const hybrid = provider[strategy];
  const weight = Math.ceil((40 * perTurn * TURNS) / keyCount);
  // A lease is twice what was called for lately: so a few keys at a time, and each of them again and again.
  for (let from = 0; from < keyCount; from += 500) {
    const some = keys.slice(from, from + 500);
    for (let round = 0; round < 3; round++) await Promise.all(some.map((key) => hybrid.inc(key, RATE, weight)));
  }
  const times: [number[], number[]] = [[], []];
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [side, limiter] of [local, hybrid].entries()) {
      let promises = 0;
      const startMs = performance.now();
      for (let i = 0; i < perTurn; i++) if (limiter.inc(calls.key(i), RATE) instanceof Promise) promises++;
      times[side]!.push(((performance.now() - startMs) * 1e6) / perTurn);
      if (promises > perTurn / 100) throw new Error(`${promises} of ${perTurn} calls asked Redis`);
    }
  }
  await provider.close();
  return [median(times[0]), median(times[1])];
}

async function speed(): Promise<void> {
  report.print("### A decision of Hybrid\n");
  report.print("Nanoseconds a call, and how many times those of Local in the same run; medians of 15 turns.\n");
  const rows = [];
  for (const strategy of ["absolute", "suppressed"] as const) {
    for (const keyCount of [1, 100_000]) {
      const [local, hybrid] = await timesOf(strategy, keyCount);
      const name = `${strategy}, ${keyCount === 1 ? "a hot key" : "100 k keys"}`;
      rows.push([name, local.toFixed(0), `${hybrid.toFixed(0)} (${(hybrid / local).toFixed(2)}×)`]);
    }
  }
  report.printTable(["", "Local", "Hybrid"], rows);
}

type Load = Pick<MemberOptions, "strategy" | "windowMs" | "ratePerSecond" | "keys"> & {
  readonly offeredPerSecond: number;
  readonly seconds: number;
};

let fleets = 0;

async function runFleet(count: number, load: Load): Promise<string[]> {
  await client.config("RESETSTAT");
  const startMs = Date.now() + 2_000;
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
  fleets++;
  await Promise.all(members.map(({ ended }) => ended));
  const keys = timesByKey(members);
  const capacity = (load.ratePerSecond * load.windowMs) / 1_000;
  const most = Math.max(...keys.map((times) => mostWithin(times, load.windowMs)));
  const busiest = keys.toSorted((a, b) => b.length - a.length)[0]!;
  const { mean, cv } = smoothness(busiest, startMs + (load.seconds * 1_000) / 2, startMs + load.seconds * 1_000);
  const sum = (field: "calls" | "promises") => members.reduce((total, { counts }) => total + counts[field], 0);
  const stats = await client.info("stats");
  const commands = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info("commandstats"))?.[1] ?? 0);
  const bytes = Number(/total_net_input_bytes:(\d+)/.exec(stats)![1]);
  return [
    (most / capacity).toFixed(3),
    load.strategy === "suppressed" ? (mean / load.ratePerSecond).toFixed(3) : "",
    load.strategy === "suppressed" ? `${cv.toFixed(3)} (${(1 / Math.sqrt(load.ratePerSecond)).toFixed(3)})` : "",
    (sum("calls") / load.seconds).toFixed(0),
    `${((100 * sum("promises")) / sum("calls")).toFixed(1)} %`,
    (commands / load.seconds).toFixed(0),
    (bytes / load.seconds / 1_024).toFixed(0),
  ];
}

async function fleet(): Promise<void> {
  report.print("### A fleet with Hybrid\n");
  report.print(
    "Processes that offer five times the limit together: the most in any window, by the processes' own clocks, as a share of\nthe capacity; for suppression, which may hold 1.5 times that at first, the admitted calls of a second in the second half\nas a share of the limit, their coefficient of variation, and that of chance alone; calls a second, those that asked Redis,\nand what Redis was sent a second.\n",
  );
  const rows = [];
  for (const strategy of ["absolute", "suppressed"] as const) {
    const load = { strategy, windowMs: 2_000, ratePerSecond: 1_000, keys: 1, offeredPerSecond: 5_000, seconds: 10 };
    for (const count of [1, 4, 8]) {
      rows.push([`${strategy}, ${count} processes`, ...(await runFleet(count, load))]);
    }
    const keys = { ...load, keys: 1_000, ratePerSecond: 50, offeredPerSecond: 4_000 };
    rows.push([`${strategy}, 4, 1000 keys of 50 a second`, ...(await runFleet(4, keys))]);
  }
  const head = ["", "most", "mean", "cv (chance)", "calls", "asked", "commands", "KiB"];
  report.printTable(head, rows);
}

try {
  await speed();
  await fleet();
  report.end("npm run bench:hybrid");
} finally {
  client.disconnect();
  await server.stop();
}
