/// <reference lib="esnext.disposable" preserve="true" />

import { checkOptions, LIMITER_OPTION_NAMES, timerOption } from "../core/options.ts";
import type { HybridStats } from "../core/stats.ts";
import type { Provider, WindowOptions } from "../core/types.ts";
import type { RedisClient } from "../redis/client.ts";
import { openRedis, REDIS_OPTION_NAMES, type RedisOptions } from "../redis/open.ts";
import type { HybridAbsolute } from "./absolute.ts";
import { HybridFamily } from "./family.ts";
import type { HybridSuppressed } from "./suppressed.ts";

/** The options of {@link createHybridProvider}. */
export interface HybridOptions extends RedisOptions {
  /** The time between two reports to Redis about a key near its limit, in ms; 1 to 2^31 - 1. Default 10. */
  readonly syncIntervalMs?: number;
}

/** Decides in this process and counts in Redis. Made by {@link createHybridProvider}. */
export interface HybridProvider extends Provider, AsyncDisposable {
  /** The deterministic strategy. */
  readonly absolute: HybridAbsolute;
  /** The probabilistic strategy. */
  readonly suppressed: HybridSuppressed;
  /**
   * Returns a provider with another window. It has the same client, breaker, failure policy and clock, and is closed
   * together with this provider. For the same window it is the same object.
   *
   * @throws {TrypemaError} `INVALID_OPTION`
   */
  withWindow(window: WindowOptions): HybridProvider;
  /**
   * Returns what this provider and the providers of its `withWindow` have counted in this process. It doesn't ask
   * Redis, and takes about a millisecond for 50 000 keys.
   */
  stats(): HybridStats;
  /** Reports what is left to report and gives back what was leased. The client stays open: it is yours. */
  close(): Promise<void>;
}

/**
 * Makes a provider that decides in this process, while all processes on the same Redis share one limit. The process
 * leases capacity from Redis, spends it without asking, and reports in the background. It counts together with
 * providers of `createRedisProvider` that have the same prefix and window.
 *
 * @param client a client of one of the packages that docs/redis.md names, such as `ioredis` or `redis` (node-redis),
 *   connected or connecting, for a single server, Sentinel or Cluster
 * @example
 * const client = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
 * const provider = createHybridProvider(client, { windowMs: 10_000 });
 * const decision = await provider.absolute.inc("user-123", perSecond(5.5));
 * await provider.close();
 * client.disconnect();
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function createHybridProvider(client: RedisClient, options: HybridOptions = {}): HybridProvider {
  checkOptions("options", options, [...LIMITER_OPTION_NAMES, ...REDIS_OPTION_NAMES, "syncIntervalMs"]);
  const { syncIntervalMs, ...redisOptions } = options;
  const redis = openRedis(client, redisOptions, "local");
  return new HybridFamily(redis, timerOption("syncIntervalMs", syncIntervalMs, 10)).provider(redis.settings);
}
