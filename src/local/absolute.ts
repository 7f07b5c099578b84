import { checkKey } from "../core/key.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { allowed, rejection } from "../strategy/decision.ts";
import { checkCount } from "../strategy/history.ts";
import { LocalLimiter } from "./limiter.ts";

/**
 * The deterministic sliding window: no span of `windowMs` ever contains more than the capacity. The methods are
 * those of {@link Limiter}, with values for answers.
 */
export class LocalAbsolute extends LocalLimiter {
  inc(key: string, rate: Rate, count = 1): Decision {
    const limit = this.limitOf(rate);
    if (count !== 1) checkCount("count", count, 1);
    const store = this.store;
    if (store.find(key)) {
      store.rate = rate;
    } else {
      checkKey(key);
      if (count > limit) return rejection(limit, 0, count);
      this.insert(key, rate);
    }
    const total = store.total;
    if (total + count > limit) return this.#rejection(limit, count);
    store.record(count, 0);
    return allowed(limit, total + count);
  }

  protected foresee(rate: Rate, count: number): Decision {
    const limit = this.limitOf(rate);
    const total = this.store.total;
    if (total + count > limit) return this.#rejection(limit, count);
    return allowed(limit, total + count);
  }

  protected foreseeFirst(rate: Rate, count: number): Decision {
    const limit = this.limitOf(rate);
    return count > limit ? rejection(limit, 0, count) : allowed(limit, count);
  }

  protected factor(): number {
    return this.store.total < this.limitOf(this.store.rate) ? 0 : 1;
  }

  #rejection(limit: number, count: number): Decision {
    const store = this.store;
    const total = store.total;
    if (count > limit) return rejection(limit, total, count);
    const missing = total + count - limit;
    return rejection(limit, total, count, store.waitFor(missing), store.freedWith(missing));
  }
}
