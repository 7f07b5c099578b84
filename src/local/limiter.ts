// What both strategies share on Local: finding a key's window, and the methods that do the same to
// either. The strategies add how to decide.

import { checkedCondition, checkHistory } from "../core/condition.ts";
import { checkCount } from "../core/count.ts";
import type { Ask } from "../core/family.ts";
import { checkKey } from "../core/key.ts";
import { checkBlockMs, type LimiterSettings } from "../core/options.ts";
import { type Rate, unlimited } from "../core/rate.ts";
import type { Tally } from "../core/tally.ts";
import type { Condition, Decision, History, Limiter, SetIfResult, Usage } from "../core/types.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { meets } from "../strategy/corrections.ts";
import { emptyWindow, type SuppressedView, type WindowView } from "../strategy/view.ts";
import type { Cleanup } from "./cleanup.ts";
import type { Window } from "./window.ts";
import type { WindowStore } from "./window-store.ts";

const UNKNOWN: Usage = Object.freeze({ total: 0, declined: 0, accepted: 0, limit: 0, suppressionFactor: 0 });

/** What a limiter of one strategy is made of. */
export interface LocalLimiterParts {
  readonly settings: LimiterSettings;
  readonly store: WindowStore;
  readonly cleanup: Cleanup;
  readonly tally: Tally;
}

/** The methods of one strategy on Local; all are synchronous. */
export abstract class LocalLimiter implements Limiter {
  /** @internal */
  readonly store: WindowStore;
  /** The window of the key that `store.find` has selected. @internal */
  readonly window: Window;
  /** The window of a key that isn't stored. */
  protected readonly unknown: WindowView & SuppressedView;
  protected readonly windowMs: number;
  /** @internal */
  readonly tally: Tally;
  /** Whether the key of the ask is stored that was selected last, and whether it would be admitted. */
  protected isStored = false;
  protected admits = false;
  readonly #cleanup: Cleanup;
  #lastRate: number = Number.NaN;
  #lastLimit: number = Number.NaN;

  /** @internal */
  constructor({ settings, store, cleanup, tally }: LocalLimiterParts) {
    this.store = store;
    this.window = store.window;
    this.unknown = emptyWindow(settings.windowMs);
    this.windowMs = settings.windowMs;
    this.tally = tally;
    this.#cleanup = cleanup;
  }

  abstract inc(key: string, rate: Rate, count?: number): Decision;

  // The steps of a take that isn't plain (see takes.ts), in this order. Each is taken for all asks before the next one.

  /** Finds the key of an ask. @internal */
  lookUp(key: string): void {
    this.isStored = this.store.selectOnly(key);
  }

  /** Looks at the window of the key that was looked up, at the time of the take. @internal */
  lookAt({ rate }: Ask, key: string, nowMs: number): void {
    this.window.noteTime(nowMs);
    if (this.isStored) {
      this.window.lookAt(nowMs);
      this.window.setRate(rate);
    } else {
      checkKey(key);
    }
  }

  /** Says whether the ask whose key is selected would be admitted. @internal */
  abstract weigh(ask: Ask, key: string): boolean;

  /** Counts the ask that was weighed last, because all asks of its take are admitted. @internal */
  abstract count(ask: Ask, key: string): Decision;

  /** The decision about the ask that was weighed last, where its take is denied. @internal */
  concludeDenied(ask: Ask, key: string): Decision {
    const decision = this.conclude(ask, key);
    return ask.count > 0 ? this.tally.addOfDeniedTake(decision, key) : decision;
  }

  protected abstract conclude(ask: Ask, key: string): Decision;

  isAllowed(key: string, count = 1, rate?: Rate): Decision {
    checkCount("count", count, 1);
    const isLive = this.findLive(key);
    const window = isLive ? this.window : this.unknown;
    const judgedBy = rate !== undefined ? rate : isLive ? this.window.rate : unlimited();
    const blockedMs = this.store.blockedMs(key);
    return blockedMs > 0
      ? this.rejectBlocked(window, judgedBy, count, blockedMs)
      : this.foresee(window, judgedBy, count);
  }

