import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import { hardLimitOf } from "../strategy/capacity.ts";
import { admission, allowed, denial, suppressed } from "../strategy/decision.ts";
import { suppressionFactor } from "../strategy/suppressed.ts";
import { RedisLimiter, text } from "./limiter.ts";
import { SUPPRESSED_INC } from "./lua.generated.ts";
import type { Peek } from "./peek.ts";
import { isShare, isWait, isWhole, isWithin, misfit, numberFrom, numbersFrom } from "./reply.ts";

/**
 * Sheds a growing, random fraction of an overload, so that what is admitted stays at the limit. The methods are
 * those of {@link SuppressedLimiter}, with promises.
 */
export class RedisSuppressed extends RedisLimiter implements SuppressedLimiter {
  /** Draws that a script was given and had no use for: the next calls take them, so that chance is spent as on Local. */
  readonly #draws: number[] = [];

  async getSuppressionFactor(key: string): Promise<number> {
    return (await this.get(key)).suppressionFactor;
  }

  protected async decide(key: string, rate: Rate, limit: number, count: number): Promise<Decision> {
    const draw = this.#draws.pop() ?? this.settings.random();
    const hardLimit = this.#hardLimitOf(rate);
    const numbers = [count, limit, rate, hardLimit, this.settings.suppressionCacheMs, draw];
    const reply = await this.run(SUPPRESSED_INC, key, ...numbers.map(text));
    if (!Array.isArray(reply)) {
      const accepted = numberFrom(reply);
      if (!(accepted >= count && isWithin(accepted, limit))) throw misfit(reply);
      this.#draws.push(draw);
      return allowed(limit, accepted);
    }
    const [admitted, accepted, scaledFactor, wait, oldestAccepted] = numbersFrom(reply, 5) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const factor = scaledFactor / 2 ** 53;
    const isSound =
      admitted === (draw >= factor && factor < 1 ? 1 : 0) &&
      isWhole(accepted) &&
      accepted + count > limit &&
      (accepted + count > hardLimit ? factor === 1 : isShare(factor)) &&
      isWait(wait) &&
      isWithin(oldestAccepted, accepted + count);
    if (!isSound) throw misfit(reply);
    if (factor === 1) this.#draws.push(draw);
    if (admitted === 1) return admission(limit, accepted + count, factor);
    return denial(limit, hardLimit, accepted, count, factor, this.waitMsFrom(wait), oldestAccepted);
  }

  protected foresee(peek: Peek, count: number): Decision {
    const { rate, oldestExpiresInMs, oldestAccepted } = peek;
    const accepted = peek.total - peek.declined + peek.leased;
    const limit = this.limitOf(rate);
    if (accepted + count <= limit) return allowed(limit, accepted + count);
    const factor = this.#factorFor(peek, accepted + count);
    if (factor < 1 && (this.#draws.pop() ?? this.settings.random()) >= factor) {
      return admission(limit, accepted + count, factor);
    }
    return denial(limit, this.#hardLimitOf(rate), accepted, count, factor, oldestExpiresInMs, oldestAccepted);
  }

  protected factor(peek: Peek): number {
    const accepted = peek.total - peek.declined + peek.leased;
    return accepted + 1 <= this.limitOf(peek.rate) ? 0 : this.#factorFor(peek, accepted + 1);
  }

  /** @internal */
  deny(limit: number): Decision {
    return suppressed(false, limit, 0, this.settings.timeoutMs, 0, 1);
  }

  /** The factor over the soft limit, for a call that would bring accepted usage to `wanted`. */
  #factorFor(peek: Peek, wanted: number): number {
    const { rate, total, keptFactor, keptFactorAgeMs, recentPerSecond } = peek;
    if (wanted > this.#hardLimitOf(rate)) return 1;
    if (keptFactorAgeMs < this.settings.suppressionCacheMs) return keptFactor;
    return suppressionFactor(rate, total, this.settings.windowMs, recentPerSecond);
  }

  #hardLimitOf(rate: Rate): number {
    return hardLimitOf(rate, this.settings.windowMs, this.settings.hardLimitFactor);
  }
}
