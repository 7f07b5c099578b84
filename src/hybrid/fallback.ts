// Who decides about a call when Redis can't: what the failure policy says. What is admitted so is counted here, and
// reported when Redis is back.

import { type Adjuster, setAdjuster } from "../core/adjuster.ts";
import type { Decision } from "../core/types.ts";
import { applyPolicy } from "../redis/failure.ts";
import type { RedisLimiter } from "../redis/limiter.ts";
import type { RedisParts } from "../redis/parts.ts";
import { allowed, markDegraded } from "../strategy/decision.ts";
import type { Holder } from "./holder.ts";
import type { WaitingCall } from "./protocol.ts";

export class Fallback {
  readonly #parts: RedisParts;
  readonly #redis: RedisLimiter;
  readonly #adjuster: Adjuster;

  /** @param adjuster corrects what is counted with these decisions */
  constructor(parts: RedisParts, redis: RedisLimiter, adjuster: Adjuster) {
    this.#parts = parts;
    this.#redis = redis;
    this.#adjuster = adjuster;
  }

  /**
   * Decides about a call that got no answer because of `error`.
   *
   * @param countedAs the number under which Redis may have counted the call all the same; 0 if it can't have
   * @throws `error` itself if the policy leaves it to the caller, or if it isn't about Redis
   */
  decideAfter(error: unknown, holder: Holder, call: WaitingCall, countedAs: number): Decision {
    applyPolicy(error, this.#parts.policy, this.#parts.watch);
    return this.#decide(holder, call, countedAs);
  }

  /** Decides about a call that wasn't sent, because the breaker refuses calls. */
  decideRefused(policy: "allow" | "deny" | "local", holder: Holder, call: WaitingCall): Decision {
    this.#parts.watch.noteDegraded(policy, "BACKEND_UNAVAILABLE");
    return this.#decide(holder, call, 0);
  }

  #decide(holder: Holder, call: WaitingCall, countedAs: number): Decision {
    return this.#parts.tally.add(this.#decisionOf(holder, call, countedAs), holder.key);
  }

  /** Under any policy but `"throw"`. At once, so that the hit is there before the next report. */
  #decisionOf(holder: Holder, { rate, limit, count }: WaitingCall, countedAs: number): Decision {
    holder.degrade(rate, limit);
    const { policy, local, settings } = this.#parts;
    if (policy === "deny") return markDegraded(this.#redis.deny(limit));
    const blocked = holder.isBlocked ? holder.rejectBlocked(count, limit, settings.clock.now()) : undefined;
    if (blocked !== undefined) return markDegraded(blocked);
    const decision = policy === "allow" ? allowed(limit, 0, 0) : (local().inc(holder.key, rate, count) as Decision);
    if (decision.allowed || decision.outcome === "suppressed") {
      const declined = decision.allowed ? 0 : count;
      const nowMs = settings.clock.now();
      if (countedAs === 0) holder.addHit(count, declined, nowMs);
      else holder.outbox.addInFlight(countedAs, count, declined, nowMs);
    }
    return setAdjuster(markDegraded(decision), this.#adjuster);
  }
}
