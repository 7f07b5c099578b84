// Many processes with hybrid providers on one Redis: what they admit together, by the times of their own decisions.

import { Redis } from "ioredis";
import { createRedisProvider } from "trypema/redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Member, type MemberOptions, mostWithin, smoothness, timesByKey } from "../support/fleet.ts";
import { RedisServer } from "../support/redis.ts";

const WINDOW_MS = 1_000;
const CAPACITY = 500;
/** How far the processes' clocks may be apart, and the noted time from that of the decision. */
const CLOCKS_APART_MS = 15;
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
        startMs,
        seconds: 6,
        ...options,
        ...others[i],
      }),
  );
}

it.each([1, 8])("%i processes admit all of the capacity, and never more in any window", async (count) => {
  const members = startFleet(count);
  await Promise.all(members.map(({ ended }) => ended));
  const [times] = timesByKey(members) as [number[]];
  expect(mostWithin(times, SPAN_MS)).toBeLessThanOrEqual(CAPACITY);
  // Of six windows. Nothing may be said of how soon a busy machine gets to them.
  expect(times.length).toBeGreaterThan(3 * CAPACITY);
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
  const [times] = timesByKey([dying, idling, late, ...others]) as [number[]];
  expect(mostWithin(times, SPAN_MS)).toBeLessThanOrEqual(CAPACITY);
  // What the dead one had leased is free again two windows later.
  const afterwards = times.filter((timeMs) => timeMs > startMs + 4_500);
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
  const keys = timesByKey(members);
  expect(keys.length).toBeGreaterThan(500);
  const most = Math.max(...keys.map((times) => mostWithin(times, SPAN_MS)));
  expect(most).toBeLessThanOrEqual(50);
  expect(most).toBeGreaterThan(45);
});

it("suppression holds the limit smoothly over the fleet", async () => {
  const members = startFleet(4, { strategy: "suppressed", windowMs: 2_000, seconds: 16 });
  await Promise.all(members.map(({ ended }) => ended));
  const [times] = timesByKey(members) as [number[]];
  const { mean, cv } = smoothness(times, startMs + 6_000, startMs + 16_000);
  // A busy machine may not get to offer what it should.
  expect(mean).toBeGreaterThan(500 * 0.7);
  expect(mean).toBeLessThan(500 * 1.1);
  // An absolute limit has about 1 here, and chance alone 0.045.
  expect(cv).toBeLessThan(0.5);
});
