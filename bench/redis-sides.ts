// The sides that `npm run bench:redis` compares, each on either client.

import { Redis } from "ioredis";
import { type RedisReply, RedisStore } from "rate-limit-redis";
import { RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import type { RedisClientType } from "redis";
import { perHour } from "trypema";
import { createRedisProvider } from "trypema/redis";

/** An hour, longer than any turn, on a slow machine too: how many are admitted in a turn doesn't depend on its time. */
export const WINDOW_MS = 3_600_000;

export type Client = Redis | RedisClientType;

/** A limiter with a capacity in a window; a call resolves to whether it was admitted. */
export type Side = (client: Client, capacity: number, windowMs: number) => (key: string) => Promise<boolean>;

/** A command as the client's users send one that it has no method for. */
function send(client: Client, command: string, args: string[]): Promise<unknown> {
  return client instanceof Redis ? client.call(command, ...args) : client.sendCommand([command, ...args]);
}

/** Loads a script; what is returned runs it on a key. */
function loaded(client: Client, source: string) {
  const sha1 = send(client, "SCRIPT", ["LOAD", source]) as Promise<string>;
  return async (key: string, ...args: string[]): Promise<[number, number]> => {
    const sha = await sha1;
    const reply =
      client instanceof Redis
        ? client.evalsha(sha, 1, key, ...args)
        : client.evalSha(sha, { keys: [key], arguments: args });
    return reply as Promise<[number, number]>;
  };
}

const FIXED_WINDOW = `
redis.call('SET', KEYS[1], 0, 'PX', ARGV[1], 'NX')
return { redis.call('INCRBY', KEYS[1], 1), redis.call('PTTL', KEYS[1]) }`;

/**
 * GCRA. The value of a key is its theoretical arrival time in microseconds. ARGV has the time between two admissions,
 * and how far the arrival time may be ahead of the clock, which is the burst.
 */
const GCRA = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local arrival = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now)) + tonumber(ARGV[1])
local wait = arrival - tonumber(ARGV[2]) - now
if wait > 0 then return { 0, wait } end
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
return { 1, 0 }`;

export const GCRA_SIDE = "GCRA, a script";

export const sides: Record<string, Side> = {
  "fixed window, a script"(client, capacity, windowMs) {
    const run = loaded(client, FIXED_WINDOW);
    return async (key) => {
      const [count] = await run(`fixed:${key}`, String(windowMs));
      return count <= capacity;
    };
  },

  [GCRA_SIDE](client, capacity, windowMs) {
    const run = loaded(client, GCRA);
    const windowUs = windowMs * 1_000;
    return async (key) => {
      const [admitted] = await run(`gcra:${key}`, String(windowUs / capacity), String(windowUs));
      return admitted === 1;
    };
  },

  "trypema, absolute"(client, capacity, windowMs) {
    const { absolute } = createRedisProvider(client, { windowMs, timeoutMs: 60_000 });
    const rate = perHour((capacity * WINDOW_MS) / windowMs);
    return async (key) => (await absolute.inc(key, rate)).allowed;
  },

  "trypema, suppressed"(client, capacity, windowMs) {
    const { suppressed } = createRedisProvider(client, { windowMs, timeoutMs: 60_000 });
    const rate = perHour((capacity * WINDOW_MS) / windowMs);
    return async (key) => (await suppressed.inc(key, rate)).allowed;
  },

  "rate-limit-redis"(client, capacity, windowMs) {
    const sendCommand = (...[command, ...args]: string[]) => send(client, command!, args) as Promise<RedisReply>;
    const store = new RedisStore({ sendCommand });
    store.init?.({ windowMs } as never);
    return async (key) => (await store.increment(key)).totalHits <= capacity;
  },

  "rate-limiter-flexible"(client, capacity, windowMs) {
    const limiter = new RateLimiterRedis({
      storeClient: client,
      useRedisPackage: !(client instanceof Redis),
      points: capacity,
      duration: windowMs / 1_000,
    });
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
