// What both strategies share on Hybrid: the keys and what is known of them, and the methods for which Redis is always
// asked. The strategies add how to decide with what is known.

import { type Adjuster, setAdjuster } from "../core/adjuster.ts";
import type { ForwardClock } from "../core/clock.ts";
import { checkCount } from "../core/count.ts";
import { checkKey } from "../core/key.ts";
import type { Rate } from "../core/rate.ts";
import { setStore } from "../core/store.ts";
import { BackgroundTimer, TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";
import type { Awaitable, Condition, Decision, History, Limiter, SetIfResult, Usage } from "../core/types.ts";
import { isBackendFailure, type RedisLimiter } from "../redis/limiter.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { allowed, markDegraded } from "../strategy/decision.ts";
import { Exchanges, type HybridParts } from "./exchanges.ts";
import { type Caller, KeyState } from "./key-state.ts";
import type { Terms } from "./unreported.ts";

/** How long a lease may be spent: a tenth of the window, within these; a call may take twice `timeoutMs` to come by it. */
const SHORTEST_LEASE_MS = 1_000;
const LONGEST_LEASE_MS = 10_000;
/** For so many rounds an unspent lease is kept while capacity is scarce. */
const SCARCE_ROUNDS = 5;
/** While there is plenty, a report may wait for a 200th of the window, and no longer than these. */
const LONGEST_PATIENCE_MS = 1_000;
const MOST_PATIENT_BUCKETS = 32;
/** Keys that are known at once. Calls to others ask Redis each. */
const MOST_KEYS = 250_000;
/** Between two looks for keys that need not be known any longer, and how many are looked at. */
const SWEEP_MS = 100;
const SWEEP_KEYS = 5_000;

/** The methods of one strategy on Hybrid. */
export abstract class HybridLimiter implements Limiter {
  protected readonly redis: RedisLimiter;
  protected readonly clock: ForwardClock;
  readonly #parts: HybridParts;
  readonly #terms: Terms;
  readonly #states = new Map<string, KeyState>();
  readonly #exchanges: Exchanges;
  readonly #sweepTimer = new BackgroundTimer(() => this.#sweep());
  #sweeping: Iterator<KeyState> | undefined;
  /** The calls that Redis itself has to answer, and hasn't. */
  readonly #asking = new Set<Promise<unknown>>();
  /** When closed, and where no timer could report what was counted. */
  #asksAlways = TIMERS_END_WITH_REQUESTS;
  readonly #degradedAdjuster: Adjuster = {
    adjust: (key, delta) => this.#track(this.#correctDegraded(key, delta)),
  };
  #lastRate: number = Number.NaN;
  #lastLimit: number = Number.NaN;

  /** @internal */
  constructor(parts: HybridParts, redis: RedisLimiter) {
    setStore(this, parts.store);
    setAdjuster(this, { adjust: (key, delta) => this.#track(this.#correct(key, delta)) });
    this.redis = redis;
    this.#parts = parts;
    this.clock = parts.settings.clock;
    const { windowMs, bucketMs, timeoutMs } = parts.settings;
    const tenthMs = Math.min(Math.max(windowMs / 10, SHORTEST_LEASE_MS), LONGEST_LEASE_MS);
    const leaseMs = Math.max(tenthMs, 2 * timeoutMs);
    const scarceMs = SCARCE_ROUNDS * parts.syncIntervalMs;
    const plentyMs = Math.max(scarceMs, leaseMs / 2);
    const patienceMs = Math.min(windowMs / 200, MOST_PATIENT_BUCKETS * bucketMs, LONGEST_PATIENCE_MS);
    this.#terms = { windowMs, bucketMs, leaseMs, scarceMs, plentyMs, patienceMs };
    this.#exchanges = new Exchanges(parts, this.#terms, {
      decide: (state, rate, count) => this.#decideNow(state, rate, count),
      decideInstead: (state, caller, error) => this.#decideInstead(state, caller, error),
      factorArguments: (rate) => this.factorArguments(rate),
    });
  }

  /**
   * Decides about a call and records it: at once with what is known of the key, or after asking Redis, with one round
   * trip for all who wait.
   *
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`; what Redis fails with
   *   rejects the promise, if `onFailure` is `"throw"`
   */
  inc(key: string, rate: Rate, count = 1): Awaitable<Decision> {
    const limit = this.limitOf(rate);
    if (count !== 1) checkCount("count", count, 1);
    if (this.#asksAlways) return this.redis.inc(key, rate, count);
    const state = this.#states.get(key);
    if (state !== undefined) {
      const decision = this.#decideNow(state, rate, count);
      if (decision !== undefined) {
        state.addDemand(count, limit);
        return decision;
      }
    }
    checkKey(key);
    if (state === undefined && this.#states.size >= MOST_KEYS) {
      return this.#track(this.redis.inc(key, rate, count));
    }
    return this.#ask(state ?? this.#newState(key), rate, limit, count);
  }

  async isAllowed(key: string, count = 1, rate?: Rate): Promise<Decision> {
    return this.#afterReport(key, () => this.redis.isAllowed(key, count, rate));
  }

  async get(key: string): Promise<Usage> {
    return this.#afterReport(key, () => this.redis.get(key));
  }

  async adjust(key: string, delta: number): Promise<number> {
    return this.#afterReport(key, () => this.redis.adjust(key, delta));
  }

  async setIf(key: string, rate: Rate, condition: Condition, count: number, history?: History): Promise<SetIfResult> {
    return this.#afterReport(key, () => this.redis.setIf(key, rate, condition, count, history));
  }

  async delete(key: string): Promise<number> {
    return this.#afterReport(key, () => this.redis.delete(key));
  }

  /** Forgets every key of this strategy, prefix and window. Walks the whole database: not for the hot path. */
  async clear(): Promise<void> {
    for (const state of this.#states.values()) state.clear();
    await this.redis.clear();
    // What was learnt meanwhile may be of before.
    for (const state of this.#states.values()) state.forget();
  }

  /**
   * Waits for those who wait, reports what is left to report, gives all leases back and stops; later calls ask Redis
   * each. Never rejects. @internal
   */
  async close(): Promise<void> {
    this.#asksAlways = true;
    this.#exchanges.stop();
    this.#sweepTimer.stop();
    await Promise.all(Array.from(this.#states.values(), (state) => this.#exchanges.finish(state)));
    await Promise.allSettled(this.#asking);
    this.#states.clear();
  }

  /** The decision that can be made with what is known, and what it counts; undefined if Redis has to be asked. */
  protected abstract decide(state: KeyState, count: number, nowMs: number): Decision | undefined;

  /** What SYNC needs for the factor: suppressionCacheMs, or nothing, and the hard limit. */
  protected abstract factorArguments(rate: Rate): [cacheMs: string, hardLimit: string];

  /** The capacity at `rate`; successive calls mostly bring the same one. */
  protected limitOf(rate: Rate): number {
    if (rate !== this.#lastRate) {
      this.#lastLimit = capacityOf(rate, this.#parts.settings.windowMs);
      this.#lastRate = rate;
    }
    return this.#lastLimit;
  }

  #decideNow(state: KeyState, rate: Rate, count: number): Decision | undefined {
    const nowMs = this.clock.now();
    if (!state.knows(rate, count, nowMs)) return undefined;
    const decision = this.decide(state, count, nowMs);
    if (decision !== undefined && !state.listed && state.hasReport) this.#exchanges.list(state);
    return decision;
  }

  #newState(key: string): KeyState {
    const state = new KeyState(key, this.#terms);
    this.#states.set(key, state);
    this.#sweepTimer.start(SWEEP_MS);
    return state;
  }

  #ask(state: KeyState, rate: Rate, limit: number, count: number): Awaitable<Decision> {
    const { backend, policy } = this.#parts;
    if (!backend.refuses) return this.#exchanges.ask(state, rate, limit, count);
    return policy === "throw" ? this.redis.inc(state.key, rate, count) : this.#degraded(state, rate, limit, count);
  }

  /** What the failure policy decides. */
  async #decideInstead(state: KeyState, { rate, limit, count }: Caller, error: unknown): Promise<Decision> {
    if (this.#parts.policy === "throw" || !isBackendFailure(error)) throw error;
    return this.#degraded(state, rate, limit, count);
  }

  /** What it admits is counted, and reported when Redis is back. */
  #degraded(state: KeyState, rate: Rate, limit: number, count: number): Decision {
    state.forget();
    state.rate = rate;
    state.limit = limit;
    const { policy, local } = this.#parts;
    if (policy === "deny") return markDegraded(this.redis.deny(limit));
    const decision = policy === "allow" ? allowed(limit, 0) : (local().inc(state.key, rate, count) as Decision);
    if (decision.allowed || decision.outcome === "suppressed") {
      state.record(count, decision.allowed ? 0 : count, this.clock.now());
      this.#exchanges.list(state);
    }
    return setAdjuster(markDegraded(decision), this.#degradedAdjuster);
  }

  /** Corrects what was counted when the failure policy decided. */
  async #correctDegraded(key: string, delta: number): Promise<void> {
    const { policy, local } = this.#parts;
    if (policy === "local") await local().adjust(key, delta);
    await this.#correct(key, delta);
  }

  /** Corrects what was counted in Redis, if it knows all, or else what it is going to be told. */
  async #correct(key: string, delta: number): Promise<void> {
    const state = this.#states.get(key);
    if (state === undefined || (await this.#exchanges.settle(state))) {
      await this.redis.adjustCounted(key, delta);
      state?.forget();
    } else if (delta < 0) {
      state.takeBack(-delta);
    } else {
      state.record(delta, 0, this.clock.now());
      this.#exchanges.list(state);
    }
  }

  /** What `ask` says of a key when Redis knows all of it. What is known here may not hold afterwards. */
  #afterReport<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const state = this.#states.get(key);
    return this.#track(state === undefined ? ask() : this.#askSettled(state, ask));
  }

  async #askSettled<T>(state: KeyState, ask: () => Promise<T>): Promise<T> {
    await this.#exchanges.settle(state);
    const answer = await ask();
    state.forget();
    return answer;
  }

  /** Has `close` wait for it. Not where a promise of one request must not be awaited by another. */
  #track<T>(call: Promise<T>): Promise<T> {
    if (TIMERS_END_WITH_REQUESTS) return call;
    this.#asking.add(call);
    const end = () => this.#asking.delete(call);
    call.then(end, end);
    return call;
  }

  #sweep(): void {
    const nowMs = this.clock.nowOrLast();
    this.#sweeping ??= this.#states.values();
    for (let looks = 0; looks < SWEEP_KEYS; looks++) {
      const { value: state, done } = this.#sweeping.next();
      if (done) {
        this.#sweeping = undefined;
        break;
      }
      if (state.listed) continue;
      if (!state.isUseful(nowMs)) this.#states.delete(state.key);
      else if (state.hasReserved(nowMs) && state.isIdle(nowMs)) this.#exchanges.list(state);
    }
    if (this.#states.size > 0) this.#sweepTimer.start(SWEEP_MS);
  }
}
