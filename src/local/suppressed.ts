import { checkCount } from "../core/count.ts";
import { type Ask, weightOf } from "../core/family.ts";
import { checkKey } from "../core/key.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import { decideBlocked } from "../strategy/block.ts";
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
import type { SuppressedView, WindowView } from "../strategy/view.ts";
import { LocalLimiter, type LocalLimiterParts } from "./limiter.ts";

/** A call under the soft limit meets no factor. */
const NO_FACTOR = -1;

/**
 * Denies a random share of the calls that grows with the overload, so that the admitted load stays at the limit. It has
 * the methods of {@link SuppressedLimiter}, which return values.
 */
export class LocalSuppressed extends LocalLimiter implements SuppressedLimiter {
  readonly #settings: LimiterSettings;
  #lastRule: SuppressedRule | undefined;
  /** The factor that the ask met which was weighed last. */
  #factor = NO_FACTOR;

  /** @internal */
  constructor(parts: LocalLimiterParts) {
    super(parts);
    this.#settings = parts.settings;
  }

  // What happens seldom is apart, as in `LocalAbsolute`.
  inc(key: string, rate: Rate, count = 1): Decision {
    const rule = this.#ruleOf(rate);
    if (count !== 1) checkCount("count", count, 1);
    const { limit } = rule;
    const { store, window } = this;
    if (!store.find(key)) return this.#incUnknown(key, rate, count);
    window.setRate(rate);
    if (store.hasBlocks && store.blockedMs(key) > 0) return this.incBlocked(window, key, rate, count);
    if (window.used + count > limit) return this.#incOver(key, rule, count);
    const used = window.accept(count);
    this.tally.addAllowed(limit, used);
    return allowed(limit, used, window.moreAfterHitMs());
  }

  /** What `inc` does with a key that isn't stored. */
  #incUnknown(key: string, rate: Rate, count: number): Decision {
    checkKey(key);
    if (this.store.blockedMs(key) > 0) return this.incBlocked(this.unknown, key, rate, count);
    const rule = this.#ruleOf(rate);
    this.insert(key, rate);
    if (count > rule.limit) return this.#incOver(key, rule, count);
    const used = this.window.accept(count);
    this.tally.addAllowed(rule.limit, used);
    return allowed(rule.limit, used, this.window.moreAfterHitMs());
  }

  /** What `inc` does with a call that doesn't fit under the soft limit. */
  #incOver(key: string, rule: SuppressedRule, count: number): Decision {
    return this.tally.addSuppressed(this.store.shedding.decide(rule, count, this.#settings.random), key);
  }

  getSuppressionFactor(key: string): number {
    return this.get(key).suppressionFactor;
  }

  /** @internal */
  weigh(ask: Ask, key: string): boolean {
    this.admits = this.#weigh(ask, key);
    return this.admits;
  }

  #weigh({ rate, count }: Ask, key: string): boolean {
    if (this.store.blockedMs(key) > 0) return false;
    const rule = this.#ruleOf(rate);
    const view = this.isStored ? this.window : this.unknown;
    const weight = weightOf(count);
    this.#factor = NO_FACTOR;
    if (view.used + weight <= rule.limit) return true;
    this.#factor = knownFactor(view, rule, weight);
    if (this.#factor < 0) {
      this.#factor = freshFactor(view, rule);
      // What is kept lies beside what is counted.
      if (view.observed > 0) this.window.keepFactor(this.#factor);
    }
    return drawAdmits(this.#factor, this.#settings.random);
  }

  /** @internal */
  count(ask: Ask, key: string): Decision {
    const decision = this.#concludeUnblocked(ask, key, true);
    return ask.count > 0 ? this.tally.add(decision, key) : decision;
  }

  protected conclude(ask: Ask, key: string): Decision {
    const blockedMs = this.store.blockedMs(key);
    if (blockedMs === 0) return this.#concludeUnblocked(ask, key, false);
    return this.rejectBlocked(this.isStored ? this.window : this.unknown, ask.rate, weightOf(ask.count), blockedMs);
  }

  #concludeUnblocked({ rate, count }: Ask, key: string, isTaken: boolean): Decision {
    const { store, window } = this;
    const rule = this.#ruleOf(rate);
    if (count > 0 && !this.isStored) store.insert(key, rate);
    const view = this.isStored || count > 0 ? window : this.unknown;
    // By the count and not by the total, which may have stopped at the largest one.
    const used = isTaken ? view.used + count : view.used;
    if (count > 0) window.addHit(count, isTaken ? 0 : count);
    const { oldestExpiresInMs } = view;
    if (this.#factor === NO_FACTOR) return allowed(rule.limit, used, oldestExpiresInMs);
    if (this.admits) return admittedByDraw(rule, used, oldestExpiresInMs, this.#factor);
    return deniedByFactor(view, rule, weightOf(count), this.#factor, oldestExpiresInMs);
  }

  protected rejectBlocked(window: WindowView, rate: Rate, count: number, leftMs: number): Decision {
    const { limit, hardLimit } = this.#ruleOf(rate);
    return decideBlocked(window, { limit, most: hardLimit, windowMs: this.windowMs }, count, leftMs);
  }

  protected foresee(window: SuppressedView, rate: Rate, count: number): Decision {
    return decideSuppressed(window, this.#ruleOf(rate), count, this.#settings.random);
  }

  protected factor(): number {
    return factorOfNext(this.window, this.#ruleOf(this.window.rate));
  }

  /** What calls at `rate` are judged by; successive calls mostly bring the same rate. */
  #ruleOf(rate: Rate): SuppressedRule {
    if (this.#lastRule?.rate !== rate) this.#lastRule = suppressedRuleOf(rate, this.#settings);
    return this.#lastRule;
  }
}
