/// <reference lib="esnext.disposable" preserve="true" />

import { checkOptions, LIMITER_OPTION_NAMES } from "../core/options.ts";
import type { RedisStats } from "../core/stats.ts";
import type { Provider, WindowOptions } from "../core/types.ts";
import type { RedisAbsolute } from "./absolute.ts";
import type { RedisClient } from "./client.ts";
import { RedisFamily } from "./family.ts";
import { openRedis, REDIS_OPTION_NAMES, type RedisOptions } from "./open.ts";
import type { RedisSuppressed } from "./suppressed.ts";

/** Counts in Redis. Made by {@link createRedisProvider}. */
export interface RedisProvider extends Provider, AsyncDisposable {
  /** The deterministic strategy; promises its answers. */
  readonly absolute: RedisAbsolute;
  /** The probabilistic strategy; promises its answers. */
  readonly suppressed: RedisSuppressed;
  /**
   * A provider with another window: the same client, breaker, failure policy and clock, closed with this one. The same
   * object for the same window.
   *
   * @throws {TrypemaError} `INVALID_OPTION`
   */
  withWindow(window: WindowOptions): RedisProvider;
  /** What this provider and those that `withWindow` made of it have counted, in this process. Asks Redis nothing. */
  stats(): RedisStats;
  /** Ends what the provider itself has started. The client stays open: it is yours. */
  close(): Promise<void>;
}

/**
 * A provider that counts in Redis: every method is one round trip and one atomic script, and all processes
 * with the same prefix and window share their limits.
 *
 * @param client of `ioredis` or `redis` (node-redis), connected or connecting; single, Sentinel or Cluster
 * @example
 * const client = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
 * const provider = createRedisProvider(client, { windowMs: 10_000, onFailure: "local" });
 * const decision = await provider.absolute.inc("user-123", perSecond(5.5));
 * client.disconnect();
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function createRedisProvider(client: RedisClient, options: RedisOptions = {}): RedisProvider {
  checkOptions("options", options, [...LIMITER_OPTION_NAMES, ...REDIS_OPTION_NAMES]);
  const redis = openRedis(client, options, "throw");
  return new RedisFamily(redis).provider(redis.settings);
}
