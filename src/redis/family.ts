// The Redis providers that are made of one another by `withWindow`, and the limiters of named limits on them. They
// share the way to Redis, the breaker and the failure policy.

import {
  type Ask,
  type Family,
  Members,
  type NamedLimit,
  setFamily,
  type TakeDecisions,
  type Window,
} from "../core/family.ts";
import { RedisAbsolute } from "./absolute.ts";
import type { RedisLimiter } from "./limiter.ts";
import type { OpenRedis } from "./open.ts";
import type { RedisProvider } from "./provider.ts";
import { RedisSuppressed } from "./suppressed.ts";
import { Takes } from "./takes.ts";

export class RedisFamily extends Members<RedisProvider, RedisLimiter> implements Family {
  readonly answersLater = true;
  readonly #redis: OpenRedis;
  readonly #takes: Takes;

  constructor(redis: OpenRedis) {
    super();
    this.#redis = redis;
    this.#takes = new Takes(redis);
  }

  get hardLimitFactor(): number {
    return this.#redis.settings.hardLimitFactor;
  }

  nowMs(): number {
    return this.#redis.settings.clock.now();
  }

  take(asks: readonly Ask[]): Promise<TakeDecisions> {
    return this.#takes.take(asks);
  }

  protected makeProvider(window: Window): RedisProvider {
    const { hardLimitFactor } = this;
    const ofStrategy = (strategy: "absolute" | "suppressed") =>
      this.limiter({ name: "", strategy, hardLimitFactor, ...window });
    const close = async () => this.#redis.close();
    const provider: RedisProvider = {
      absolute: ofStrategy("absolute") as RedisAbsolute,
      suppressed: ofStrategy("suppressed") as RedisSuppressed,
      windowMs: window.windowMs,
      withWindow: this.withWindow,
      close,
      [Symbol.asyncDispose]: close,
    };
    setFamily(provider, this);
    return provider;
  }

  protected makeLimiter(limit: NamedLimit): RedisLimiter {
    const parts = this.#redis.partsOf(limit);
    return limit.strategy === "absolute" ? new RedisAbsolute(parts) : new RedisSuppressed(parts);
  }
}
