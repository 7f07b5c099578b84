import { checkKey } from "../core/key.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import { hardLimitOf } from "../strategy/capacity.ts";
import { admission, allowed, denial } from "../strategy/decision.ts";
import { checkCount } from "../strategy/history.ts";
import { suppressionFactor } from "../strategy/suppressed.ts";
import type { Cleanup } from "./cleanup.ts";
import { LocalLimiter } from "./limiter.ts";
import type { WindowStore } from "./window-store.ts";

/**
 * Sheds a growing, random fraction of an overload, so that what is admitted stays at the limit. The methods are
 * those of {@link SuppressedLimiter}, with values for answers.
 */
export class LocalSuppressed extends LocalLimiter implements SuppressedLimiter {
  readonly #windowMs: number;
  readonly #hardLimitFactor: number;
  readonly #suppressionCacheMs: number;
  readonly #random: () => number;
  #lastRate = Number.NaN;
  #lastHardLimit = Number.NaN;

  /** @internal */
  constructor(settings: LimiterSettings, store: WindowStore, cleanup: Cleanup | undefined) {
    super(settings, store, cleanup);
    this.#windowMs = settings.windowMs;
    this.#hardLimitFactor = settings.hardLimitFactor;
    this.#suppressionCacheMs = settings.suppressionCacheMs;
    this.#random = settings.random;
  }

  inc(key: string, rate: Rate, count = 1): Decision {
    const limit = this.limitOf(rate);
    if (count !== 1) checkCount("count", count, 1);
    const store = this.store;
    if (store.find(key)) {
      store.rate = rate;
    } else {
      checkKey(key);
      this.insert(key, rate);
    }
    const accepted = store.total - store.declined;
    if (accepted + count <= limit) {
      store.record(count, 0);
      return allowed(limit, accepted + count);
    }
    const factor = this.#factorFor(rate, accepted + count, true);
    if (this.#admits(factor)) {
      store.record(count, 0);
      return admission(limit, accepted + count, factor);
    }
    store.record(count, count);
    return this.#denial(rate, accepted, count, factor);
  }

  getSuppressionFactor(key: string): number {
    return this.findLive(key) ? this.factor() : 0;
  }

  protected foresee(rate: Rate, count: number): Decision {
    const limit = this.limitOf(rate);
    const accepted = this.store.total - this.store.declined;
    if (accepted + count <= limit) return allowed(limit, accepted + count);
    const factor = this.#factorFor(rate, accepted + count, false);
    if (this.#admits(factor)) return admission(limit, accepted + count, factor);
    return this.#denial(rate, accepted, count, factor);
  }

  protected foreseeFirst(rate: Rate, count: number): Decision {
    const limit = this.limitOf(rate);
    if (count <= limit) return allowed(limit, count);
    const hardLimit = this.#hardLimitOf(rate);
    if (count <= hardLimit && this.#admits(0)) return admission(limit, count, 0);
    return denial(limit, hardLimit, 0, count, 1, 0, 0);
  }

  protected factor(): number {
    const { rate } = this.store;
    const accepted = this.store.total - this.store.declined;
    return accepted + 1 <= this.limitOf(rate) ? 0 : this.#factorFor(rate, accepted + 1, false);
  }

  /** The factor over the soft limit at `rate`, for a call that would bring accepted usage to `wanted`. */
  #factorFor(rate: Rate, wanted: number, keep: boolean): number {
    const store = this.store;
    if (wanted > this.#hardLimitOf(rate)) return 1;
    // What is kept was computed for the key's own rate.
    const kept = rate === store.rate ? store.keptFactor(this.#suppressionCacheMs) : -1;
    if (kept >= 0) return kept;
    const factor = suppressionFactor(rate, store.total, this.#windowMs, store.recentPerSecond());
    if (keep) store.keepFactor(factor);
    return factor;
  }

  #admits(factor: number): boolean {
    return factor < 1 && this.#random() >= factor;
  }

  #denial(rate: Rate, accepted: number, count: number, factor: number): Decision {
    const store = this.store;
    const hardLimit = this.#hardLimitOf(rate);
    return denial(this.limitOf(rate), hardLimit, accepted, count, factor, store.waitFor(1), store.oldestAccepted);
  }

  #hardLimitOf(rate: Rate): number {
    if (rate !== this.#lastRate) {
      this.#lastHardLimit = hardLimitOf(rate, this.#windowMs, this.#hardLimitFactor);
      this.#lastRate = rate;
    }
    return this.#lastHardLimit;
  }
}
