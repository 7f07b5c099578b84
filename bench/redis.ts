// npm run bench:redis: starts a Redis server of its own and compares what limiting costs it. With `-- --write`
// the figures go into docs/benchmarks.md too.

import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { createLimits, perHour, perSecond } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { RedisServer } from "../test/support/redis.ts";
import { type Client, GCRA_SIDE, sides, WINDOW_MS } from "./redis-sides.ts";
import { Report } from "./report.ts";
import { Calls, makeKeys, median } from "./workloads.ts";

/** Capacities that nobody reaches, in an hour and in a second, and one that is reached at once. */
const CAPACITIES = { ample: 1e7, ampleInSecond: 1e4, scarce: 60 };
const CALLS_A_TURN = 20_000;
const TURNS = 5;
const MANY_IN_FLIGHT = 500;

const workloads = {
  "a hot key under its limit": { keys: 1, capacity: CAPACITIES.ample, most: Number.POSITIVE_INFINITY },
  "a hot key over it": { keys: 1, capacity: CAPACITIES.scarce, most: CAPACITIES.scarce * 2 },
  "50 k keys": { keys: 50_000, capacity: CAPACITIES.ample, most: Number.POSITIVE_INFINITY },
};

const report = new Report();
const server = await RedisServer.start();
const client = new Redis(server.port);

/** Makes `count` calls with up to `inFlight` of them at once; returns how many were admitted. */
async function callMany(call: (index: number) => Promise<boolean>, count: number, inFlight: number): Promise<number> {
  let next = 0;
  let admitted = 0;
  const callAndCall = async () => {
    while (next < count) if (await call(next++)) admitted++;
  };
  await Promise.all(Array.from({ length: inFlight }, callAndCall));
  return admitted;
}

/** What the server spent on scripts since its statistics were last reset: how many there were, and microseconds. */
async function scriptTime(): Promise<{ scripts: number; usec: number }> {
  const stats = await client.info("commandstats");
  let scripts = 0;
  let usec = 0;
  for (const [, countText, usecText] of stats.matchAll(/cmdstat_(?:evalsha|eval):calls=(\d+),usec=(\d+)/g)) {
    scripts += Number(countText);
    usec += Number(usecText);
  }
  return { scripts, usec };
}

/** A table with a row for each side, and in each cell how many times that of GCRA it is. */
function printBesideGcra(head: readonly string[], columns: readonly (readonly number[])[], digits: number): void {
  const gcra = Object.keys(sides).indexOf(GCRA_SIDE);
  const rows = Object.keys(sides).map((name, index) => {
    const cells = columns.map((column) => {
      const [value, ofGcra] = [column[index]!, column[gcra]!];
      return `${value.toFixed(digits)} (${(value / ofGcra).toFixed(2)}×)`;
    });
    return [name, ...cells];
  });
  report.printTable(["", ...head], rows);
}

async function serverTimes(): Promise<void> {
  report.print("### Server time\n");
  report.print(
    "Microseconds that a call takes in Redis with 500 in flight, and how many times those of GCRA; medians of five turns.\n",
  );
  const columns: number[][] = [];
  for (const { keys, capacity, most } of Object.values(workloads)) {
    const calls = new Calls(makeKeys(keys));
    const times = Object.keys(sides).map((): number[] => []);
    for (let turn = 0; turn < TURNS; turn++) {
      for (const [index, side] of Object.values(sides).entries()) {
        await client.flushall();
        const call = side(client, capacity, WINDOW_MS);
        await callMany((i) => call(calls.key(i)), keys === 1 ? 1_000 : CALLS_A_TURN, MANY_IN_FLIGHT);
        await client.config("RESETSTAT");
        const admitted = await callMany((i) => call(calls.key(i)), CALLS_A_TURN, MANY_IN_FLIGHT);
        times[index]!.push((await scriptTime()).usec / CALLS_A_TURN);
        if (admitted !== CALLS_A_TURN && (most > CALLS_A_TURN || admitted > most))
          throw new Error(`${admitted} admitted`);
      }
    }
    columns.push(times.map(median));
  }
  columns.push(await timesWhereBucketsExpire());
  printBesideGcra([...Object.keys(workloads), "5 k keys, buckets that expire"], columns, 1);
}

