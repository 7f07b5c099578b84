// Many processes with hybrid providers on one Redis: what they admit together, by the times of their own decisions.

import { Redis } from "ioredis";
import { createRedisProvider } from "trypema/redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Admission, groupByKey, Member, type MemberOptions, mostWithin, smoothness } from "../support/fleet.ts";
import { RedisServer } from "../support/redis.ts";

const WINDOW_MS = 1_000;
const CAPACITY = 500;
/** How far the processes' clocks may be apart. */
const CLOCKS_APART_MS = 5;
const SPAN_MS = WINDOW_MS - CLOCKS_APART_MS;
/** For the processes to start and connect. */
const LEAD_MS = 2_000;

let server: RedisServer;
let startMs: number;
let fleets = 0;

beforeAll(async () => {
  server = await RedisServer.start();
});

afterAll(() => server.stop());

/** `count` processes, with both clients in turn, that offer five times the limit together. */
function startFleet(
  count: number,
  options: Partial<MemberOptions> = {},
  ...others: Partial<MemberOptions>[]
): Member[] {
  startMs = Date.now() + LEAD_MS;
  fleets++;
  return Array.from(
    { length: count },
    (_, i) =>
      new Member({
        port: server.port,
        prefix: `fleet-${fleets}`,
        client: i % 2 === 0 ? "ioredis" : "node-redis",
        strategy: "absolute",
        windowMs: WINDOW_MS,
        ratePerSecond: 500,
        offeredPerSecond: 2_500 / count,
        keys: 1,
        skew: 3,
        startMs,
        seconds: 6,
        ...options,
        ...others[i],
      }),
  );
}

function admittedBy(members: readonly Member[]): Admission[] {
  return members.flatMap(({ admitted }) => admitted);
}

it.each([1, 8])("%i processes admit all of the capacity, and never more in any window", async (count) => {
  const members = startFleet(count);
  await Promise.all(members.map(({ ended }) => ended));
  const admitted = admittedBy(members);
  expect(mostWithin(admitted, SPAN_MS)).toBeLessThanOrEqual(CAPACITY);
  // Of six windows. Nothing may be said of how soon a busy machine gets to them.
  expect(admitted.length).toBeGreaterThan(3 * CAPACITY);
});

it("who joins late, dies or goes idle changes nothing in that", async () => {
  const [dying, idling, late, ...others] = startFleet(
    5,
    { seconds: 9 },
    {},
    { seconds: 2 },
    { startMs: Date.now() + LEAD_MS + 3_000, seconds: 6 },
  ) as [Member, Member, Member, ...Member[]];
  setTimeout(() => dying.kill(), LEAD_MS + 2_500);
  await Promise.all([...others, late, idling].map(({ ended }) => ended));
  expect(dying.counts.calls).toBe(0);
  const admitted = admittedBy([dying, idling, late, ...others]);
  expect(mostWithin(admitted, SPAN_MS)).toBeLessThanOrEqual(CAPACITY);
  // What the dead one had leased is free again two windows later.
  const afterwards = admitted.filter(({ madeMs }) => madeMs > startMs + 4_500);
  expect(afterwards.length).toBeGreaterThan(1.5 * CAPACITY);
  // And with all of them gone, everything is.
  const client = new Redis(server.port);
  const { absolute } = createRedisProvider(client, { prefix: `fleet-${fleets}`, windowMs: WINDOW_MS });
  const admitsAtOnce = async (count: number) => (await absolute.isAllowed("key-0", count)).allowed;
  await expect.poll(() => admitsAtOnce(CAPACITY), { timeout: 10_000 }).toBe(true);
  client.disconnect();
});

it("each of a thousand keys, some of them popular, is held", async () => {
  const options = { ratePerSecond: 50, offeredPerSecond: 800, keys: 1_000 };
  const members = startFleet(4, options);
  await Promise.all(members.map(({ ended }) => ended));
  const keys = groupByKey(admittedBy(members));
  expect(keys.length).toBeGreaterThan(500);
  const most = Math.max(...keys.map((admitted) => mostWithin(admitted, SPAN_MS)));
  expect(most).toBeLessThanOrEqual(50);
  expect(most).toBeGreaterThan(45);
});

it("suppression holds the limit smoothly over the fleet", async () => {
  const members = startFleet(4, { strategy: "suppressed", windowMs: 2_000, seconds: 16 });
  await Promise.all(members.map(({ ended }) => ended));
  const { mean, cv } = smoothness(groupByKey(admittedBy(members)), startMs + 6_000, startMs + 16_000);
  // A busy machine may not get to offer what it should.
  expect(mean).toBeGreaterThan(500 * 0.7);
  expect(mean).toBeLessThan(500 * 1.1);
  // An absolute limit has about 1 here, and chance alone 0.045.
  expect(cv).toBeLessThan(0.5);
});
