import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { allowed, rejected, rejection } from "../strategy/decision.ts";
import { RedisLimiter, text } from "./limiter.ts";
import { ABSOLUTE_INC } from "./lua.generated.ts";
import type { Peek } from "./peek.ts";
import { isWait, isWhole, isWithin, misfit, numberFrom, numbersFrom } from "./reply.ts";

/**
 * The deterministic sliding window: no span of `windowMs` ever contains more than the capacity. The methods are
 * those of {@link Limiter}, with promises.
 */
export class RedisAbsolute extends RedisLimiter {
  protected async decide(key: string, rate: Rate, limit: number, count: number): Promise<Decision> {
    const reply = await this.run(ABSOLUTE_INC, key, text(count), text(limit), text(rate));
    if (!Array.isArray(reply)) {
      const taken = numberFrom(reply);
      if (taken >= count && isWithin(taken, limit)) return allowed(limit, taken);
      throw misfit(reply);
    }
    const [taken, wait = 0, freed = 0] = numbersFrom(reply, count > limit ? 1 : 3) as [number, number?, number?];
    const isSound = isWhole(taken) && taken + count > limit && isWait(wait) && isWithin(freed, taken);
    if (isSound) return rejection(limit, taken, count, this.waitMsFrom(wait), freed);
    throw misfit(reply);
  }

  protected foresee(peek: Peek, count: number): Decision {
    const limit = this.limitOf(peek.rate);
    const taken = peek.total + peek.leased;
    if (taken + count <= limit) return allowed(limit, taken + count);
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
