import { checkCount } from "../core/count.ts";
import { checkKey } from "../core/key.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { absoluteFactor, decideAbsolute, rejection } from "../strategy/absolute.ts";
import { allowed } from "../strategy/decision.ts";
import type { WindowView } from "../strategy/view.ts";
import { LocalLimiter } from "./limiter.ts";

/**
 * The deterministic sliding window: no span of `windowMs` ever contains more than the capacity. The methods are
 * those of {@link Limiter}, with values for answers.
 */
export class LocalAbsolute extends LocalLimiter {
  inc(key: string, rate: Rate, count = 1): Decision {
    const limit = this.limitOf(rate);
    if (count !== 1) checkCount("count", count, 1);
    const { store, window } = this;
    if (store.find(key)) {
      window.setRate(rate);
    } else {
      checkKey(key);
      if (count > limit) return rejection(this.unknown, limit, count);
      this.insert(key, rate);
    }
    const used = window.used + count;
    if (used > limit) return rejection(window, limit, count);
    window.addHit(count, 0);
    return allowed(limit, used, window.oldestExpiresInMs);
  }

  protected foresee(window: WindowView, rate: Rate, count: number): Decision {
    return decideAbsolute(window, this.limitOf(rate), count);
  }

  protected factor(): number {
    return absoluteFactor(this.window, this.limitOf(this.window.rate));
  }
}
