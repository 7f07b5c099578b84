// The Redis providers that are made of one another by `withWindow`, and the limiters of named limits on them. They share
// the way to Redis, the breaker and the failure policy.

import { Members, type NamedLimit, type Window } from "../core/family.ts";
import { RedisAbsolute } from "./absolute.ts";
import type { RedisLimiter } from "./limiter.ts";
import type { OpenRedis } from "./open.ts";
import type { RedisProvider } from "./provider.ts";
import { RedisSuppressed } from "./suppressed.ts";

export class RedisFamily extends Members<RedisProvider, RedisLimiter> {
  readonly #redis: OpenRedis;

  constructor(redis: OpenRedis) {
    super();
    this.#redis = redis;
  }

  protected makeProvider(window: Window): RedisProvider {
    const { hardLimitFactor } = this.#redis.settings;
    const ofStrategy = (strategy: "absolute" | "suppressed") =>
      this.limiter({ name: "", strategy, hardLimitFactor, ...window });
    const close = async () => this.#redis.close();
    return {
      absolute: ofStrategy("absolute") as RedisAbsolute,
      suppressed: ofStrategy("suppressed") as RedisSuppressed,
      windowMs: window.windowMs,
      withWindow: this.withWindow,
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  protected makeLimiter(limit: NamedLimit): RedisLimiter {
    const parts = this.#redis.partsOf(limit);
    return limit.strategy === "absolute" ? new RedisAbsolute(parts) : new RedisSuppressed(parts);
  }
}
