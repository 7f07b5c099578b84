import { checkKey } from "../core/key.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import { hardLimitOf } from "../strategy/capacity.ts";
import { allowed, suppressed } from "../strategy/decision.ts";
import { checkCount } from "../strategy/history.ts";
import { suppressionFactor } from "../strategy/suppressed.ts";
import type { Cleanup } from "./cleanup.ts";
import { LocalLimiter } from "./limiter.ts";
import type { WindowStore } from "./window-store.ts";

/** Sheds a growing, random fraction of an overload, so that what is admitted stays at the limit. */
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
    const nowMs = this.clock.now();
    if (store.find(key, nowMs)) {
      store.rate = rate;
    } else {
      checkKey(key);
      this.insert(key, rate, nowMs);
    }
    const accepted = store.total - store.declined;
    if (accepted + count <= limit) {
      store.record(nowMs, count, 0);
      return allowed(limit, limit - accepted - count);
    }
    const factor = this.#factorFor(accepted + count, nowMs, true);
    if (this.#admits(factor)) {
      store.record(nowMs, count, 0);
      return this.#admission(limit, accepted + count, factor);
    }
    store.record(nowMs, count, count);
    return this.#denial(limit, accepted, count, factor, nowMs);
  }

  isAllowed(key: string, count = 1): Decision {
    checkCount("count", count, 1);
    const store = this.store;
    const nowMs = this.clock.now();
    if (!this.findLive(key, nowMs)) return allowed(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    const accepted = store.total - store.declined;
    const limit = this.limitOf(store.rate);
    if (accepted + count <= limit) return allowed(limit, limit - accepted - count);
    const factor = this.#factorFor(accepted + count, nowMs, false);
    if (this.#admits(factor)) return this.#admission(limit, accepted + count, factor);
    return this.#denial(limit, accepted, count, factor, nowMs);
  }

  /** The factor that a call of 1 would meet now; 0 for an unknown key. Records nothing. */
  getSuppressionFactor(key: string): number {
    const nowMs = this.clock.now();
    return this.findLive(key, nowMs) ? this.factor(nowMs) : 0;
  }

  protected factor(nowMs: number): number {
    const accepted = this.store.total - this.store.declined;
    if (accepted + 1 <= this.limitOf(this.store.rate)) return 0;
    return this.#factorFor(accepted + 1, nowMs, false);
  }

  /** The factor over the soft limit, for a call that would bring accepted usage to `wanted`. */
  #factorFor(wanted: number, nowMs: number, keep: boolean): number {
    const store = this.store;
    const rate = store.rate;
    if (wanted > this.#hardLimitOf(rate)) return 1;
    const kept = store.keptFactor(nowMs, this.#suppressionCacheMs);
    if (kept >= 0) return kept;
    const factor = suppressionFactor(rate, store.total, this.#windowMs, store.recentPerSecond(nowMs));
    if (keep) store.keepFactor(nowMs, factor);
    return factor;
  }

  #admits(factor: number): boolean {
    return factor < 1 && this.#random() >= factor;
  }

  #admission(limit: number, accepted: number, factor: number): Decision {
    const remaining = Math.max(0, limit - accepted);
    return suppressed(true, limit, remaining, 0, remaining, factor);
  }

  #denial(limit: number, accepted: number, count: number, factor: number, nowMs: number): Decision {
    const store = this.store;
    const remaining = Math.max(0, limit - accepted);
    if (count > this.#hardLimitOf(store.rate)) {
      return suppressed(false, limit, remaining, Number.POSITIVE_INFINITY, limit, factor);
    }
    const retryAfterMs = store.oldestMs + this.#windowMs - nowMs;
    const remainingAfterWaiting = Math.max(0, limit - accepted + store.oldestAccepted);
    return suppressed(false, limit, remaining, retryAfterMs, remainingAfterWaiting, factor);
  }

  #hardLimitOf(rate: Rate): number {
    if (rate !== this.#lastRate) {
      this.#lastHardLimit = hardLimitOf(rate, this.#windowMs, this.#hardLimitFactor);
      this.#lastRate = rate;
    }
    return this.#lastHardLimit;
  }
}