  get(key: string): Usage {
    if (!this.findLive(key)) return UNKNOWN;
    const { observed, declined, used, rate } = this.window;
    return {
      total: observed,
      declined,
      accepted: used,
      limit: this.limitOf(rate),
      suppressionFactor: this.store.blockedMs(key) > 0 ? 1 : this.factor(),
    };
  }

  adjust(key: string, delta: number): number {
    checkCount("delta", delta, Number.MIN_SAFE_INTEGER);
    const { window } = this;
    if (!this.findLive(key)) return 0;
    window.adjust(delta);
    const total = window.observed;
    if (total === 0) this.store.remove();
    return total;
  }

  setIf(key: string, rate: Rate, condition: Condition, count: number, history: History = "replace"): SetIfResult {
    this.limitOf(rate);
    const checked = checkedCondition(condition);
    checkCount("count", count, 0);
    checkHistory(history);
    checkKey(key);
    const { store, window } = this;
    const stored = store.find(key);
    const previousTotal = stored ? window.observed : 0;
    if (stored) window.setRate(rate);
    if (!meets(checked, previousTotal)) return { matched: false, previousTotal, currentTotal: previousTotal };
    if (count > 0) {
      if (!stored) this.insert(key, rate);
      window.setTotal(count, history);
    } else {
      store.blocks.delete(key);
      if (stored) store.remove();
    }
    return { matched: true, previousTotal, currentTotal: count };
  }

  setRate(key: string, rate: Rate): Rate | undefined {
    this.limitOf(rate);
    if (!this.findLive(key)) return undefined;
    const before = this.window.rate;
    this.window.setRate(rate);
    return before;
  }

  block(key: string, ms: number): void {
    checkBlockMs("ms", ms);
    this.store.find(key);
    checkKey(key);
    this.#cleanup.noteNewKey();
    this.store.block(key, ms);
  }

  unblock(key: string): void {
    checkKey(key);
    this.store.blocks.delete(key);
  }

  delete(key: string): number {
    this.store.blocks.delete(key);
    if (!this.findLive(key)) return 0;
    const total = this.window.observed;
    this.store.remove();
    return total;
  }

  clear(): void {
    this.store.clear();
  }

  /** The rejection of a call to a key that is blocked for `leftMs` more. */
  protected abstract rejectBlocked(window: WindowView, rate: Rate, count: number, leftMs: number): Decision;

  /** What `inc` does with a call to a key that is blocked. */
  protected incBlocked(window: WindowView, key: string, rate: Rate, count: number): Decision {
    return this.tally.addOver(this.rejectBlocked(window, rate, count, this.store.blockedMs(key)), key);
  }

  /** The decision that a call would get, if its key isn't blocked. */
  protected abstract foresee(window: WindowView & SuppressedView, rate: Rate, count: number): Decision;

  /** The factor that a call of 1 to the selected key would meet now. */
  protected abstract factor(): number;

  /** Whether the key of the ask that was weighed last wasn't stored then, or was denied. @internal */
  get isNew(): boolean {
    return !(this.isStored && this.admits);
  }

  /** Selects `key` if anything of it is live; any other key has to be a valid one. */
  protected findLive(key: string): boolean {
    if (this.store.findLive(key)) return true;
    checkKey(key);
    return false;
  }

  /** Stores and selects a valid key, in which something is counted at once. */
  protected insert(key: string, rate: Rate): void {
    // First, for a sweep selects other keys.
    this.#cleanup.noteNewKey();
    this.store.insert(key, rate);
  }

  /** The capacity at `rate`; successive calls mostly bring the same one. @internal */
  limitOf(rate: Rate): number {
    return rate === this.#lastRate ? this.#lastLimit : this.#newLimitOf(rate);
  }

  #newLimitOf(rate: Rate): number {
    this.#lastLimit = capacityOf(rate, this.windowMs);
    this.#lastRate = rate;
    return this.#lastLimit;
  }
}
