// The Redis providers that are made of one another by `withWindow`, and the limiters of named limits on them. They
// share the way to Redis, the breaker and the failure policy.

import { type Ask, type NamedLimit, type TakeDecisions, type Window, withKey } from "../core/family.ts";
import { RedisAbsolute } from "./absolute.ts";
import type { RedisLimiter } from "./limiter.ts";
import { MembersOnRedis } from "./members.ts";
import type { OpenRedis } from "./open.ts";
import type { RedisProvider } from "./provider.ts";
import { RedisSuppressed } from "./suppressed.ts";
import { Takes } from "./takes.ts";

export class RedisFamily extends MembersOnRedis<RedisProvider, RedisLimiter> {
  readonly answersLater = true;
  readonly #takes: Takes;

  constructor(redis: OpenRedis) {
    super(redis);
    this.#takes = new Takes(redis);
  }

  take(asks: readonly Ask[], key?: string): Promise<TakeDecisions> {
    return this.#takes.take(withKey(asks, key));
  }

  protected makeProvider(window: Window): RedisProvider {
    const close = () => this.redis.close();
    return {
      absolute: this.ownLimiter("absolute", window) as RedisAbsolute,
      suppressed: this.ownLimiter("suppressed", window) as RedisSuppressed,
      windowMs: window.windowMs,
      withWindow: this.withWindow,
      stats: () => this.redis.stats(),
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  protected makeLimiter(limit: NamedLimit): RedisLimiter {
    const parts = this.redis.partsOf(limit);
    return limit.strategy === "absolute" ? new RedisAbsolute(parts) : new RedisSuppressed(parts);
  }
}
