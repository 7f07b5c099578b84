import { weightOf } from "../core/family.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { absoluteFactor, decideAbsolute } from "../strategy/absolute.ts";
import { allowed, rejected } from "../strategy/decision.ts";
import type { WindowView } from "../strategy/view.ts";
import type { CallTerms } from "./batch.ts";
import { RepliesOf } from "./commands.ts";
import { type Counting, type DecidedCall, RedisLimiter } from "./limiter.ts";
import { ABSOLUTE_INC } from "./lua.generated.ts";
import { admissionFrom, blockFrom, isWait, isWhole, isWithin, misfit } from "./reply.ts";

/**
 * The deterministic sliding window: no span of `windowMs` ever contains more than the capacity. It has the methods of
 * {@link Limiter}, which return promises.
 */
export class RedisAbsolute extends RedisLimiter {
  /** @internal */
  readonly countsDenied = false;
  readonly #denials = new RepliesOf(ABSOLUTE_INC);

  #denied(reply: readonly unknown[], rate: Rate, limit: number, count: number): Decision {
    const block = blockFrom(reply, this.settings.windowMs);
    if (block !== undefined) return this.rejectByReply(block, rate, count);
    const { used, wait, freed, moreMs } = this.#denials.read(reply);
    const isSoundWait = count > limit ? wait === -1 : isWait(wait);
    if (!isWhole(used) || !isSoundWait || !isWithin(freed, used) || !isWhole(moreMs)) throw misfit(reply);
    // The script tells of the window that it saw, and of such a window the decision is made here as everywhere.
    const waitMs = this.waitMsFrom(wait);
    const window = {
      ...this.unknown,
      used,
      waitMsFor: () => waitMs,
      freedWith: () => freed,
      oldestExpiresInMs: moreMs,
    };
    const decision = decideAbsolute(window, limit, count);
    if (decision.allowed) throw misfit(reply);
    return decision;
  }

  protected termsOf(rate: Rate, limit: number, count: number): CallTerms {
    return this.makeTerms(ABSOLUTE_INC, { count, limit, rate });
  }

  protected draw(): undefined {}

  /** @internal */
  concluded(reply: unknown, { rate, count }: DecidedCall, counting: Counting): Decision {
    const limit = this.limitOf(rate);
    const weight = weightOf(count);
    if (Array.isArray(reply)) return this.#denied(reply, rate, limit, weight);
    const counted = counting === "not counted" ? 0 : count;
    const { used, moreAfterMs } = admissionFrom(reply, counted, limit, this.settings.windowMs);
    if (counting !== "given back") return allowed(limit, used, moreAfterMs);
    return allowed(limit, used - counted, used === counted ? 0 : moreAfterMs);
  }

  protected mostOf(rate: Rate): number {
    return this.limitOf(rate);
  }

  protected foresee(window: WindowView, rate: Rate, count: number): Decision {
    return decideAbsolute(window, this.limitOf(rate), count);
  }

  protected factor(window: WindowView, rate: Rate): number {
    return absoluteFactor(window, this.limitOf(rate));
  }

  /** @internal */
  deny(limit: number): Decision {
    return rejected(limit, 0, this.settings.timeoutMs, 0, this.settings.timeoutMs);
  }
}
