// npm run bench:scaling: what a fleet of processes costs Redis. Takes the constants of the formula from one small
// run, says by them what a larger one will cost, runs that one, and puts both beside each other. With `-- --write`
// the figures go into docs/scaling.md too.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { perSecond } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { RedisServer } from "../test/support/redis.ts";
import { Report } from "./report.ts";

interface Fleet {
  readonly processes: number;
  /** Of each process. */
  readonly callsPerSecond: number;
  readonly keys: number;
}

const SMALL: Fleet = { processes: 1, callsPerSecond: 2_000, keys: 1_000 };
const LARGE: Fleet = { processes: 4, callsPerSecond: 1_500, keys: 5_000 };
const SECONDS = 4;
const TURNS = 5;
const OPTIONS = { windowMs: 60_000, bucketMs: 100, timeoutMs: 10_000 };
const RATE = perSecond(1_000_000);
const TURN_MS = 10;
/** Keys, and buckets of each, by which memory is measured. */
const SAMPLE = { keys: 1_000, buckets: [1, 10, 50] } as const;

interface Cost {
  readonly calls: number;
  readonly scriptMicros: number;
  readonly cpuMicros: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** At its end. */
  readonly memory: number;
  readonly redisKeys: number;
}

if (process.argv[2] === "worker") await work(Number(process.argv[3]), JSON.parse(process.argv[4]!));
else await compare();

/** One process of a fleet: its share of calls every few milliseconds, whatever has been answered. */
async function work(port: number, { callsPerSecond, keys }: Fleet): Promise<void> {
  const client = new Redis(port);
  const { absolute } = createRedisProvider(client, OPTIONS);
  await client.ping();
  const startMs = performance.now();
  const pending: Promise<unknown>[] = [];
  for (let made = 0; made < callsPerSecond * SECONDS; ) {
    const due = Math.min(
      callsPerSecond * SECONDS,
      Math.floor(((performance.now() - startMs) / 1_000) * callsPerSecond),
    );
    for (; made < due; made++) pending.push(absolute.inc(`client-${Math.floor(Math.random() * keys)}`, RATE));
    await sleep(TURN_MS);
  }
  await Promise.all(pending);
  client.disconnect();
}

async function costOf(fleet: Fleet): Promise<Cost> {
  const server = await RedisServer.start();
  const client = new Redis(server.port);
  await client.script("LOAD", "return 1");
  const before = await infoOf(client);
  const workers = Array.from({ length: fleet.processes }, (): ChildProcess => {
    return fork(new URL(import.meta.url), ["worker", String(server.port), JSON.stringify(fleet)]);
  });
  await Promise.all(workers.map((worker) => once(worker, "exit")));
  const after = await infoOf(client);
  const redisKeys = await client.dbsize();
  client.disconnect();
  await server.stop();
  const grown = (name: string) => Number(after.get(name)) - Number(before.get(name));
  const [, calls, usec] = /calls=(\d+),usec=(\d+)/.exec(after.get("cmdstat_evalsha")!)!;
  return {
    calls: Number(calls),
    scriptMicros: Number(usec),
    cpuMicros: (grown("used_cpu_user") + grown("used_cpu_sys")) * 1e6,
    bytesIn: grown("total_net_input_bytes"),
    bytesOut: grown("total_net_output_bytes"),
    memory: grown("used_memory"),
    redisKeys,
  };
}

async function infoOf(client: Redis): Promise<Map<string, string>> {
  const text = await client.info("everything");
  return new Map(text.split("\r\n").map((line) => [line.split(":")[0]!, line.slice(line.indexOf(":") + 1)]));
}

