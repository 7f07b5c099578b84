// The Hybrid providers that are made of one another by `withWindow`, and the limiters of named limits on them. They
// share the way to Redis, the breaker and the failure policy.

import { type Ask, type NamedLimit, type TakeDecisions, type Window, withKey } from "../core/family.ts";
import type { HybridStats } from "../core/stats.ts";
import type { Awaitable } from "../core/types.ts";
import { RedisAbsolute } from "../redis/absolute.ts";
import { MembersOnRedis } from "../redis/members.ts";
import type { OpenRedis } from "../redis/open.ts";
import { RedisSuppressed } from "../redis/suppressed.ts";
import { HybridAbsolute } from "./absolute.ts";
import type { HybridLimiter } from "./limiter.ts";
import type { HybridProvider } from "./provider.ts";
import { hybridStats } from "./stats.ts";
import { HybridSuppressed } from "./suppressed.ts";
import { HybridTakes } from "./takes.ts";
import { WallClock } from "./wall-clock.ts";

export class HybridFamily extends MembersOnRedis<HybridProvider, HybridLimiter> {
  readonly answersLater = false;
  readonly #takes: HybridTakes;
  readonly #syncIntervalMs: number;
  readonly #wall: WallClock;

  constructor(redis: OpenRedis, syncIntervalMs: number) {
    super(redis);
    this.#syncIntervalMs = syncIntervalMs;
    this.#wall = new WallClock(redis.settings.callersClock === undefined);
    this.#takes = new HybridTakes(redis);
  }

  take(asks: readonly Ask[], key?: string): Awaitable<TakeDecisions> {
    return this.#takes.take(withKey(asks, key));
  }

  protected makeProvider(window: Window): HybridProvider {
    const close = () => this.#close();
    return {
      absolute: this.ownLimiter("absolute", window) as HybridAbsolute,
      suppressed: this.ownLimiter("suppressed", window) as HybridSuppressed,
      windowMs: window.windowMs,
      withWindow: this.withWindow,
      stats: () => this.#stats(),
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  protected makeLimiter(limit: NamedLimit): HybridLimiter {
    const redisParts = this.redis.partsOf(limit);
    const parts = { ...redisParts, syncIntervalMs: this.#syncIntervalMs, wall: this.#wall };
    return limit.strategy === "absolute"
      ? new HybridAbsolute(parts, new RedisAbsolute(redisParts))
      : new HybridSuppressed(parts, new RedisSuppressed(redisParts));
  }

  #stats(): HybridStats {
    const { settings, watch } = this.redis;
    return hybridStats(this.redis.stats(), watch.counts, this.limiters, settings.clock.nowOrLast());
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.limiters, (limiter) => limiter.close()));
    await this.redis.close();
  }
}
