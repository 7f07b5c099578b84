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
  /** How often what was counted here is reported to Redis where that is urgent, in ms; 1 to 2^31 - 1. Default 10. */
  readonly syncIntervalMs?: number;
}

/** Decides here and counts in Redis. Made by {@link createHybridProvider}. */
export interface HybridProvider extends Provider, AsyncDisposable {
  /** The deterministic strategy. */
  readonly absolute: HybridAbsolute;
  /** The probabilistic strategy. */
  readonly suppressed: HybridSuppressed;
  /**
   * A provider with another window: the same client, breaker, failure policy and clock, closed with this one. The same
   * object for the same window.
   *
   * @throws {TrypemaError} `INVALID_OPTION`
   */
  withWindow(window: WindowOptions): HybridProvider;
  /**
   * What this provider and those that `withWindow` made of it have counted, in this process. Asks Redis nothing, and
   * takes about a millisecond for 50 000 keys.
   */
  stats(): HybridStats;
  /** Reports what is left to report and gives back what was leased. The client stays open: it is yours. */
  close(): Promise<void>;
}

/**
 * A provider that decides in this process and holds one limit with all others on the same Redis: a process leases
 * capacity from Redis, spends it without asking, and reports in the background. It shares its state with
 * `createRedisProvider` of the same prefix and window.
 *
 * @param client of `ioredis` or `redis` (node-redis), connected or connecting; single, Sentinel or Cluster
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
