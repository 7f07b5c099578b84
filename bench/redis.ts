// npm run bench:redis: starts a Redis server of its own and compares what limiting costs it. With `-- --write`
// the figures go into docs/benchmarks.md too.

import { Redis } from "ioredis";
import { createClient } from "redis";
import { perSecond } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { RedisServer } from "../test/support/redis.ts";
import { type Client, GCRA_SIDE, sides } from "./redis-sides.ts";
import { Report } from "./report.ts";
import { Calls, makeKeys, median } from "./workloads.ts";

/** A capacity that nobody reaches, and one that is reached at once. */
const CAPACITIES = { ample: 1e7, scarce: 60 };
const CALLS_A_TURN = 20_000;
const TURNS = 5;

const workloads = {
  "a hot key under its limit": { keys: 1, capacity: CAPACITIES.ample, most: Number.POSITIVE_INFINITY },
  "a hot key over it": { keys: 1, capacity: CAPACITIES.scarce, most: CAPACITIES.scarce * 2 },
  "50 k keys": { keys: 50_000, capacity: CAPACITIES.ample, most: Number.POSITIVE_INFINITY },
};

const report = new Report();
const server = await RedisServer.start();
const client = new Redis(server.port, { enableAutoPipelining: true });

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

/** What the server spent on a script since its statistics were last reset, in microseconds a call. */
async function serverTime(): Promise<number> {
  const stats = await client.info("commandstats");
  let calls = 0;
  let usec = 0;
  for (const [, callText, usecText] of stats.matchAll(/cmdstat_(?:evalsha|eval):calls=(\d+),usec=(\d+)/g)) {
    calls += Number(callText);
    usec += Number(usecText);
  }
  return usec / calls;
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
  report.print("Microseconds that a call takes in Redis, and how many times those of GCRA; medians of five turns.\n");
  const columns: number[][] = [];
  for (const { keys, capacity, most } of Object.values(workloads)) {
    const calls = new Calls(makeKeys(keys));
    const times = Object.keys(sides).map((): number[] => []);
    for (let turn = 0; turn < TURNS; turn++) {
      for (const [index, side] of Object.values(sides).entries()) {
        await client.flushall();
        const call = side(client, capacity);
        await callMany((i) => call(calls.key(i)), keys === 1 ? 1_000 : CALLS_A_TURN, 100);
        await client.config("RESETSTAT");
        const admitted = await callMany((i) => call(calls.key(i)), CALLS_A_TURN, 100);
        times[index]!.push(await serverTime());
        if (admitted !== CALLS_A_TURN && (most > CALLS_A_TURN || admitted > most))
          throw new Error(`${admitted} admitted`);
      }
    }
    columns.push(times.map(median));
  }
  printBesideGcra(Object.keys(workloads), columns, 1);
}

async function memory(): Promise<void> {
  report.print("### Memory in Redis\n");
  report.print("Bytes and Redis keys for a limited key of one bucket, names and all, at 50 k keys.\n");
  const keys = makeKeys(50_000);
  const usedMemory = async () => Number(/used_memory:(\d+)/.exec(await client.info("memory"))![1]);
  const rows = [];
  for (const [name, side] of Object.entries(sides)) {
    await client.flushall();
    const call = side(client, CAPACITIES.scarce);
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
      "one goes with each; and in turns give-backs, which take the newest bucket away, and calls that begin it again.\n",
  );
  const bucketCounts = [1, 100, 6_000, 86_400];
  const rows = [];
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
      row.push((await serverTime()).toFixed(1));
      await client.config("RESETSTAT");
      const giveBack = async () => {
        const given = limiter.adjust("key", -1);
        const { allowed } = await limiter.inc("key", perSecond(1e6));
        await given;
        return allowed;
      };
      // In turns, so that each give-back takes the whole of the newest bucket.
      await callMany(giveBack, CALLS_A_TURN / 2, 1);
      givenBack.push((await serverTime()).toFixed(1));
    }
    rows.push(row, givenBack);
  }
  report.printTable(["", ...bucketCounts.map(String)], rows);
}

async function throughput(): Promise<void> {
  report.print("### Throughput with Redis\n");
  report.print(
    "Thousand calls a second from one process to one hot key under its limit, by how many are in flight, and how many\n" +
      "times those of GCRA with the same client; medians of five turns.\n",
  );
  const plain = new Redis(server.port);
  const nodeRedis = createClient({ socket: { port: server.port }, commandOptions: { timeout: 0 } });
  await nodeRedis.connect();
  const clients: Record<string, Client> = {
    ioredis: plain,
    "ioredis, auto-pipelining": client,
    "node-redis": nodeRedis as unknown as Client,
  };
  const inFlights = [1, 50, 500];
  for (const [name, each] of Object.entries(clients)) {
    await client.flushall();
    const calls = Object.values(sides).map((side) => side(each, CAPACITIES.ample));
    const columns: number[][] = [];
    for (const inFlight of inFlights) columns.push(await throughputsOf(calls, inFlight));
    const head = inFlights.map((count) => `${count} in flight`);
    report.print(`With ${name}:\n`);
    printBesideGcra(head, columns, 0);
  }
  plain.disconnect();
  nodeRedis.destroy();
}

/** Thousand calls a second, the sides taking turns. */
async function throughputsOf(
  calls: readonly ((key: string) => Promise<boolean>)[],
  inFlight: number,
): Promise<number[]> {
  const count = inFlight === 1 ? 3_000 : CALLS_A_TURN;
  const figures = calls.map((): number[] => []);
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const [index, call] of calls.entries()) {
      const startMs = performance.now();
      const admitted = await callMany(() => call("key"), count, inFlight);
      if (admitted !== count) throw new Error(`${admitted} of ${count} admitted`);
      // The first turn is for the compiler.
      if (turn > 0) figures[index]!.push(count / (performance.now() - startMs));
    }
  }
  return figures.map(median);
}

try {
  const [, version] = /redis_version:(\S+)/.exec(await client.info("server"))!;
  report.print(`Redis ${version}.\n`);
  await serverTimes();
  await memory();
  await flatness();
  await throughput();
  report.end("npm run bench:redis");
} finally {
  client.disconnect();
  await server.stop();
}
