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
  /** The deterministic strategy; its methods return promises. */
  readonly absolute: RedisAbsolute;
  /** The probabilistic strategy; its methods return promises. */
  readonly suppressed: RedisSuppressed;
  /**
   * Returns a provider with another window. It has the same client, breaker, failure policy and clock, and is closed
   * together with this provider. For the same window it is the same object.
   *
   * @throws {TrypemaError} `INVALID_OPTION`
   */
  withWindow(window: WindowOptions): RedisProvider;
  /**
   * Returns what this provider and the providers of its `withWindow` have counted in this process. It doesn't ask
   * Redis.
   */
  stats(): RedisStats;
  /** Ends what the provider has started. The client stays open: close it yourself. */
  close(): Promise<void>;
}

/**
 * Makes a provider that counts in Redis. Every method is one round trip and one atomic script. All processes with the
 * same prefix and window share their limits.
 *
 * @param client a client of one of the packages that docs/redis.md names, such as `ioredis` or `redis` (node-redis),
 *   connected or connecting, for a single server, Sentinel or Cluster
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
