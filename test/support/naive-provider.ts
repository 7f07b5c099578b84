// The specification in arrays, as plainly as it can be said: what the real providers are compared
// with. It shares their pure maths (which has tests of its own) and nothing of how they keep counts.

import {
  type Condition,
  type Decision,
  type History,
  type LimiterOptions,
  type Rate,
  type SetIfResult,
  type Usage,
  unlimited,
} from "trypema";
import { type Bucket, cellStartOf } from "../../src/strategy/bucket.ts";
import { capacityOf, hardLimitOf } from "../../src/strategy/capacity.ts";
import { meets } from "../../src/strategy/corrections.ts";
import { allowed, blocked, rejected, suppressed } from "../../src/strategy/decision.ts";
import { recentPerSecond, suppressionFactor } from "../../src/strategy/suppressed.ts";
import { adjusted, givenBack, totalOf, withTotal } from "./plain-corrections.ts";

interface Window {
  rate: Rate;
  buckets: Bucket[];
  factor?: { atMs: number; value: number } | undefined;
}

const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
const declinedOf = (buckets: Bucket[]) => sum(buckets.map((bucket) => bucket.declined));

abstract class NaiveLimiter {
  protected readonly options: Required<Omit<LimiterOptions, "onEvent">>;
  protected readonly windows = new Map<string, Window>();
  readonly #blockedUntilMs = new Map<string, number>();

  constructor(options: Required<Omit<LimiterOptions, "onEvent">>) {
    this.options = options;
  }

  protected abstract factor(window: Window): number;

  protected get nowMs(): number {
    return this.options.clock();
  }

  /** The key's window without what has expired; undefined when nothing is left. */
  protected live(key: string): Window | undefined {
    const window = this.windows.get(key);
    if (window === undefined) return undefined;
    window.buckets = window.buckets.filter((bucket) => bucket.hitMs + this.options.windowMs > this.nowMs);
    if (window.buckets.length > 0) return window;
    this.windows.delete(key);
    return undefined;
  }

  /** How long until the oldest bucket expires, in whole ms. */
  protected moreAfterMs({ buckets }: Window): number {
    return buckets[0] === undefined ? 0 : Math.ceil(buckets[0].hitMs + this.options.windowMs - this.nowMs);
  }

  /** The same if a call were counted now. */
  protected moreAfterHitMs(window: Window): number {
    return this.moreAfterMs({ ...window, buckets: this.withHit(window.buckets, 1, 0) });
  }

  protected record(key: string, window: Window, count: number, declined: number): void {
    window.buckets = this.withHit(window.buckets, count, declined);
    this.windows.set(key, window);
  }

  protected withHit(buckets: readonly Bucket[], count: number, declined: number): Bucket[] {
    const hitMs = this.nowMs;
    const newest = buckets.at(-1);
    const cell = (ms: number) => Math.floor(ms / this.options.bucketMs);
    if (newest === undefined || cell(newest.hitMs) !== cell(hitMs)) return [...buckets, { hitMs, count, declined }];
    return buckets.with(-1, { hitMs, count: newest.count + count, declined: newest.declined + declined });
  }

  /** The key's window as a call that records nothing sees it: at the rate it was given, or the key's own, or none. */
  protected asked(key: string, rate?: Rate): Window {
    const window = { ...(this.live(key) ?? { rate: unlimited(), buckets: [] }) };
    if (rate !== undefined) this.setRateOf(window, rate);
    return window;
  }

  protected setRateOf(window: Window, rate: Rate): void {
    if (window.rate !== rate) window.factor = undefined;
    window.rate = rate;
  }

  setRate(key: string, rate: Rate): Rate | undefined {
    const window = this.live(key);
    if (window === undefined) return undefined;
    const before = window.rate;
    this.setRateOf(window, rate);
    return before;
  }

  block(key: string, ms: number): void {
    this.#blockedUntilMs.set(key, this.nowMs + ms);
  }

