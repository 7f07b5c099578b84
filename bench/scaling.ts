// npm run bench:scaling: what a fleet of processes costs Redis, with the Redis provider and with Hybrid. Takes the
// constants of the formulas from one small run each, says by them what a larger one will cost, runs that one, and puts
// both beside each other. With `-- --write` the figures go into docs/scaling.md too.

import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { type Limiter, perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { type ManualClock, manualClock } from "trypema/testing";
import { RedisServer } from "../test/support/redis.ts";
import { processes, Report } from "./report.ts";

interface Fleet {
  readonly provider: "redis" | "hybrid";
  readonly processes: number;
  /** Of each process. */
  readonly callsPerSecond: number;
  readonly keys: number;
}

type Pair = readonly [small: Fleet, large: Fleet];

const REDIS: Pair = [
  { provider: "redis", processes: 1, callsPerSecond: 2_000, keys: 1_000 },
  { provider: "redis", processes: 4, callsPerSecond: 1_500, keys: 5_000 },
];
const HYBRID: Pair = [
  { provider: "hybrid", processes: 1, callsPerSecond: 2_000, keys: 200 },
  { provider: "hybrid", processes: 4, callsPerSecond: 2_000, keys: 500 },
];
/** Until leases are as large as they will be. */
const WARM_SECONDS = 3;
const SECONDS = 4;
const TURNS = 5;
/** The formulas are for calls and reports that go alone, the most that they cost. */
const OPTIONS = { windowMs: 60_000, bucketMs: 100, timeoutMs: 10_000, batch: false as const };
/** How long Hybrid lets a report wait where there is plenty, by docs/hybrid.md. */
const PATIENCE_SECONDS = Math.min(OPTIONS.windowMs / 200, 1_000) / 1_000;
const RATE = perSecond(1_000_000);
const TURN_MS = 10;
/** A time with microseconds, as the server's clock tells it. Redis needs fewer bytes for whole milliseconds. */
const SERVER_LIKE_MS = 1_000_000.123;
/** Keys, and buckets or leases of each, by which memory is measured. With 10 buckets, all of them are inline. */
const SAMPLE = { keys: 1_000, buckets: [1, 3, 10, 50, 200], leases: [1, 5] } as const;

interface Cost {
  readonly commands: number;
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

/** One process of a fleet: makes its share of the calls every few milliseconds until it is killed, answered or not. */
async function work(port: number, { provider, callsPerSecond, keys }: Fleet): Promise<void> {
  const client = new Redis(port);
  const create = provider === "redis" ? createRedisProvider : createHybridProvider;
  // A Redis that is slow is none to end the benchmark.
  const { absolute } = create(client, { ...OPTIONS, onFailure: "allow" });
  await client.ping();
  process.send!("ready");
  const startMs = performance.now();
  for (let made = 0; ; ) {
    const due = Math.floor(((performance.now() - startMs) / 1_000) * callsPerSecond);
    for (; made < due; made++) void absolute.inc(`client-${Math.floor(Math.random() * keys)}`, RATE);
    await sleep(TURN_MS);
  }
}

async function costOf(fleet: Fleet): Promise<Cost> {
  const server = await RedisServer.start();
  const client = new Redis(server.port);
  await client.script("LOAD", "return 1");
  const idle = await infoOf(client);
  const workers = Array.from({ length: fleet.processes }, () =>
    fork(new URL(import.meta.url), ["worker", String(server.port), JSON.stringify(fleet)]),
  );
  await Promise.all(workers.map((worker) => once(worker, "message")));
  await sleep(WARM_SECONDS * 1_000);
  const before = await infoOf(client);
  await sleep(SECONDS * 1_000);
  const after = await infoOf(client);
  const redisKeys = await client.dbsize();
  for (const worker of workers) worker.kill();
  await Promise.all(workers.map((worker) => once(worker, "exit")));
  client.disconnect();
  await server.stop();
  const grown = (name: string) => Number(after.get(name)) - Number(before.get(name));
  const scripts = (info: Map<string, string>) =>
    /calls=(\d+),usec=(\d+)/.exec(info.get("cmdstat_evalsha") ?? "calls=0,usec=0")!;
  const ran = (field: 1 | 2) => Number(scripts(after)[field]) - Number(scripts(before)[field]);
  return {
    commands: ran(1),
    scriptMicros: ran(2),
    cpuMicros: (grown("used_cpu_user") + grown("used_cpu_sys")) * 1e6,
    bytesIn: grown("total_net_input_bytes"),
    bytesOut: grown("total_net_output_bytes"),
    memory: Number(after.get("used_memory")) - Number(idle.get("used_memory")),
    redisKeys,
  };
}

async function infoOf(client: Redis): Promise<Map<string, string>> {
  const text = await client.info("everything");
  return new Map(text.split("\r\n").map((line) => [line.split(":")[0]!, line.slice(line.indexOf(":") + 1)]));
}

/** Bytes of a key by how many buckets it has. */
function memoryOf(buckets: number): Promise<number> {
  return bytesOfKey(async ({ client, clock, callAll }) => {
    const limiter = createRedisProvider(client, { ...OPTIONS, clock }).absolute;
    await limiter.inc("first", RATE);
    return async () => {
      for (let bucket = 0; bucket < buckets; bucket++) {
        await callAll(limiter);
        clock.advance(OPTIONS.bucketMs);
      }
    };
  });
}

/** Bytes of a key on top of those, by how many processes have leased some of it. */
function leaseMemoryOf(count: number): Promise<number> {
  return bytesOfKey(async ({ client, clock, callAll }) => {
    const createHybrid = () => createHybridProvider(client, { ...OPTIONS, clock, syncIntervalMs: 1_000_000 });
    await callAll(createRedisProvider(client, { ...OPTIONS, clock }).absolute);
    // So that Redis has the script already.
    await createHybrid().absolute.inc("first", RATE);
    return async () => {
      for (let made = 0; made < count; made++) {
        const { absolute } = createHybrid();
        for (let round = 0; round < 3; round++) await callAll(absolute);
      }
    };
  });
}

interface Sample {
  readonly client: Redis;
  readonly clock: ManualClock;
  /** Calls once for each key of the sample. */
  callAll(limiter: Limiter): Promise<unknown>;
}

/** Bytes that a key takes in Redis more after what `prepare` returns than before it. */
async function bytesOfKey(prepare: (sample: Sample) => Promise<() => Promise<void>>): Promise<number> {
  const server = await RedisServer.start();
  const client = new Redis(server.port, { enableAutoPipelining: true });
  const keys = Array.from({ length: SAMPLE.keys }, (_, key) => `client-${key}`);
  const callAll = (limiter: Limiter) => Promise.all(keys.map((key) => limiter.inc(key, RATE)));
  const grow = await prepare({ client, clock: manualClock(SERVER_LIKE_MS), callAll });
  const usedBytes = async () => Number((await infoOf(client)).get("used_memory"));
  const before = await usedBytes();
  await grow();
  const after = await usedBytes();
  client.disconnect();
  await server.stop();
  return (after - before) / SAMPLE.keys;
}

/** Live buckets of a key: each call starts one, mostly, until the window has no more of them. */
function bucketsOf({ processes, callsPerSecond, keys }: Fleet): number {
  const cells = OPTIONS.windowMs / OPTIONS.bucketMs;
  return Math.min(cells, Math.max(1, (processes * callsPerSecond * (WARM_SECONDS + SECONDS)) / keys));
}

/** Commands in the time that is measured. */
function commandsOf({ provider, processes, callsPerSecond, keys }: Fleet): number {
  if (provider === "redis") return processes * callsPerSecond * SECONDS;
  const isCalled = 1 - Math.exp((-callsPerSecond / keys) * PATIENCE_SECONDS);
  return ((processes * keys * isCalled) / PATIENCE_SECONDS) * SECONDS;
}

async function compare(): Promise<void> {
  const report = new Report("scaling.md");
  const samples: { buckets: number; bytes: number }[] = [];
  for (const buckets of SAMPLE.buckets) samples.push({ buckets, bytes: await memoryOf(buckets) });
  const [oneLease, manyLeases] = [await leaseMemoryOf(SAMPLE.leases[0]), await leaseMemoryOf(SAMPLE.leases[1])];
  const leaseBytes = (manyLeases - oneLease) / (SAMPLE.leases[1] - SAMPLE.leases[0]);
  const bytes = (count: number) => `${count.toFixed(0)} bytes`;
  report.printTable(
    ["memory", ""],
    [
      ...samples.map((sample) => [`a key, by its buckets: ${sample.buckets}`, bytes(sample.bytes)] as const),
      ["a lease of a key, of the first process", bytes(oneLease)],
      ["a lease of the same key, of each further process", bytes(leaseBytes)],
    ],
  );
  const memoryOfFleet = (fleet: Fleet) => {
    const leased = fleet.provider === "hybrid" ? oneLease + leaseBytes * (fleet.processes - 1) : 0;
    return fleet.keys * (bytesBetween(samples, bucketsOf(fleet)) + leased);
  };
  for (const [small, large] of [REDIS, HYBRID]) {
    const turns: [Cost, Cost][] = [];
    for (let turn = 0; turn < TURNS; turn++) turns.push([await costOf(small), await costOf(large)]);
    report.print(`**${small.provider === "redis" ? "The Redis provider" : "Hybrid"}**\n`);
    printPair(report, [small, large], turns, memoryOfFleet(large));
  }
  report.end("npm run bench:scaling");
}

/** The bytes of a key with so many buckets, on the straight line between the samples around it. */
function bytesBetween(samples: readonly { buckets: number; bytes: number }[], buckets: number): number {
  const after = Math.max(
    1,
    samples.findIndex((sample) => sample.buckets >= buckets),
  );
  const [low, high] = [samples[after - 1]!, samples[after]!];
  return low.bytes + ((high.bytes - low.bytes) / (high.buckets - low.buckets)) * (buckets - low.buckets);
}

function printPair(report: Report, [small, large]: Pair, turns: readonly [Cost, Cost][], memory: number): void {
  const [little, much] = [medianOf(turns.map(([cost]) => cost)), medianOf(turns.map(([, cost]) => cost))];
  const perCommand = (total: number) => total / little.commands;
  const commands = commandsOf(large);
  const micros = (total: number) => `${perCommand(total).toFixed(1)} µs`;
  const share = (total: number) => `${((total / 1e6 / SECONDS) * 100).toFixed(1)} %`;
  const megabytes = (total: number) => `${(total / 1e6).toFixed(1)} MB`;
  const redisKeys = large.keys * (large.provider === "redis" ? 2 : 3);
  report.printTable(
    ["a command", `from ${nameOf(small)}`],
    [
      ["processor of Redis", micros(little.cpuMicros)],
      ["of that, the script", micros(little.scriptMicros)],
      ["in", `${perCommand(little.bytesIn).toFixed(0)} bytes`],
      ["out", `${perCommand(little.bytesOut).toFixed(0)} bytes`],
    ],
  );
  report.print(`Then ${nameOf(large)}, for ${SECONDS} s; both are medians of ${TURNS} turns:\n`);
  report.printTable(
    ["", "by the formula", "measured"],
    [
      ["commands", commands.toFixed(0), String(much.commands)],
      ["processor of Redis", share(commands * perCommand(little.cpuMicros)), share(much.cpuMicros)],
      ["of that, scripts", share(commands * perCommand(little.scriptMicros)), share(much.scriptMicros)],
      ["bytes in", megabytes(commands * perCommand(little.bytesIn)), megabytes(much.bytesIn)],
      ["bytes out", megabytes(commands * perCommand(little.bytesOut)), megabytes(much.bytesOut)],
      ["Redis keys", `at most ${redisKeys}`, String(much.redisKeys)],
      ["memory", megabytes(memory), megabytes(much.memory)],
    ],
  );
}

/** The turn whose processor time is in the middle. */
function medianOf(costs: readonly Cost[]): Cost {
  return costs.toSorted((a, b) => a.cpuMicros - b.cpuMicros)[Math.floor(costs.length / 2)]!;
}

function nameOf({ processes: count, callsPerSecond, keys }: Fleet): string {
  return `${processes(count)} × ${callsPerSecond} calls/s over ${keys} keys`;
}
