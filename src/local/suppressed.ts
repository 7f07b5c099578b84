import { checkCount } from "../core/count.ts";
import { checkKey } from "../core/key.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import { allowed } from "../strategy/decision.ts";
import {
  admittedByDraw,
  decideSuppressed,
  deniedByFactor,
  drawAdmits,
  factorOfNext,
  freshFactor,
  knownFactor,
  type SuppressedRule,
  suppressedRuleOf,
} from "../strategy/suppressed.ts";
import type { SuppressedView } from "../strategy/view.ts";
import type { Cleanup } from "./cleanup.ts";
import { LocalLimiter } from "./limiter.ts";
import type { WindowStore } from "./window-store.ts";

/**
 * Sheds a growing, random fraction of an overload, so that what is admitted stays at the limit. The methods are
 * those of {@link SuppressedLimiter}, with values for answers.
 */
export class LocalSuppressed extends LocalLimiter implements SuppressedLimiter {
  readonly #settings: LimiterSettings;
  #lastRule: SuppressedRule | undefined;

  /** @internal */
  constructor(settings: LimiterSettings, store: WindowStore, cleanup: Cleanup | undefined) {
    super(settings, store, cleanup);
    this.#settings = settings;
  }

  inc(key: string, rate: Rate, count = 1): Decision {
    const rule = this.#ruleOf(rate);
    if (count !== 1) checkCount("count", count, 1);
    const { store, window } = this;
    if (store.find(key)) {
      window.setRate(rate);
    } else {
      checkKey(key);
      this.insert(key, rate);
    }
    const used = window.used;
    if (used + count <= rule.limit) {
      window.addHit(count, 0);
      return allowed(rule.limit, used + count, window.oldestExpiresInMs);
    }
    return this.#decideOver(rule, count);
  }

  getSuppressionFactor(key: string): number {
    return this.findLive(key) ? this.factor() : 0;
  }

  protected foresee(window: SuppressedView, rate: Rate, count: number): Decision {
    return decideSuppressed(window, this.#ruleOf(rate), count, this.#settings.random);
  }

  protected factor(): number {
    return factorOfNext(this.window, this.#ruleOf(this.window.rate));
  }

  /**
   * Decides about a call over the soft limit, and counts it. Apart from `inc`, so that V8 inlines what it needs in each
   * of the two.
   */
  #decideOver(rule: SuppressedRule, count: number): Decision {
    const { window } = this;
    let factor = knownFactor(window, rule, count);
    if (factor < 0) {
      factor = freshFactor(window, rule);
      window.keepFactor(factor);
    }
    if (!drawAdmits(factor, this.#settings.random)) {
      window.addHit(count, count);
      return deniedByFactor(window, rule, count, factor, window.oldestExpiresInMs);
    }
    const used = window.used + count;
    window.addHit(count, 0);
    return admittedByDraw(rule, used, window.oldestExpiresInMs, factor);
  }

  /** What calls at `rate` are judged by; successive calls mostly bring the same rate. */
  #ruleOf(rate: Rate): SuppressedRule {
    if (this.#lastRule?.rate !== rate) this.#lastRule = suppressedRuleOf(rate, this.#settings);
    return this.#lastRule;
  }
}