  unblock(key: string): void {
    this.#blockedUntilMs.delete(key);
  }

  /** The rejection of a call to a blocked key; undefined for any other key. */
  protected rejectBlocked(key: string, window: Window, count: number, most: number): Decision | undefined {
    const leftMs = (this.#blockedUntilMs.get(key) ?? Number.NEGATIVE_INFINITY) - this.nowMs;
    if (leftMs <= 0) return undefined;
    const { windowMs } = this.options;
    const limit = capacityOf(window.rate, windowMs);
    const used = totalOf(window.buckets) - declinedOf(window.buckets);
    const moreAfterMs = this.moreAfterMs(window);
    if (count > most) return blocked(limit, Number.POSITIVE_INFINITY, limit, moreAfterMs);
    return blocked(limit, leftMs, leftMs >= windowMs ? limit : Math.max(0, limit - used), moreAfterMs);
  }

  get(key: string): Usage {
    const window = this.live(key);
    if (window === undefined) return { total: 0, declined: 0, accepted: 0, limit: 0, suppressionFactor: 0 };
    const total = totalOf(window.buckets);
    const declined = declinedOf(window.buckets);
    const limit = capacityOf(window.rate, this.options.windowMs);
    const isBlocked = (this.#blockedUntilMs.get(key) ?? Number.NEGATIVE_INFINITY) > this.nowMs;
    const suppressionFactor = isBlocked ? 1 : this.factor(window);
    return { total, declined, accepted: total - declined, limit, suppressionFactor };
  }

  adjust(key: string, delta: number): number {
    const window = this.live(key);
    if (window === undefined) return 0;
    window.buckets = adjusted(window.buckets, delta);
    window.factor = undefined;
    return totalOf(window.buckets);
  }

  /** Gives back what a take counted at `countedMs`, which counts as declined then where it `declines`. */
  giveBack(key: string, count: number, countedMs: number, declines: boolean): void {
    const window = this.live(key);
    if (window === undefined) return;
    const endMs = cellStartOf(countedMs, this.options.bucketMs) + this.options.bucketMs;
    window.buckets = givenBack(window.buckets, count, ({ hitMs }) => hitMs >= endMs, declines);
    if (!declines) window.factor = undefined;
  }

  setIf(key: string, rate: Rate, condition: Condition, count: number, history: History = "replace"): SetIfResult {
    const window = this.live(key) ?? { rate, buckets: [] };
    const previousTotal = totalOf(window.buckets);
    this.setRateOf(window, rate);
    if (!meets(condition, previousTotal)) return { matched: false, previousTotal, currentTotal: previousTotal };
    window.buckets = withTotal(window.buckets, count, history, this.nowMs);
    window.factor = undefined;
    if (count === 0) this.#blockedUntilMs.delete(key);
    this.windows.set(key, window);
    return { matched: true, previousTotal, currentTotal: count };
  }

  delete(key: string): number {
    const total = totalOf(this.live(key)?.buckets ?? []);
    this.windows.delete(key);
    this.#blockedUntilMs.delete(key);
    return total;
  }

  clear(): void {
    this.windows.clear();
    this.#blockedUntilMs.clear();
  }
}

class NaiveAbsolute extends NaiveLimiter {
  inc(key: string, rate: Rate, count = 1): Decision {
    const window = this.live(key) ?? { rate, buckets: [] };
    this.setRateOf(window, rate);
    const decision = this.#decideUnblocked(key, window, count);
    if (decision.allowed) this.record(key, window, count, 0);
    return decision;
  }

  isAllowed(key: string, count = 1, rate?: Rate): Decision {
    return this.#decideUnblocked(key, this.asked(key, rate), count);
  }

  protected factor(window: Window): number {
    return this.#decide(window, 1).suppressionFactor;
  }

  /** The decision about a call of a take, if all others are admitted. */
  weigh(key: string, rate: Rate, count: number): Decision {
    const window = this.live(key) ?? { rate, buckets: [] };
    this.setRateOf(window, rate);
    return this.#decideUnblocked(key, window, Math.max(1, count));
  }

  /** The decision about it in the end. */
  conclude(key: string, rate: Rate, count: number, weighed: Decision, isTaken: boolean, blockMs: number): Decision {
    if (!weighed.allowed) {
      if (blockMs > 0 && count > 0 && !weighed.blocked) this.block(key, blockMs);
      return this.weigh(key, rate, count);
    }
    const window = this.live(key) ?? { rate, buckets: [] };
    if (isTaken && count > 0) this.record(key, window, count, 0);
    return allowed(capacityOf(rate, this.options.windowMs), totalOf(window.buckets), this.moreAfterMs(window));
  }

  #decideUnblocked(key: string, window: Window, count: number): Decision {
    const most = capacityOf(window.rate, this.options.windowMs);
    return this.rejectBlocked(key, window, count, most) ?? this.#decide(window, count);
  }

  #decide(window: Window, count: number): Decision {
    const { rate, buckets } = window;
    const moreAfterMs = this.moreAfterMs(window);
    const limit = capacityOf(rate, this.options.windowMs);
    const total = totalOf(buckets);
    if (total + count <= limit) return allowed(limit, total + count, this.moreAfterHitMs(window));
    const remaining = Math.max(0, limit - total);
    for (const [i, { hitMs }] of buckets.entries()) {
      const left = totalOf(buckets.slice(i + 1));
      if (left + count > limit) continue;
      return rejected(limit, remaining, hitMs + this.options.windowMs - this.nowMs, limit - left, moreAfterMs);
    }
    return rejected(limit, remaining, Number.POSITIVE_INFINITY, limit, moreAfterMs);
  }
}

