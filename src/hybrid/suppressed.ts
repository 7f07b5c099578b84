import { weightOf } from "../core/family.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import type { RedisSuppressed } from "../redis/suppressed.ts";
import { allowed } from "../strategy/decision.ts";
import {
  admittedByDraw,
  deniedByFactor,
  drawAdmits,
  type SuppressedRule,
  suppressedRuleOf,
} from "../strategy/suppressed.ts";
import type { HybridParts } from "./exchanges.ts";
import type { Holder } from "./holder.ts";
import { HybridLimiter } from "./limiter.ts";
import type { FactorArguments } from "./protocol.ts";
import type { Serving } from "./serving.ts";
import { type HolderStrategy, NO_DRAW, type Undecided, type Weighed, type WeighedAsk } from "./strategy.ts";

/** Sheds a growing, random fraction of an overload, so that what all processes admit stays at the limit. */
export class HybridSuppressed extends HybridLimiter implements SuppressedLimiter {
  /** @internal */
  constructor(parts: HybridParts, redis: RedisSuppressed) {
    super(parts, redis, new Suppressed(parts.settings));
  }

  /** The factor that a call of 1 would meet now; 0 for an unknown key. Records nothing. */
  async getSuppressionFactor(key: string): Promise<number> {
    return (await this.get(key)).suppressionFactor;
  }
}

class Suppressed implements HolderStrategy {
  readonly countsDenied = true;
  readonly #settings: LimiterSettings;
  #lastRule: SuppressedRule | undefined;

  constructor(settings: LimiterSettings) {
    this.#settings = settings;
  }

  decide(
    holder: Holder,
    count: number,
    nowMs: number,
    serving?: Serving,
    draw: Undecided = NO_DRAW,
  ): Decision | Undecided {
    if (holder.isBlocked) return holder.rejectBlocked(count, this.#ruleOf(holder.rate).hardLimit, nowMs) ?? draw;
    if (holder.trySpend(count, nowMs, serving)) return allowed(holder.limit, holder.used, holder.moreAfterMs(nowMs));
    if (!holder.isCurrent || holder.used + count <= holder.limit) return draw;
    const factor = this.#isOverHard(holder, count, nowMs) ? 1 : Math.max(holder.factorAt(nowMs), serving?.factor ?? -1);
    return factor < 0 ? draw : this.#decideOver(holder, count, nowMs, factor, draw);
  }

  #decideOver(holder: Holder, count: number, nowMs: number, factor: number, taken: Undecided): Decision | Undecided {
    const { used } = holder;
    const rule = this.#ruleOf(holder.rate);
    const isNew = taken === NO_DRAW && factor < 1;
    const draw = isNew ? this.#settings.random() : taken;
    if (factor < 1 && draw >= factor) {
      if (isNew) holder.ensureDraws().note(count);
      if (!holder.trySpendAbove(count, nowMs)) return draw;
      return admittedByDraw(rule, used + count, holder.moreAfterMs(nowMs), factor);
    }
    holder.addHit(count, count, nowMs);
    return deniedByFactor(holder.viewAt(nowMs), rule, count, factor, holder.moreAfterMs(nowMs));
  }

  /** Whether a call would pass the hard limit, or isn't covered and Redis is known to have no room for it there. */
  #isOverHard(holder: Holder, count: number, nowMs: number): boolean {
    const used = holder.used + count;
    if (used > this.#ruleOf(holder.rate).hardLimit) return true;
    return holder.ensureDraws().isKnownOver(used, nowMs) && !holder.lease.canSpendAbove(count);
  }

  weigh(holder: Holder, count: number, nowMs: number): Weighed | undefined {
    const rule = this.#ruleOf(holder.rate);
    if (holder.isBlocked) {
      const isBlocked = holder.rejectBlocked(count, rule.hardLimit, nowMs) !== undefined;
      return isBlocked ? { admits: false, factor: -1 } : undefined;
    }
    if (holder.canSpend(count)) return { admits: true, factor: -1 };
    const { used } = holder;
    if (!holder.isCurrent || used + count <= holder.limit) return undefined;
    const factor = this.#isOverHard(holder, count, nowMs) ? 1 : holder.factorAt(nowMs);
    if (factor < 0 || (factor < 1 && !holder.lease.canSpendAbove(count))) return undefined;
    if (factor === 1) return { admits: false, factor };
    const draw = this.#settings.random();
    return { admits: drawAdmits(factor, () => draw), factor, draw };
  }

  conclude(holder: Holder, weighed: Weighed, { count, isTaken }: WeighedAsk, nowMs: number): Decision {
    const rule = this.#ruleOf(holder.rate);
    const weight = weightOf(count);
    const blocked = holder.isBlocked ? holder.rejectBlocked(weight, rule.hardLimit, nowMs) : undefined;
    if (blocked !== undefined) return blocked;
    const { factor, admits } = weighed;
    if (count > 0 && admits && factor >= 0) holder.ensureDraws().note(count);
    if (count > 0 && isTaken) {
      if (factor < 0) holder.trySpend(count, nowMs);
      else holder.trySpendAbove(count, nowMs);
    } else if (count > 0) holder.addHit(count, count, nowMs);
    const moreAfterMs = holder.moreAfterMs(nowMs);
    if (factor < 0) return allowed(rule.limit, holder.used, moreAfterMs);
    if (admits) return admittedByDraw(rule, holder.used, moreAfterMs, factor);
    return deniedByFactor(holder.viewAt(nowMs), rule, weight, factor, moreAfterMs);
  }

  factorArguments(rate: Rate): FactorArguments {
    return { suppressionCacheMs: this.#settings.suppressionCacheMs, hardLimit: this.#ruleOf(rate).hardLimit };
  }

  #ruleOf(rate: Rate): SuppressedRule {
    if (this.#lastRule?.rate !== rate) this.#lastRule = suppressedRuleOf(rate, this.#settings);
    return this.#lastRule;
  }
}