/** The same where each call to a key begins a bucket, and has one expire: ten calls to each key in each window. */
async function timesWhereBucketsExpire(): Promise<number[]> {
  const [windowMs, bucketMs, rounds] = [1_000, 100, 4];
  const keys = makeKeys(CALLS_A_TURN / rounds);
  const times = Object.keys(sides).map((): number[] => []);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [index, side] of Object.values(sides).entries()) {
      await client.flushall();
      const call = side(client, CAPACITIES.ampleInSecond, windowMs);
      for (let round = -windowMs / bucketMs; round < rounds; round++) {
        if (round === 0) await client.config("RESETSTAT");
        const endsMs = performance.now() + bucketMs;
        const admitted = await callMany((i) => call(keys[i]!), keys.length, MANY_IN_FLIGHT);
        if (admitted !== keys.length) throw new Error(`${admitted} of ${keys.length} admitted`);
        await sleep(endsMs - performance.now());
      }
      times[index]!.push((await scriptTime()).usec / CALLS_A_TURN);
    }
  }
  return times.map(median);
}

/** What it costs to check three limits as one. */
async function takes(): Promise<void> {
  report.print("### Several limits\n");
  report.print(
    "Microseconds of server time: of a call, of a take of one limit and of one of three, and how many times the call's\n" +
      "that is; medians of five turns.\n",
  );
  const provider = createRedisProvider(client, { windowMs: WINDOW_MS, timeoutMs: 60_000 });
  const limit = CAPACITIES.ample;
  const one = createLimits(provider, { hour: { limit, windowMs: WINDOW_MS } });
  const three = createLimits(provider, {
    minute: { limit, windowMs: 60_000 },
    hour: { limit, windowMs: WINDOW_MS },
    day: { limit, windowMs: 24 * WINDOW_MS, bucketMs: 60_000 },
  });
  const ways: Record<string, (key: string) => Promise<{ allowed: boolean }>> = {
    "a call": (key) => provider.absolute.inc(key, perHour(limit)),
    "a take of one": (key) => one.take(key),
    "a take of three": (key) => three.take(key),
  };
  const rows = [];
  for (const keyCount of [1, 50_000]) {
    for (const inFlight of [1, 50, MANY_IN_FLIGHT]) {
      const calls = new Calls(makeKeys(keyCount));
      const count = inFlight === 1 ? 3_000 : CALLS_A_TURN;
      const times = Object.keys(ways).map((): number[] => []);
      for (let turn = 0; turn <= TURNS; turn++) {
        for (const [index, way] of Object.values(ways).entries()) {
          await client.config("RESETSTAT");
          const admitted = await callMany(async (i) => (await way(calls.key(i))).allowed, count, inFlight);
          if (admitted !== count) throw new Error(`${admitted} of ${count} admitted`);
          // In the first turn the keys are made.
          if (turn > 0) times[index]!.push((await scriptTime()).usec / count);
        }
      }
      const ratio = (turns: readonly number[]) => median(turns.map((usec, turn) => usec / times[0]![turn]!));
      const cells = times.map((turns) => `${median(turns).toFixed(1)} (${ratio(turns).toFixed(2)}×)`);
      rows.push([`${keyCount === 1 ? "a hot key" : "50 k keys"}, ${inFlight} in flight`, ...cells]);
    }
  }
  report.printTable(["", ...Object.keys(ways)], rows);
}

async function memory(): Promise<void> {
  report.print("### Memory in Redis\n");
  report.print("Bytes and Redis keys for a limited key of one bucket, names and all, at 50 k keys.\n");
  const keys = makeKeys(50_000);
  const usedMemory = async () => Number(/used_memory:(\d+)/.exec(await client.info("memory"))![1]);
  const rows = [];
  for (const [name, side] of Object.entries(sides)) {
    await client.flushall();
    const call = side(client, CAPACITIES.scarce, WINDOW_MS);
    await call("first");
    const before = await usedMemory();
    await callMany((i) => call(keys[i]!), keys.length, 100);
    const bytes = ((await usedMemory()) - before) / keys.length;
    rows.push([name, bytes.toFixed(0), ((await client.dbsize()) / keys.length).toFixed(1)]);
  }
  report.printTable(["", "bytes", "Redis keys"], rows);
}

