import { checkKey } from "../core/key.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import { hardLimitOf } from "../strategy/capacity.ts";
import { allowed, suppressed } from "../strategy/decision.ts";
import { checkCount } from "../strategy/history.ts";
import { suppressionFactor } from "../strategy/suppressed.ts";
import { NONE } from "./cells.ts";
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
    let record = store.find(key, nowMs);
    if (record === NONE) {
      checkKey(key);
      record = this.open(key, rate, nowMs);
    }
    const accepted = store.setRate(record, rate) - store.declined(record);
    if (accepted + count <= limit) {
      store.record(record, nowMs, count, 0);
      return allowed(limit, limit - accepted - count);
    }
    const factor = this.#factor(record, accepted + count, nowMs, true);
    if (this.#admits(factor)) {
      store.record(record, nowMs, count, 0);
      return this.#admission(limit, accepted + count, factor);
    }
    store.record(record, nowMs, count, count);
    return this.#denial(record, limit, accepted, count, factor, nowMs);
  }

  isAllowed(key: string, count = 1): Decision {
    checkCount("count", count, 1);
    const store = this.store;
    const nowMs = this.clock.now();
    const record = store.findLive(key, nowMs);
    if (record === NONE) {
      checkKey(key);
      return allowed(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    }
    const accepted = store.total(record) - store.declined(record);
    const limit = this.limitOf(store.rate(record));
    if (accepted + count <= limit) return allowed(limit, limit - accepted - count);
    const factor = this.#factor(record, accepted + count, nowMs, false);
    if (this.#admits(factor)) return this.#admission(limit, accepted + count, factor);
    return this.#denial(record, limit, accepted, count, factor, nowMs);
  }

  /** The factor that a call of 1 would meet now; 0 for an unknown key. Records nothing. */
  getSuppressionFactor(key: string): number {
    const nowMs = this.clock.now();
    const record = this.store.findLive(key, nowMs);
    if (record !== NONE) return this.factorOf(record, nowMs);
    checkKey(key);
    return 0;
  }

  protected factorOf(record: number, nowMs: number): number {
    const accepted = this.store.total(record) - this.store.declined(record);
    if (accepted + 1 <= this.limitOf(this.store.rate(record))) return 0;
    return this.#factor(record, accepted + 1, nowMs, false);
  }

  /** The factor over the soft limit, for a call that would bring accepted usage to `wanted`. */
  #factor(record: number, wanted: number, nowMs: number, keep: boolean): number {
    const store = this.store;
    const rate = store.rate(record);
    if (wanted > this.#hardLimitOf(rate)) return 1;
    const cached = store.cachedFactor(record, nowMs, this.#suppressionCacheMs);
    if (cached >= 0) return cached;
    const factor = suppressionFactor(rate, store.total(record), this.#windowMs, store.recent(record, nowMs));
    if (keep) store.cacheFactor(record, nowMs, factor);
    return factor;
  }

  #admits(factor: number): boolean {
    return factor < 1 && this.#random() >= factor;
  }

  #admission(limit: number, accepted: number, factor: number): Decision {
    const remaining = Math.max(0, limit - accepted);
    return suppressed(true, limit, remaining, 0, remaining, factor);
  }

  #denial(record: number, limit: number, accepted: number, count: number, factor: number, nowMs: number): Decision {
    const store = this.store;
    const remaining = Math.max(0, limit - accepted);
    if (count > this.#hardLimitOf(store.rate(record))) {
      return suppressed(false, limit, remaining, Number.POSITIVE_INFINITY, limit, factor);
    }
    const retryAfterMs = store.oldestMs(record) + this.#windowMs - nowMs;
    const remainingAfterWaiting = Math.max(0, limit - accepted + store.oldestAccepted(record));
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
