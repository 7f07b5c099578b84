// npm run bench:hybrid: what a decision of Hybrid takes beside one of Local, how exactly a fleet of processes holds a
// limit, and what that costs Redis. With `-- --write` the figures go into docs/benchmarks.md too.

import { setImmediate } from "node:timers/promises";
import { Redis } from "ioredis";
import { createLocalProvider, perMinute } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { startFarServer } from "../test/support/far-server.ts";
import { groupByKey, type Load, mostWithin, smoothness, timesByKey } from "../test/support/fleet.ts";
import { RedisServer } from "../test/support/redis.ts";
import { type Outcome, runFleet, runLocal } from "./hybrid-fleet.ts";
import { processes, Report } from "./report.ts";
import { Calls, makeKeys, median } from "./workloads.ts";

const TURNS = 15;
/** No lease, no bucket and no round ends within a case, on a slow machine either: so none of its calls asks Redis. */
const NEVER_MS = 3_600_000;
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
  const local = createLocalProvider({ windowMs: NEVER_MS })[strategy];
  const provider = createHybridProvider(client, { windowMs: NEVER_MS, timeoutMs: NEVER_MS, syncIntervalMs: NEVER_MS });
  const hybrid = provider[strategy];
  const weight = Math.ceil((40 * perTurn * TURNS) / keyCount);
  // A lease is twice what was called for lately: so a few keys at a time, and each of them again and again.
  for (let from = 0; from < keyCount; from += 500) {
    const some = keys.slice(from, from + 500);
    for (let round = 0; round < 3; round++) await Promise.all(some.map((key) => hybrid.inc(key, RATE, weight)));
  }
  // What the case before has left isn't to be cleared up in this one.
  globalThis.gc!();
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

const HEAVY: Load = {
  strategy: "absolute",
  windowMs: 2_000,
  ratePerSecond: 1_000,
  offeredPerSecond: 5_000,
  keys: 1,
  skew: 1,
  seconds: 12,
};
const SKEWED: Partial<Load> = { ratePerSecond: 5, offeredPerSecond: 10_000, keys: 1_000, skew: 3 };

/** How many calls were admitted once the first windows were over. */
function admittedIn({ startMs, admitted }: Outcome, fromSecond: number): number {
  return admitted.filter(({ answeredMs }) => answeredMs >= startMs + fromSecond * 1_000).length;
}

async function absolute(): Promise<void> {
  report.print("### A fleet with Hybrid, absolute\n");
  report.print(
    "The most in any window as a share of the capacity, what was admitted after the first window as a share",
  );
  report.print("of what one Local provider admits of such calls, and how many of the calls asked Redis.\n");
  const rows = [];
  const loads = [
    ...[1, 2, 4, 8].map((count) => [count, "one key of 1000/s, five times the limit", HEAVY] as const),
    [4, "1000 skewed keys of 5/s", { ...HEAVY, ...SKEWED }] as const,
    [8, "1000 skewed keys of 5/s", { ...HEAVY, ...SKEWED }] as const,
  ];
  for (const [count, name, load] of loads) {
    const outcome = await runFleet(server, count, load);
    const capacity = (load.ratePerSecond * load.windowMs) / 1_000;
    const most = Math.max(...groupByKey(outcome.admitted).map((ofKey) => mostWithin(ofKey, load.windowMs)));
    rows.push([
      `${processes(count)}, ${name}`,
      (most / capacity).toFixed(3),
      (admittedIn(outcome, 2) / admittedIn(runLocal(load), 2)).toFixed(3),
      percent(outcome.asked / outcome.calls),
    ]);
  }
  report.printTable(["", "most", "admitted, of Local's", "asked"], rows);
}

async function suppressed(): Promise<void> {
  report.print("### A fleet with Hybrid, suppressed\n");
  report.print(
    "At five times the limit, in the second half of the run: the admitted calls of a second as a share of the limit,",
  );
  report.print("the same of one Local provider, and their coefficient of variation beside that of chance alone.\n");
  const rows = [];
  const load: Load = { ...HEAVY, strategy: "suppressed", seconds: 22 };
  const slow: Load = { ...load, windowMs: 30_000, offeredPerSecond: 500, seconds: 150 };
  const loads = [
    ...[1, 2, 4, 8].map((count) => [count, "one key of 1000/s", load] as const),
    [4, "10 keys of 10/s", { ...slow, keys: 10, ratePerSecond: 10 }] as const,
    [4, "100 keys of 1/s", { ...slow, keys: 100, ratePerSecond: 1 }] as const,
  ];
  for (const [count, name, given] of loads) {
    const outcome = await runFleet(server, count, given);
    const { ratePerSecond, seconds } = given;
    const settled = ({ admitted, startMs }: Outcome) =>
      smoothness(timesByKey(admitted), startMs + seconds * 500, startMs + seconds * 1_000);
    const { mean, cv } = settled(outcome);
    rows.push([
      `${processes(count)}, ${name}`,
      (mean / ratePerSecond).toFixed(3),
      (settled(runLocal(given)).mean / ratePerSecond).toFixed(3),
      `${cv.toFixed(3)} (${(1 / Math.sqrt(ratePerSecond)).toFixed(3)})`,
      percent(outcome.asked / outcome.calls),
    ]);
  }
  report.printTable(["", "mean", "Local's mean", "cv (chance)", "asked"], rows);
}

