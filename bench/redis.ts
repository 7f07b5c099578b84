// npm run bench:redis: starts a Redis server of its own and compares what limiting costs it. With `-- --write`
// the figures go into docs/benchmarks.md too.

import { Redis } from "ioredis";
import { type RedisReply, RedisStore } from "rate-limit-redis";
import { RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import { createClient } from "redis";
import { perMinute, perSecond } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { RedisServer } from "../test/support/redis.ts";
import { Report } from "./report.ts";
import { Calls, makeKeys, median } from "./workloads.ts";

const WINDOW_MS = 60_000;
/** A capacity that nobody reaches, and one that is reached at once. */
const CAPACITIES = { ample: 1e7, scarce: 60 };
const CALLS_A_TURN = 20_000;
const TURNS = 5;

/** A limiter with a capacity; a call resolves to whether it was admitted. */
type Side = (client: Redis, capacity: number) => (key: string) => Promise<boolean>;

const FIXED_WINDOW = `
redis.call('SET', KEYS[1], 0, 'PX', ARGV[1], 'NX')
return { redis.call('INCRBY', KEYS[1], 1), redis.call('PTTL', KEYS[1]) }`;

/** The theoretical arrival time in microseconds; ARGV: the time between two admissions, and the burst that may be ahead. */
const GCRA = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local arrival = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now)) + tonumber(ARGV[1])
local wait = arrival - tonumber(ARGV[2]) - now
if wait > 0 then return { 0, wait } end
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
return { 1, 0 }`;

const sides: Record<string, Side> = {
  "fixed window, a script"(client, capacity) {
    const sha1 = client.script("LOAD", FIXED_WINDOW) as Promise<string>;
    return async (key) => {
      const [count] = (await client.evalsha(await sha1, 1, `fixed:${key}`, WINDOW_MS)) as [number, number];
      return count <= capacity;
    };
  },

  "GCRA, a script"(client, capacity) {
    const sha1 = client.script("LOAD", GCRA) as Promise<string>;
    const windowUs = WINDOW_MS * 1_000;
    return async (key) => {
      const args = [windowUs / capacity, windowUs];
      const [admitted] = (await client.evalsha(await sha1, 1, `gcra:${key}`, ...args)) as [number, number];
      return admitted === 1;
    };
  },

  "trypema, absolute"(client, capacity) {
    const { absolute } = createRedisProvider(client, { windowMs: WINDOW_MS, timeoutMs: 60_000 });
    const rate = perMinute(capacity);
    return async (key) => (await absolute.inc(key, rate)).allowed;
  },

  "trypema, suppressed"(client, capacity) {
    const { suppressed } = createRedisProvider(client, { windowMs: WINDOW_MS, timeoutMs: 60_000 });
    const rate = perMinute(capacity);
    return async (key) => (await suppressed.inc(key, rate)).allowed;
  },

  "rate-limit-redis"(client, capacity) {
    const sendCommand = (...[command, ...args]: string[]) => client.call(command!, ...args) as Promise<RedisReply>;
    const store = new RedisStore({ sendCommand });
    store.init?.({ windowMs: WINDOW_MS } as never);
    return async (key) => (await store.increment(key)).totalHits <= capacity;
  },

  "rate-limiter-flexible"(client, capacity) {
    const limiter = new RateLimiterRedis({ storeClient: client, points: capacity, duration: WINDOW_MS / 1_000 });
    return (key) =>
      limiter.consume(key).then(
        () => true,
        (denial) => {
          if (denial instanceof RateLimiterRes) return false;
          throw denial;
        },
      );
  },
};

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
  const gcra = Object.keys(sides).indexOf("GCRA, a script");
  report.printTable(
    ["", ...Object.keys(workloads)],
    Object.keys(sides).map((name, index) => [
      name,
      ...columns.map((column) => `${column[index]!.toFixed(1)} (${(column[index]! / column[gcra]!).toFixed(2)}×)`),
    ]),
  );
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
    "Microseconds of server time for a call to one key by how many live buckets it has: one comes, one goes.\n",
  );
  const bucketCounts = [1, 100, 6_000, 20_000];
  const rows = [];
  for (const strategy of ["absolute", "suppressed"] as const) {
    const row: string[] = [`trypema, ${strategy}`];
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
    }
    rows.push(row);
  }
  report.printTable(["", ...bucketCounts.map(String)], rows);
}

async function throughput(): Promise<void> {
  report.print("### Throughput with Redis\n");
  report.print(
    "Thousand calls a second from one process to one hot key, by how many are in flight; medians of five turns.\n",
  );
  const nodeRedis = await createClient({ socket: { port: server.port }, commandOptions: { timeout: 0 } }).connect();
  const gcraSha1 = (await client.script("LOAD", GCRA)) as string;
  const gcraArguments = ["1", "60000000"];
  const plain = new Redis(server.port);
  const options = { windowMs: WINDOW_MS, timeoutMs: 60_000 };
  const rate = perMinute(CAPACITIES.ample);
  const contenders: Record<string, () => Promise<unknown>> = {};
  for (const [name, each] of [
    ["ioredis", plain],
    ["ioredis, auto-pipelining", client],
    ["node-redis", nodeRedis],
  ] as const) {
    contenders[`GCRA, ${name}`] =
      each === nodeRedis
        ? () => nodeRedis.evalSha(gcraSha1, { keys: ["gcra"], arguments: gcraArguments })
        : () => (each as Redis).evalsha(gcraSha1, 1, "gcra", ...gcraArguments);
    const { absolute, suppressed } = createRedisProvider(each, options);
    contenders[`trypema, absolute, ${name}`] = () => absolute.inc("key", rate);
    contenders[`trypema, suppressed, ${name}`] = () => suppressed.inc("key", rate);
  }
  const inFlights = [1, 50, 500];
  const rows = Object.keys(contenders).map((name) => [name]);
  for (const inFlight of inFlights) {
    const times = rows.map((): number[] => []);
    for (let turn = 0; turn <= TURNS; turn++) {
      for (const [index, call] of Object.values(contenders).entries()) {
        const count = inFlight === 1 ? 3_000 : CALLS_A_TURN;
        const startMs = performance.now();
        await callMany(() => call().then(() => true), count, inFlight);
        if (turn > 0) times[index]!.push(count / (performance.now() - startMs));
      }
    }
    for (const [index, row] of rows.entries()) row.push(median(times[index]!).toFixed(0));
  }
  report.printTable(["", ...inFlights.map((count) => `${count} in flight`)], rows);
  plain.disconnect();
  nodeRedis.destroy();
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