async function flatness(): Promise<void> {
  report.print("### Many buckets in Redis\n");
  report.print(
    "Microseconds of server time of a script, by how many live buckets its key has: calls, where one bucket comes and\n" +
      "one goes with each; in turns give-backs, which take the newest bucket away, and calls that begin it again; and\n" +
      "denied calls of half of the capacity.\n",
  );
  const bucketCounts = [1, 100, 6_000, 86_400];
  const rows = [];
  const heavy: string[] = ["trypema, absolute, half of the capacity denied"];
  for (const strategy of ["absolute", "suppressed"] as const) {
    const row: string[] = [`trypema, ${strategy}`];
    const givenBack: string[] = [`trypema, ${strategy}, given back and called again`];
    for (const buckets of bucketCounts) {
      await client.flushall();
      let nowMs = 1e9;
      const options = { windowMs: buckets * 10, bucketMs: 10, timeoutMs: 60_000, clock: () => nowMs };
      const limiter = createRedisProvider(client, options)[strategy];
      const call = async () => {
        nowMs += 10;
        return (await limiter.inc("key", perSecond(1e6))).allowed;
      };
      await callMany(call, buckets, 100);
      await client.config("RESETSTAT");
      await callMany(call, CALLS_A_TURN, 100);
      row.push(((await scriptTime()).usec / CALLS_A_TURN).toFixed(1));
      await client.config("RESETSTAT");
      const giveBack = async () => {
        const given = limiter.adjust("key", -1);
        const { allowed } = await limiter.inc("key", perSecond(1e6));
        await given;
        return allowed;
      };
      // In turns, so that each give-back takes the whole of the newest bucket.
      await callMany(giveBack, CALLS_A_TURN / 2, 1);
      const { scripts, usec } = await scriptTime();
      givenBack.push((usec / scripts).toFixed(1));
      if (strategy === "suppressed") continue;
      const exact = perSecond(100);
      await client.config("RESETSTAT");
      const callHeavily = async () => (await limiter.inc("key", exact, Math.ceil(buckets / 2))).allowed;
      const admitted = await callMany(callHeavily, CALLS_A_TURN, 100);
      if (admitted > 0) throw new Error(`${admitted} heavy calls admitted`);
      heavy.push(((await scriptTime()).usec / CALLS_A_TURN).toFixed(1));
    }
    rows.push(row, givenBack);
  }
  rows.push(heavy);
  report.printTable(["", ...bucketCounts.map(String)], rows);
}

/** The columns of the table of throughput. */
const loads = [
  { name: "1 in flight", ...workloads["a hot key under its limit"], inFlight: 1 },
  { name: "50", ...workloads["a hot key under its limit"], inFlight: 50 },
  { name: "500", ...workloads["a hot key under its limit"], inFlight: MANY_IN_FLIGHT },
  { name: "500, over the limit", ...workloads["a hot key over it"], inFlight: MANY_IN_FLIGHT },
  { name: "500, 50 k keys", ...workloads["50 k keys"], inFlight: MANY_IN_FLIGHT },
];

async function openClients(): Promise<Readonly<Record<string, Client>>> {
  const nodeRedis = createClient({ socket: { port: server.port }, commandOptions: { timeout: 0 } });
  await nodeRedis.connect();
  return { ioredis: new Redis(server.port), "node-redis": nodeRedis as unknown as Client };
}

function closeClients(clients: Readonly<Record<string, Client>>): void {
  for (const each of Object.values(clients)) each.disconnect();
}

async function throughput(): Promise<void> {
  report.print("### Throughput with Redis\n");
  report.print(
    "Thousand calls a second from one process, by how many are in flight: to a hot key under its limit, over it, and to\n" +
      "50 k keys; and how many times those of GCRA with the same client. Medians of five turns.\n",
  );
  const clients = await openClients();
  for (const [name, each] of Object.entries(clients)) {
    const columns: number[][] = [];
    for (const load of loads) columns.push(await throughputsOf(each, load));
    report.print(`With ${name}:\n`);
    printBesideGcra(
      loads.map((load) => load.name),
      columns,
      0,
    );
  }
  closeClients(clients);
}

/** Thousand calls a second, the sides taking turns. */
async function throughputsOf(each: Client, { keys, capacity, inFlight }: (typeof loads)[number]): Promise<number[]> {
  await client.flushall();
  const calls = new Calls(makeKeys(keys));
  const players = Object.values(sides).map((side) => side(each, capacity, WINDOW_MS));
  const count = inFlight === 1 ? 3_000 : CALLS_A_TURN;
  const figures = players.map((): number[] => []);
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const [index, call] of players.entries()) {
      const startMs = performance.now();
      const admitted = await callMany((i) => call(calls.key(i)), count, inFlight);
      const ms = performance.now() - startMs;
      if (capacity === CAPACITIES.ample && admitted !== count) throw new Error(`${admitted} of ${count} admitted`);
      // The first turn is for the compiler, and in it the keys are made.
      if (turn > 0) figures[index]!.push(count / ms);
    }
  }
  return figures.map(median);
}