class NaiveSuppressed extends NaiveLimiter {
  inc(key: string, rate: Rate, count = 1): Decision {
    const window = this.live(key) ?? { rate, buckets: [] };
    this.setRateOf(window, rate);
    const rejection = this.rejectBlocked(key, window, count, this.#hardLimit(window));
    if (rejection !== undefined) return rejection;
    const limit = capacityOf(rate, this.options.windowMs);
    const accepted = totalOf(window.buckets) - declinedOf(window.buckets);
    if (accepted + count <= limit) {
      this.record(key, window, count, 0);
      return allowed(limit, accepted + count, this.moreAfterMs(window));
    }
    const factor = this.#factorFor(window, accepted + count, true);
    const admitted = factor < 1 && this.options.random() >= factor;
    this.record(key, window, count, admitted ? 0 : count);
    return this.#suppressed(window, accepted, count, factor, admitted, this.moreAfterMs(window));
  }

  isAllowed(key: string, count = 1, rate?: Rate): Decision {
    const window = this.asked(key, rate);
    const rejection = this.rejectBlocked(key, window, count, this.#hardLimit(window));
    if (rejection !== undefined) return rejection;
    const limit = capacityOf(window.rate, this.options.windowMs);
    const accepted = totalOf(window.buckets) - declinedOf(window.buckets);
    if (accepted + count <= limit) return allowed(limit, accepted + count, this.moreAfterHitMs(window));
    const factor = this.#factorFor(window, accepted + count, false);
    const admitted = factor < 1 && this.options.random() >= factor;
    return this.#suppressed(window, accepted, count, factor, admitted, this.moreAfterHitMs(window));
  }

  getSuppressionFactor(key: string): number {
    return this.get(key).suppressionFactor;
  }

  /** The decision about a call of a take, if all others are admitted. Keeps the factor of a known key. */
  weigh(key: string, rate: Rate, count: number): Decision {
    const known = this.live(key);
    const window = known ?? { rate, buckets: [] };
    this.setRateOf(window, rate);
    const weight = Math.max(1, count);
    const rejection = this.rejectBlocked(key, window, weight, this.#hardLimit(window));
    if (rejection !== undefined) return rejection;
    const accepted = totalOf(window.buckets) - declinedOf(window.buckets);
    const limit = capacityOf(rate, this.options.windowMs);
    if (accepted + weight <= limit) return allowed(limit, accepted, 0);
    const factor = this.#factorFor(window, accepted + weight, known !== undefined);
    const admitted = factor < 1 && this.options.random() >= factor;
    return suppressed(admitted, limit, 0, 0, 0, 0, factor);
  }

  /** The decision about it in the end. It is counted either way. */
  conclude(key: string, rate: Rate, count: number, weighed: Decision, isTaken: boolean): Decision {
    if (weighed.blocked) return weighed;
    const window = this.live(key) ?? { rate, buckets: [] };
    const before = totalOf(window.buckets) - declinedOf(window.buckets);
    if (count > 0) this.record(key, window, count, isTaken ? 0 : count);
    const after = totalOf(window.buckets) - declinedOf(window.buckets);
    const limit = capacityOf(rate, this.options.windowMs);
    const moreAfterMs = this.moreAfterMs(window);
    if (weighed.outcome === "allowed") return allowed(limit, after, moreAfterMs);
    const remaining = Math.max(0, limit - after);
    const { suppressionFactor } = weighed;
    if (weighed.allowed) return suppressed(true, limit, remaining, 0, remaining, moreAfterMs, suppressionFactor);
    return this.#suppressed(window, before, Math.max(1, count), suppressionFactor, false, moreAfterMs);
  }

  protected factor(window: Window): number {
    const accepted = totalOf(window.buckets) - declinedOf(window.buckets);
    const limit = capacityOf(window.rate, this.options.windowMs);
    return accepted + 1 <= limit ? 0 : this.#factorFor(window, accepted + 1, false);
  }

  #factorFor(window: Window, wanted: number, keep: boolean): number {
    const { windowMs, bucketMs, suppressionCacheMs } = this.options;
    if (wanted > this.#hardLimit(window)) return 1;
    const { factor, buckets, rate } = window;
    if (factor !== undefined && this.nowMs - factor.atMs < suppressionCacheMs) return factor.value;
    const spanMs = Math.min(1_000, windowMs);
    const recent = buckets.filter((bucket) => bucket.hitMs + spanMs > this.nowMs);
    const recentRate =
      recent[0] === undefined ? 0 : recentPerSecond(totalOf(recent), recent[0].hitMs, bucketMs, spanMs, this.nowMs);
    const value = suppressionFactor(rate, totalOf(buckets), windowMs, recentRate);
    if (keep) window.factor = { atMs: this.nowMs, value };
    return value;
  }

  #suppressed(
    window: Window,
    accepted: number,
    count: number,
    factor: number,
    admitted: boolean,
    moreAfterMs: number,
  ): Decision {
    const { windowMs } = this.options;
    const limit = capacityOf(window.rate, windowMs);
    const remaining = Math.max(0, limit - accepted - (admitted ? count : 0));
    if (admitted) return suppressed(true, limit, remaining, 0, remaining, moreAfterMs, factor);
    if (count > this.#hardLimit(window)) {
      return suppressed(false, limit, remaining, Number.POSITIVE_INFINITY, limit, moreAfterMs, factor);
    }
    const { hitMs, count: observed, declined } = window.buckets[0]!;
    const later = Math.max(0, limit - accepted + observed - declined);
    return suppressed(false, limit, remaining, hitMs + windowMs - this.nowMs, later, moreAfterMs, factor);
  }

  #hardLimit({ rate }: Window): number {
    return hardLimitOf(rate, this.options.windowMs, this.options.hardLimitFactor);
  }
}

export function createNaiveProvider(options: Required<Omit<LimiterOptions, "onEvent">>) {
  return {
    absolute: new NaiveAbsolute(options),
    suppressed: new NaiveSuppressed(options),
    windowMs: options.windowMs,
    withWindow(): never {
      throw new Error("it has one window");
    },
    close() {},
  };
}
