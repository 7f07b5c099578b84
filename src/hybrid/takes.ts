// Takes on Hybrid: several calls that are all admitted and counted, or none is.
//
// | what this process knows of the asks                    | who decides                                             |
// |--------------------------------------------------------|---------------------------------------------------------|
// | one is denied, and no block has to begin               | this process: all is known that matters                 |
// | all are admitted: each has a lease                     | this process spends the leases                          |
// | anything else                                          | Redis, in one script, as on the Redis provider          |
// | the same, while the breaker or Redis refuses calls     | the failure policy; what it admits is reported later    |
//
// While Redis decides, the leases of this process stay set aside, so nothing is counted twice. Where a lease leaves
// Redis too little room for the take, the lease is returned first. Keys that are called often get a lease then.

import type { Ask, TakeDecisions } from "../core/family.ts";
import { checkKey } from "../core/key.ts";
import type { Awaitable, Decision } from "../core/types.ts";
import { isRefusal } from "../redis/failure.ts";
import type { OpenRedis } from "../redis/open.ts";
import { Takes } from "../redis/takes.ts";
import type { HybridLimiter } from "./limiter.ts";
import type { Weighed } from "./strategy.ts";

export class HybridTakes {
  readonly #redis: OpenRedis;
  readonly #takes: Takes;

  constructor(redis: OpenRedis) {
    this.#redis = redis;
    this.#takes = new Takes(redis);
  }

  take(asks: readonly Ask[]): Awaitable<TakeDecisions> {
    for (const { key } of asks) checkKey(key);
    const takenMs = this.#redis.settings.clock.now();
    const weighed = asks.map((ask) => limiterOf(ask).weigh(ask, takenMs));
    const denied = asks.filter((_, index) => weighed[index]?.admits === false);
    const isTaken = denied.length === 0;
    const isDecided = isTaken ? !weighed.includes(undefined) : !denied.some(beginsBlock);
    if (isDecided) return { isTaken, decisions: conclude(asks, weighed, isTaken, takenMs), takenMs };
    return this.#askRedis(asks, weighed, takenMs);
  }

  async #askRedis(
    asks: readonly Ask[],
    weighed: readonly (Weighed | undefined)[],
    takenMs: number,
  ): Promise<TakeDecisions> {
    const { backend, policy, settings, watch } = this.#redis;
    // Redis gets the draws too. With a draw there and one here, the take would be admitted too seldom.
    const ofRedis = asks.map((ask, index) => ({
      ...ask,
      limiter: limiterOf(ask).redis,
      draw: weighed[index]?.draw,
    }));
    if (backend.refuses && policy !== "throw") {
      watch.noteDegraded(policy, "BACKEND_UNAVAILABLE");
      return this.#noteDegraded(asks, this.#takes.decideInstead(ofRedis), takenMs);
    }
    watch.counts.waited += asks.filter(({ count }) => count > 0).length;
    await Promise.all(asks.map((ask) => limiterOf(ask).beginTake(ask, takenMs)));
    const answer = await this.#takes.take(ofRedis).finally(() => {
      for (const ask of asks) limiterOf(ask).endTake(ask);
    });
    // One that may have been counted is not reported, because that would count it twice.
    const { failure } = answer;
    if (failure !== undefined && isRefusal(failure)) return this.#noteDegraded(asks, answer.decisions, takenMs);
    const nowMs = settings.clock.nowOrLast();
    for (const [index, ask] of asks.entries()) {
      limiterOf(ask).noteTaken(ask, answer.decisions[index]!, answer.isTaken, nowMs);
    }
    return answer;
  }

  /** Counts here what the failure policy decided about a take that Redis has not counted, so that it is reported. */
  #noteDegraded(asks: readonly Ask[], made: readonly Decision[], takenMs: number): TakeDecisions {
    const { policy, settings } = this.#redis;
    const isTaken = made.every(({ allowed }) => allowed);
    // What the policy "deny" denies is no overload.
    if (policy === "deny") return { isTaken, decisions: made, takenMs };
    const nowMs = settings.clock.nowOrLast();
    const decisions = asks.map((ask, index) => limiterOf(ask).noteDegraded(ask, made[index]!, isTaken, nowMs));
    return { isTaken, decisions, takenMs };
  }
}

function limiterOf({ limiter }: Ask): HybridLimiter {
  return limiter as HybridLimiter;
}

/** Whether a denial of the ask has to begin a block, which Redis does in the same step. */
function beginsBlock(ask: Ask): boolean {
  return ask.blockMs > 0 && ask.count > 0 && !limiterOf(ask).isBlocked(ask.key);
}

function conclude(
  asks: readonly Ask[],
  weighed: readonly (Weighed | undefined)[],
  isTaken: boolean,
  nowMs: number,
): readonly Decision[] {
  return asks.map((ask, index) => {
    const known = weighed[index];
    const limiter = limiterOf(ask);
    const decision =
      known === undefined ? limiter.concludeUnknown(ask, nowMs) : limiter.conclude(ask, known, isTaken, nowMs);
    if (ask.count === 0) return decision;
    const { tally } = limiter.redis;
    return isTaken ? tally.add(decision, ask.key) : tally.addOfDeniedTake(decision, ask.key);
  });
}
