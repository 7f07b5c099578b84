import { weightOf } from "../core/family.ts";
import type { Decision } from "../core/types.ts";
import type { RedisAbsolute } from "../redis/absolute.ts";
import { decideAbsolute } from "../strategy/absolute.ts";
import { allowed } from "../strategy/decision.ts";
import type { HybridParts } from "./exchanges.ts";
import type { Holder } from "./holder.ts";
import { HybridLimiter } from "./limiter.ts";
import { NO_FACTOR } from "./protocol.ts";
import type { Serving } from "./serving.ts";
import { type HolderStrategy, NO_DRAW, type Undecided, type Weighed, type WeighedAsk } from "./strategy.ts";

/** The deterministic sliding window: no span of `windowMs` ever contains more than the capacity, over all processes. */
export class HybridAbsolute extends HybridLimiter {
  /** @internal */
  constructor(parts: HybridParts, redis: RedisAbsolute) {
    super(parts, redis, ABSOLUTE);
  }
}

const ADMITS: Weighed = { admits: true, factor: -1 };
const DENIES: Weighed = { admits: false, factor: -1 };

const ABSOLUTE: HolderStrategy = {
  countsDenied: false,

  decide(holder: Holder, count: number, nowMs: number, serving?: Serving): Decision | Undecided {
    if (holder.isBlocked) return holder.rejectBlocked(count, holder.limit, nowMs) ?? NO_DRAW;
    if (holder.trySpend(count, nowMs, serving)) return allowed(holder.limit, holder.used, holder.moreAfterMs(nowMs));
    return rejection(holder, count, nowMs, serving) ?? NO_DRAW;
  },

  weigh(holder: Holder, count: number, nowMs: number): Weighed | undefined {
    if (holder.isBlocked) return holder.rejectBlocked(count, holder.limit, nowMs) === undefined ? undefined : DENIES;
    if (holder.canSpend(count)) return ADMITS;
    return rejection(holder, count, nowMs) === undefined ? undefined : DENIES;
  },

  conclude(holder: Holder, { admits }: Weighed, { count, isTaken }: WeighedAsk, nowMs: number): Decision {
    const weight = weightOf(count);
    if (!admits) {
      const blocked = holder.isBlocked ? holder.rejectBlocked(weight, holder.limit, nowMs) : undefined;
      return blocked ?? decideAbsolute(holder.viewAt(nowMs), holder.limit, weight);
    }
    if (isTaken && count > 0) holder.trySpend(count, nowMs);
    return allowed(holder.limit, holder.used, holder.moreAfterMs(nowMs));
  },

  factorArguments() {
    return NO_FACTOR;
  },
};

/**
 * The rejection, if it is known that there is no room. Where there is room and no lease, Redis has to count the call.
 */
function rejection(holder: Holder, count: number, nowMs: number, serving?: Serving): Decision | undefined {
  if (!holder.isCurrent || holder.used + count <= holder.limit) return undefined;
  const isDenied = count > holder.limit || serving?.isDenied(count) || holder.hasNoRoomFor(count, nowMs);
  return isDenied ? decideAbsolute(holder.viewAt(nowMs), holder.limit, count) : undefined;
}
