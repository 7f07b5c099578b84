import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import { text } from "../redis/limiter.ts";
import type { RedisSuppressed } from "../redis/suppressed.ts";
import { allowed } from "../strategy/decision.ts";
import {
  admittedByDraw,
  deniedByFactor,
  drawAdmits,
  type SuppressedRule,
  suppressedRuleOf,
} from "../strategy/suppressed.ts";
import { EMPTY_WINDOW } from "../strategy/view.ts";
import type { HybridParts } from "./exchanges.ts";
import type { KeyState } from "./key-state.ts";
import { HybridLimiter } from "./limiter.ts";

/** Sheds a growing, random fraction of an overload, so that what all processes admit stays at the limit. */
export class HybridSuppressed extends HybridLimiter implements SuppressedLimiter {
  readonly #settings: LimiterSettings;
  #lastRule: SuppressedRule | undefined;

  /** @internal */
  constructor(parts: HybridParts, redis: RedisSuppressed) {
    super(parts, redis);
    this.#settings = parts.settings;
  }

  /** The factor that a call of 1 would meet now; 0 for an unknown key. Records nothing. */
  async getSuppressionFactor(key: string): Promise<number> {
    return (await this.get(key)).suppressionFactor;
  }

  protected decide(state: KeyState, count: number, nowMs: number): Decision | undefined {
    const { limit } = state;
    if (state.hasLease(count)) {
      state.spend(count, nowMs);
      return allowed(limit, state.used);
    }
    const used = state.used;
    if (used + count <= limit) return undefined;
    const rule = this.#ruleOf(state.rate);
    const factor = used + count > rule.hardLimit ? 1 : state.factorAt(nowMs);
    if (factor < 0) return undefined;
    if (drawAdmits(factor, this.#settings.random)) {
      state.record(count, 0, nowMs);
      return admittedByDraw(rule, used + count, factor);
    }
    state.record(count, count, nowMs);
    const oldestExpiresInMs = state.firstExpiryMs - nowMs;
    const window = { ...EMPTY_WINDOW, used, oldestExpiresInMs, oldestAccepted: state.firstAccepted };
    return deniedByFactor(window, rule, count, factor);
  }

  protected factorArguments(rate: Rate): [string, string] {
    return [text(this.#settings.suppressionCacheMs), text(this.#ruleOf(rate).hardLimit)];
  }

  #ruleOf(rate: Rate): SuppressedRule {
    if (this.#lastRule?.rate !== rate) this.#lastRule = suppressedRuleOf(rate, this.#settings);
    return this.#lastRule;
  }
}