/** Buckets that are a small part of the window, because what Local admits depends on them too. */
const NEAR_AND_FAR = [10_000, 2_000, 100].flatMap((windowMs) =>
  [0, 20, 150].map((eachWayMs) => ({ windowMs, bucketMs: Math.min(100, windowMs / 10), eachWayMs })),
);
const FAR_CAPACITY = 200;

async function far(): Promise<void> {
  report.print("### A fleet with Hybrid, and Redis far away\n");
  report.print(
    "Four processes that offer five times the limit to one key with a capacity of 200, through a proxy that delays by",
  );
  report.print("chance. Of suppressed, whose hard limit is 1.5, only the most in any window.\n");
  const rows = [];
  for (const { windowMs, bucketMs, eachWayMs } of NEAR_AND_FAR) {
    const ratePerSecond = (FAR_CAPACITY * 1_000) / windowMs;
    const seconds = Math.max(4, (12 * windowMs) / 1_000 / (windowMs > 2_000 ? 3 : 1));
    const offered = { ratePerSecond, offeredPerSecond: 5 * ratePerSecond, keys: 1, skew: 1, seconds };
    const load: Load = { strategy: "absolute", windowMs, bucketMs, calmMs: windowMs, ...offered };
    const run = async (given: Load) => {
      const proxy = await startFarServer(server.port, eachWayMs);
      const outcome = await runFleet(server, 4, given, proxy.port);
      proxy.close();
      return outcome;
    };
    const outcome = await run(load);
    const shedding = await run({ ...load, strategy: "suppressed" });
    const from = (2 * windowMs) / 1_000;
    const most = ({ admitted }: Outcome) => (mostWithin(admitted, windowMs) / FAR_CAPACITY).toFixed(3);
    rows.push([
      `${windowMs / 1_000} s, 0 to ${eachWayMs} ms each way`,
      most(outcome),
      (admittedIn(outcome, from) / admittedIn(runLocal(load), from)).toFixed(3),
      (outcome.commands / seconds).toFixed(0),
      most(shedding),
    ]);
  }
  report.printTable(["", "most", "admitted, of Local's", "commands a second", "most of suppressed"], rows);
}

async function quiet(): Promise<void> {
  report.print("### What Redis hears of Hybrid\n");
  report.print("Four processes, absolute; all figures are of a second.\n");
  const rows = [];
  const load: Load = { ...HEAVY, windowMs: 60_000, ratePerSecond: 100_000, seconds: 6 };
  const loads: [string, Load][] = [];
  for (const keys of [10, 1_000]) {
    for (const offeredPerSecond of [1_000, 4_000, 16_000]) {
      loads.push([`${keys} keys below their limit`, { ...load, keys, offeredPerSecond }]);
    }
  }
  loads.push(["10 keys far over it", { ...load, keys: 10, ratePerSecond: 1, offeredPerSecond: 16_000 }]);
  for (const [name, given] of loads) {
    const { calls, asked, commands, bytesIn, bytesOut } = await runFleet(server, 4, given);
    const perSecond = (count: number) => (count / given.seconds).toFixed(0);
    const kib = (bytes: number) => (bytes / given.seconds / 1_024).toFixed(0);
    rows.push([name, perSecond(calls), percent(asked / calls), perSecond(commands), kib(bytesIn), kib(bytesOut)]);
  }
  report.printTable(["", "calls", "asked", "commands", "KiB in", "KiB out"], rows);
}

const FAILING_CALLS = 100_000;

/** What of the event loop is taken by calls that wait for a Redis which hangs, and then fail all at once. */
async function hanging(): Promise<void> {
  report.print("### Calls with Hybrid that fail while Redis hangs\n");
  report.print(
    `${FAILING_CALLS / 1_000} k calls that wait for the same answer until their deadline: how long the event loop was held at most`,
  );
  report.print("when the first of them had failed, and how long it took until all had their decisions.\n");
  const rows = [];
  for (const onFailure of ["local", "throw"] as const) {
    const never = { sendCommand: () => new Promise<never>(() => {}) };
    const provider = createHybridProvider(never, { timeoutMs: 5_000, onFailure, onEvent: () => {} });
    let decided = 0;
    const note = () => {
      decided++;
    };
    for (let i = 0; i < FAILING_CALLS; i++) Promise.resolve(provider.absolute.inc("key", RATE)).then(note, note);
    while (decided === 0) await setImmediate();
    const beganMs = performance.now();
    let longestMs = 0;
    for (let lastMs = beganMs; decided < FAILING_CALLS; ) {
      await setImmediate();
      const nowMs = performance.now();
      longestMs = Math.max(longestMs, nowMs - lastMs);
      lastMs = nowMs;
    }
    rows.push([
      `\`onFailure: "${onFailure}"\``,
      `${longestMs.toFixed(1)} ms`,
      `${(performance.now() - beganMs).toFixed(0)} ms`,
    ]);
  }
  report.printTable(["", "held at most", "all decided after"], rows);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

try {
  await speed();
  await absolute();
  await suppressed();
  await far();
  await quiet();
  await hanging();
  report.end("npm run bench:hybrid");
} finally {
  client.disconnect();
  await server.stop();
}
