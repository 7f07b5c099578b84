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
  readonly #settings: LimiterSettings;

  /** @internal */
  constructor(settings: LimiterSettings, store: WindowStore, cleanup: Cleanup | undefined) {
    super(settings, store, cleanup);
    this.#settings = settings;
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
    const admitted = this.#admits(factor);
    store.record(record, nowMs, count, admitted ? 0 : count);
    return this.#suppression(record, admitted, accepted, count, factor, nowMs);
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
    return this.#suppression(record, this.#admits(factor), accepted, count, factor, nowMs);
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
  #factor(record: number, wanted: number, nowMs: number, store: boolean): number {
    const { windowMs, hardLimitFactor, suppressionCacheMs } = this.#settings;
    const rate = this.store.rate(record);
    if (wanted > hardLimitOf(rate, windowMs, hardLimitFactor)) return 1;
    const cached = this.store.cachedFactor(record, nowMs, suppressionCacheMs);
    if (cached >= 0) return cached;
    const factor = suppressionFactor(rate, this.store.total(record), windowMs, this.store.recent(record, nowMs));
    if (store) this.store.cacheFactor(record, nowMs, factor);
    return factor;
  }

  #admits(factor: number): boolean {
    return factor < 1 && this.#settings.random() >= factor;
  }

  #suppression(
    record: number,
    admitted: boolean,
    accepted: number,
    count: number,
    factor: number,
    nowMs: number,
  ): Decision {
    const store = this.store;
    const rate = store.rate(record);
    const limit = this.limitOf(rate);
    if (admitted) {
      const remaining = Math.max(0, limit - accepted - count);
      return suppressed(true, limit, remaining, 0, remaining, factor);
    }
    const remaining = Math.max(0, limit - accepted);
    const { windowMs, hardLimitFactor } = this.#settings;
    if (count > hardLimitOf(rate, windowMs, hardLimitFactor)) {
      return suppressed(false, limit, remaining, Number.POSITIVE_INFINITY, limit, factor);
    }
    return suppressed(
      false,
      limit,
      remaining,
      store.oldestMs(record) + windowMs - nowMs,
      Math.max(0, limit - accepted + store.oldestAccepted(record)),
      factor,
    );
  }
}
