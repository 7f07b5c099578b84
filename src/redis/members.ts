// What the families of Redis and of Hybrid have in common: their way to Redis, and what comes with it.

import { Members, type SharedDenials } from "../core/family.ts";
import type { Limiter, Provider } from "../core/types.ts";
import type { Watch } from "../core/watch.ts";
import type { OpenRedis } from "./open.ts";

export abstract class MembersOnRedis<P extends Provider, L extends Limiter> extends Members<P, L> {
  protected readonly redis: OpenRedis;

  constructor(redis: OpenRedis) {
    super();
    this.redis = redis;
  }

  get hardLimitFactor(): number {
    return this.redis.settings.hardLimitFactor;
  }

  get watch(): Watch {
    return this.redis.watch;
  }

  get sharedDenials(): SharedDenials {
    return this.redis.sharedDenials;
  }

  nowMs(): number {
    return this.redis.settings.clock.now();
  }
}
