// Many processes with hybrid providers on one Redis: what they admit together, by the times of their own decisions.

import { Redis } from "ioredis";
import { createRedisProvider } from "trypema/redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  admittedBy,
  groupByKey,
  type Load,
  type Member,
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

it.each([1, 8])("%i processes admit all of the capacity, and never more in any window", async (count) => {
  const { members } = startFleet(server.port, count, LOAD);
  await Promise.all(members.map(({ ended }) => ended));
  const admitted = admittedBy(members);
  expect(mostWithin(admitted, SPAN_MS)).toBeLessThanOrEqual(CAPACITY);
  // Of six windows. Nothing may be said of how soon a busy machine gets to them.
  expect(admitted.length).toBeGreaterThan(3 * CAPACITY);
});

it("who joins late, dies or goes idle changes nothing in that", async () => {
  const own = [{}, { seconds: 2 }, { startsLaterMs: 3_000, seconds: 6 }];
  const { members, prefix, startMs } = startFleet(server.port, 5, { ...LOAD, seconds: 9 }, own);
  const [dying, ...others] = members as [Member, ...Member[]];
  setTimeout(() => dying.kill(), startMs + 2_500 - Date.now());
  await Promise.all(others.map(({ ended }) => ended));
  expect(dying.counts.calls).toBe(0);
  const admitted = admittedBy(members);
  expect(mostWithin(admitted, SPAN_MS)).toBeLessThanOrEqual(CAPACITY);
  // What the dead one had leased is free again two windows later.
  const afterwards = admitted.filter(({ madeMs }) => madeMs > startMs + 4_500);
  expect(afterwards.length).toBeGreaterThan(1.5 * CAPACITY);
  // And with all of them gone, everything is.
  const client = new Redis(server.port);
  const { absolute } = createRedisProvider(client, { prefix, windowMs: WINDOW_MS });
  const admitsAtOnce = async (count: number) => (await absolute.isAllowed("key-0", count)).allowed;
  await expect.poll(() => admitsAtOnce(CAPACITY), { timeout: 10_000 }).toBe(true);
  client.disconnect();
});

it("each of a thousand keys, some of them popular, is held", async () => {
  const load = { ...LOAD, ratePerSecond: 50, offeredPerSecond: 3_200, keys: 1_000 };
  const { members } = startFleet(server.port, 4, load);
  await Promise.all(members.map(({ ended }) => ended));
  const keys = groupByKey(admittedBy(members));
  expect(keys.length).toBeGreaterThan(500);
  const most = Math.max(...keys.map((admitted) => mostWithin(admitted, SPAN_MS)));
  expect(most).toBeLessThanOrEqual(50);
  expect(most).toBeGreaterThan(45);
});

it("suppression holds the limit smoothly over the fleet", async () => {
  const load: Load = { ...LOAD, strategy: "suppressed", windowMs: 2_000, seconds: 16 };
  const { members, startMs } = startFleet(server.port, 4, load);
  await Promise.all(members.map(({ ended }) => ended));
  const { mean, cv } = smoothness(timesByKey(admittedBy(members)), startMs + 6_000, startMs + 16_000);
  // A busy machine may not get to offer what it should.
  expect(mean).toBeGreaterThan(500 * 0.7);
  expect(mean).toBeLessThan(500 * 1.1);
  // An absolute limit has about 1 here, and chance alone 0.045.
  expect(cv).toBeLessThan(0.5);
});