/** How long the scripts of full batches hold Redis, and how many calls they have. */
async function longestScripts(): Promise<void> {
  report.print("### How long a batch holds Redis\n");
  report.print(
    "Microseconds of a script, on the average, by how many calls it may have at most; all to different keys.\n",
  );
  const sizes = [10, 20, 40, 80, 160];
  const keys = makeKeys(50_000);
  const rows = [];
  for (const strategy of ["absolute", "suppressed"] as const) {
    for (const [load, capacity] of [
      ["under the limit", CAPACITIES.ample],
      ["over it", 1],
    ] as const) {
      const row = [`${strategy}, ${load}`];
      for (const maxCalls of sizes) {
        const options = { windowMs: WINDOW_MS, timeoutMs: 60_000, batch: { maxCalls } };
        const limiter = createRedisProvider(client, options)[strategy];
        const call = (key: string) => limiter.inc(key, perHour(capacity));
        await client.flushall();
        for (const key of keys) await Promise.all([call(key)]);
        await client.config("RESETSTAT");
        for (let from = 0; from < keys.length; from += 1_024)
          await Promise.all(keys.slice(from, from + 1_024).map(call));
        const { scripts, usec } = await scriptTime();
        row.push((usec / scripts).toFixed(0));
      }
      rows.push(row);
    }
  }
  report.printTable(["", ...sizes.map((size) => `${size} calls`)], rows);
}

/** How long calls wait that come at a steady rate, whatever became of those before. */
async function latency(): Promise<void> {
  const perMs = 2;
  report.print("### Latency with Redis\n");
  report.print(
    `Microseconds that a call waits, at a steady ${perMs * 1_000} calls a second to 1000 keys; medians of five turns.\n`,
  );
  const clients = await openClients();
  const calls = new Calls(makeKeys(1_000));
  const rate = perHour(CAPACITIES.ample);
  const rows = [];
  for (const [name, each] of Object.entries(clients)) {
    await client.flushall();
    const ways = { "batches as they come": {}, "each call alone": { batch: false as const } };
    const providers = Object.entries(ways).map(([way, batch]) => ({
      way,
      provider: createRedisProvider(each, { windowMs: WINDOW_MS, timeoutMs: 60_000, prefix: way, ...batch }),
      figures: [[], [], []] as number[][],
    }));
    for (let turn = 0; turn <= TURNS; turn++) {
      for (const { provider, figures } of providers) {
        const waits = await steadyWaits((i) => provider.absolute.inc(calls.key(i), rate), 2_000, perMs);
        const quantiles = [0.5, 0.99, 0.999].map((share) => waits[Math.floor(share * waits.length)]!);
        if (turn > 0) for (const [index, value] of quantiles.entries()) figures[index]!.push(value);
      }
    }
    for (const { way, figures } of providers) {
      rows.push([`${name}, ${way}`, ...figures.map((values) => (median(values) * 1_000).toFixed(0))]);
    }
  }
  report.printTable(["", "median", "99 %", "99.9 %"], rows);
  closeClients(clients);
}

/** The waits of calls that are made at their times, in order of length, in ms. */
async function steadyWaits(call: (index: number) => Promise<unknown>, count: number, perMs: number): Promise<number[]> {
  const waits: Promise<number>[] = [];
  const startMs = performance.now();
  while (waits.length < count) {
    while (waits.length < count && waits.length < (performance.now() - startMs) * perMs) {
      const beganMs = performance.now();
      waits.push(call(waits.length).then(() => performance.now() - beganMs));
    }
    await sleep(1);
  }
  return (await Promise.all(waits)).toSorted((a, b) => a - b);
}

try {
  const [, version] = /redis_version:(\S+)/.exec(await client.info("server"))!;
  report.print(`Redis ${version}.\n`);
  await serverTimes();
  await takes();
  await memory();
  await flatness();
  await throughput();
  await longestScripts();
  await latency();
  report.end("npm run bench:redis");
} finally {
  client.disconnect();
  await server.stop();
}
