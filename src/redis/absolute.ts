import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { allowed, rejected, rejection } from "../strategy/decision.ts";
import { numberFrom, numbersFrom, type Peek, RedisLimiter, text } from "./limiter.ts";
import { ABSOLUTE_INC } from "./lua.generated.ts";

/**
 * The deterministic sliding window: no span of `windowMs` ever contains more than the capacity. The methods are
 * those of {@link Limiter}, with promises.
 */
export class RedisAbsolute extends RedisLimiter {
  protected async decide(key: string, rate: Rate, limit: number, count: number): Promise<Decision> {
    const reply = await this.run(ABSOLUTE_INC, key, text(count), text(limit), text(rate));
    if (!Array.isArray(reply)) return allowed(limit, limit - numberFrom(reply));
    const [total, wait = 0, freed] = numbersFrom(reply) as [number, number?, number?];
    return rejection(limit, total, count, this.waitMsFrom(wait), freed);
  }

  protected foresee(peek: Peek, count: number): Decision {
    const limit = this.limitOf(peek.rate);
    const taken = peek.total + peek.leased;
    if (taken + count <= limit) return allowed(limit, limit - taken - count);
    return rejection(limit, taken, count, peek.waitMs, peek.freed);
  }

  protected factor(peek: Peek): number {
    return peek.total + peek.leased < this.limitOf(peek.rate) ? 0 : 1;
  }

  /** @internal */
  deny(limit: number): Decision {
    return rejected(limit, 0, this.settings.timeoutMs, 0);
  }
}
