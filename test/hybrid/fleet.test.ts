// Many processes with hybrid providers on one Redis: what they admit together, by the times of their own decisions,
// beside what one Local provider would admit of the same calls. However late a busy machine lets them call, both see
// it.

import { Redis } from "ioredis";
import { createRedisProvider } from "trypema/redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  type Admission,
  admittedBy,
  admittedLocally,
  groupByKey,
  type Load,
  type Member,
  machineMs,
  mostWithin,
  smoothness,
  startFleet,
  timesByKey,
} from "../support/fleet.ts";
import { RedisServer } from "../support/redis.ts";

const WINDOW_MS = 1_000;
const CAPACITY = 500;
/** How far the processes' clocks may be apart. */
const CLOCKS_APART_MS = 5;
const SPAN_MS = WINDOW_MS - CLOCKS_APART_MS;

let server: RedisServer;

beforeAll(async () => {
  server = await RedisServer.start();
});

afterAll(() => server.stop());

const LOAD: Load = {
  strategy: "absolute",
  windowMs: WINDOW_MS,
  ratePerSecond: 500,
  // Five times the limit.
  offeredPerSecond: 2_500,
  keys: 1,
  skew: 3,
  seconds: 6,
};

/**
 * The least that is admitted of what Local would admit. What waits for a slow machine is leased to nobody else
 * meanwhile.
 */
const LEAST_OF_LOCAL = 0.7;

it.each([1, 8])("%i processes admit all of the capacity, and never more in any window", async (count) => {
  const { members } = await startFleet(server.port, count, LOAD);
  await Promise.all(members.map(({ ended }) => ended));
  const admitted = admittedBy(members);
  expect(mostWithin(admitted, SPAN_MS)).toBeLessThanOrEqual(CAPACITY);
  expect(admitted.length).toBeGreaterThan(LEAST_OF_LOCAL * admittedLocally(members, LOAD).length);
});

it("who joins late, dies or goes idle changes nothing in that", async () => {
  const own = [{}, { seconds: 2 }, { startsLaterMs: 3_000, seconds: 6 }];
  const { members, prefix, startMs } = await startFleet(server.port, 5, { ...LOAD, seconds: 9 }, own);
  const [dying, ...others] = members as [Member, ...Member[]];
  setTimeout(() => dying.kill(), startMs + 2_500 - machineMs());
  await Promise.all(others.map(({ ended }) => ended));
  expect(dying.counts.calls).toBe(0);
  const admitted = admittedBy(members);
  expect(mostWithin(admitted, SPAN_MS)).toBeLessThanOrEqual(CAPACITY);
  // What the dead one had leased is free again two windows later.
  const afterwards = (all: readonly Admission[]) => all.filter(({ madeMs }) => madeMs > startMs + 4_500).length;
  expect(afterwards(admitted)).toBeGreaterThan(LEAST_OF_LOCAL * afterwards(admittedLocally(members, LOAD)));
  // And with all of them gone, everything is.
  const client = new Redis(server.port);
  const { absolute } = createRedisProvider(client, { prefix, windowMs: WINDOW_MS, timeoutMs: 30_000 });
  const admitsAtOnce = async (count: number) => (await absolute.isAllowed("key-0", count)).allowed;
  await expect.poll(() => admitsAtOnce(CAPACITY)).toBe(true);
  client.disconnect();
});

it("each of a thousand keys, some of them popular, is held", async () => {
  const load = { ...LOAD, ratePerSecond: 50, offeredPerSecond: 3_200, keys: 1_000 };
  const { members } = await startFleet(server.port, 4, load);
  await Promise.all(members.map(({ ended }) => ended));
  const admitted = admittedBy(members);
  const keys = groupByKey(admitted);
  expect(keys.length).toBeGreaterThan(500);
  const most = Math.max(...keys.map((ofKey) => mostWithin(ofKey, SPAN_MS)));
  expect(most).toBeLessThanOrEqual(50);
  expect(admitted.length).toBeGreaterThan(LEAST_OF_LOCAL * admittedLocally(members, load).length);
});

it("suppression holds the limit smoothly over the fleet", async () => {
  const load: Load = { ...LOAD, strategy: "suppressed", windowMs: 2_000, seconds: 16 };
  const { members, startMs } = await startFleet(server.port, 4, load);
  await Promise.all(members.map(({ ended }) => ended));
  const settled = (all: readonly Admission[]) => smoothness(timesByKey(all), startMs + 6_000, startMs + 16_000);
  const { mean, cv } = settled(admittedBy(members));
  const local = settled(admittedLocally(members, load));
  expect(mean / local.mean).toBeGreaterThan(LEAST_OF_LOCAL);
  expect(mean / local.mean).toBeLessThan(1.1);
  // An absolute limit has about 1 here, and chance alone 0.045.
  expect(cv).toBeLessThan(local.cv + 0.3);
});