/** Bytes of a key by how many buckets it has. */
async function memoryOf(buckets: number): Promise<number> {
  const server = await RedisServer.start();
  const client = new Redis(server.port, { enableAutoPipelining: true });
  const clock = manualClock(1_000_000);
  const { absolute } = createRedisProvider(client, { ...OPTIONS, clock });
  const keys = Array.from({ length: SAMPLE.keys }, (_, key) => `client-${key}`);
  await absolute.inc("first", RATE);
  const before = await infoOf(client);
  for (let bucket = 0; bucket < buckets; bucket++) {
    await Promise.all(keys.map((key) => absolute.inc(key, RATE)));
    clock.advance(OPTIONS.bucketMs);
  }
  const after = await infoOf(client);
  client.disconnect();
  await server.stop();
  return (Number(after.get("used_memory")) - Number(before.get("used_memory"))) / SAMPLE.keys;
}

/** Live buckets of a key: each call starts one, mostly, until the window has no more of them. */
function bucketsOf({ processes, callsPerSecond, keys }: Fleet): number {
  const cells = OPTIONS.windowMs / OPTIONS.bucketMs;
  return Math.min(cells, Math.max(1, (processes * callsPerSecond * SECONDS) / keys));
}

async function compare(): Promise<void> {
  const report = new Report("scaling.md");
  const turns: [Cost, Cost][] = [];
  for (let turn = 0; turn < TURNS; turn++) turns.push([await costOf(SMALL), await costOf(LARGE)]);
  const [small, large] = [medianOf(turns.map(([cost]) => cost)), medianOf(turns.map(([, cost]) => cost))];
  const perCall = (total: number) => total / small.calls;
  const [one, few, many] = SAMPLE.buckets;
  const [oneBytes, fewBytes, manyBytes] = [await memoryOf(one), await memoryOf(few), await memoryOf(many)];
  const bucketBytes = (manyBytes - fewBytes) / (many - few);
  const calls = LARGE.processes * LARGE.callsPerSecond * SECONDS;
  const share = (micros: number) => `${((micros / 1e6 / SECONDS) * 100).toFixed(1)} %`;
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const micros = (total: number) => `${perCall(total).toFixed(1)} µs`;
  const bytes = (count: number) => `${count.toFixed(0)} bytes`;
  report.printTable(
    ["constant", `from ${nameOf(SMALL)}`],
    [
      ["processor of Redis a call", micros(small.cpuMicros)],
      ["of that, the script", micros(small.scriptMicros)],
      ["in and out a call", `${bytes(perCall(small.bytesIn))}, ${bytes(perCall(small.bytesOut))}`],
      ["memory of a key of one bucket", bytes(oneBytes)],
      [`of a key of ${few} buckets`, bytes(fewBytes)],
      ["of a further bucket", bytes(bucketBytes)],
    ],
  );
  report.print(`Then ${nameOf(LARGE)}, for ${SECONDS} s; both are medians of ${TURNS} turns:\n`);
  const expectedBytes = LARGE.keys * (fewBytes + bucketBytes * (bucketsOf(LARGE) - few));
  report.printTable(
    ["", "by the formula", "measured"],
    [
      ["calls of a script", String(calls), String(large.calls)],
      ["processor of Redis", share(calls * perCall(small.cpuMicros)), share(large.cpuMicros)],
      ["of that, scripts", share(calls * perCall(small.scriptMicros)), share(large.scriptMicros)],
      ["bytes in", megabytes(calls * perCall(small.bytesIn)), megabytes(large.bytesIn)],
      ["bytes out", megabytes(calls * perCall(small.bytesOut)), megabytes(large.bytesOut)],
      ["Redis keys", `at most ${2 * LARGE.keys}`, String(large.redisKeys)],
      ["memory", megabytes(expectedBytes), megabytes(large.memory)],
    ],
  );
  report.end("npm run bench:scaling");
}

/** The turn whose processor time is in the middle. */
function medianOf(costs: readonly Cost[]): Cost {
  return costs.toSorted((a, b) => a.cpuMicros - b.cpuMicros)[Math.floor(costs.length / 2)]!;
}

function nameOf({ processes, callsPerSecond, keys }: Fleet): string {
  return `${processes} process${processes === 1 ? "" : "es"} × ${callsPerSecond} calls/s over ${keys} keys`;
}
