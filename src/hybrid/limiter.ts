// What both strategies share on Hybrid: the keys and what is known of them, asking Redis when that isn't enough, and
// the methods for which Redis is always asked. The strategies add how to decide with what is known.

import type { ForwardClock } from "../core/clock.ts";
import { checkKey } from "../core/key.ts";
import type { Rate } from "../core/rate.ts";
import { BackgroundTimer, TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";
import type { Awaitable, Condition, Decision, History, Limiter, SetIfResult, Usage } from "../core/types.ts";
import { fieldsFrom, isBackendFailure, type RedisLimiter, type RedisParts, text } from "../redis/limiter.ts";
import { SYNC } from "../redis/lua.generated.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { allowed } from "../strategy/decision.ts";
import { checkCount } from "../strategy/history.ts";
import { type Caller, KeyState } from "./key-state.ts";
import { Rounds } from "./rounds.ts";

/** How long a lease may be spent; a call may take twice `timeoutMs` to come by it. */
const LEASE_MS = 1_000;
/** For so many rounds an unspent lease is kept, and as large as twice what is called for in them. */
const ROUNDS_TO_KEEP = 5;
/** Keys that are known at once. Calls to others ask Redis each. */
const MOST_KEYS = 250_000;
/** Between two looks for keys that need not be known any longer, and how many are looked at. */
const SWEEP_MS = 100;
const SWEEP_KEYS = 5_000;

const ANSWER_FIELDS = [
  "counted",
  "granted",
  "total",
  "declined",
  "leasedByOthers",
  "buckets",
  "firstExpiresInMs",
  "firstAccepted",
  "secondExpiresInMs",
  "secondAccepted",
  "waitMs",
  "freeAfterWaiting",
  "factor",
  "factorLeftMs",
] as const;

export interface HybridParts extends RedisParts {
  readonly syncIntervalMs: number;
  /** What tells this process from the others that hold leases. */
  readonly processId: string;
}

/** The methods of one strategy on Hybrid. */
export abstract class HybridLimiter implements Limiter {
  protected readonly redis: RedisLimiter;
  protected readonly clock: ForwardClock;
  readonly #parts: HybridParts;
  readonly #leaseMs: number;
  readonly #keepMs: number;
  readonly #states = new Map<string, KeyState>();
  readonly #rounds: Rounds;
  readonly #sweepTimer = new BackgroundTimer(() => this.#sweep());
  #sweeping: Iterator<KeyState> | undefined;
  /**
   * The number of the last report, even: the odd one after it is for what Redis counted for those who waited. Goes on
   * when a key is forgotten and known again: Redis may remember its last report.
   */
  #reports = 0;
  /** When closed, and where no timer could report what was counted. */
  #asksAlways = TIMERS_END_WITH_REQUESTS;
  #lastRate: number = Number.NaN;
  #lastLimit: number = Number.NaN;

  /** @internal */
  constructor(parts: HybridParts, redis: RedisLimiter) {
    this.redis = redis;
    this.#parts = parts;
    this.clock = parts.settings.clock;
    this.#leaseMs = Math.max(LEASE_MS, 2 * parts.settings.timeoutMs);
    this.#keepMs = ROUNDS_TO_KEEP * parts.syncIntervalMs;
    this.#rounds = new Rounds(parts.syncIntervalMs, parts.backend, (state) => this.#visit(state));
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
        state.demand += count;
        return decision;
      }
    }
    checkKey(key);
    if (state === undefined && this.#states.size >= MOST_KEYS) return this.redis.inc(key, rate, count);
    return this.#ask(state ?? this.#newState(key), rate, limit, count);
  }

  async isAllowed(key: string, count = 1): Promise<Decision> {
    return this.#afterReport(key, () => this.redis.isAllowed(key, count));
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
  }

  /** Reports what is left to report, gives all leases back and stops; later calls ask Redis each. @internal */
  async close(): Promise<void> {
    this.#asksAlways = true;
    this.#rounds.stop();
    this.#sweepTimer.stop();
    await Promise.all(Array.from(this.#states.values(), (state) => this.#settle(state)));
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
    if (!state.knows(rate, nowMs)) return undefined;
    const decision = this.decide(state, count, nowMs);
    if (decision !== undefined && !state.listed && state.hasReport) this.#rounds.list(state);
    return decision;
  }

  #newState(key: string): KeyState {
    const { windowMs, bucketMs } = this.#parts.settings;
    const state = new KeyState(key, windowMs, bucketMs);
    this.#states.set(key, state);
    this.#sweepTimer.start(SWEEP_MS);
    return state;
  }

  #ask(state: KeyState, rate: Rate, limit: number, count: number): Awaitable<Decision> {
    if (this.#parts.backend.refuses) return this.#refused(state, rate, limit, count);
    return new Promise((resolve) => {
      state.callers.push({ rate, limit, count, resolve });
      state.demand += count;
      // Those who call before the program gives way share a round trip.
      if (state.callers.length === 1 && state.exchange === undefined) {
        state.exchange = Promise.resolve().then(() => this.#serve(state));
      }
    });
  }

  /** Asks Redis until nobody waits. */
  async #serve(state: KeyState): Promise<void> {
    while (state.callers.length > 0) {
      if (!(await this.#exchange(state))) continue;
      const { callers } = state;
      let served = 0;
      for (const { rate, count, resolve } of callers) {
        const decision = this.#decideNow(state, rate, count);
        if (decision === undefined) break;
        resolve(decision);
        served++;
      }
      state.callers = callers.slice(served);
      state.prepaid = 0;
    }
    state.exchange = undefined;
    if (state.hasReport || state.lease > 0) this.#rounds.list(state);
  }

  /** One report, and what Redis says to it. False if there was no answer: then nobody waits any longer. */
  async #exchange(state: KeyState): Promise<boolean> {
    const { backend, settings, names, processId } = this.#parts;
    const sentMs = this.clock.now();
    const [first] = state.callers;
    const rate = first?.rate ?? state.rate;
    const limit = first?.limit ?? state.limit;
    // Who has to ask gets the whole truth: what is leased here counts as free for it.
    if (first !== undefined) state.lease = 0;
    else state.checkLease(sentMs);
    const wanted = Math.floor(2 * state.takeDemand(this.#keepMs, sentMs));
    this.#reports += 2;
    const number = this.#reports;
    const hits = state.report(number, sentMs);
    const included = state.heldBack.length > 0 ? 0 : callersAt(rate, state.callers);
    const asked = included === 0 ? 0 : first!.count;
    let needed = 0;
    for (const { count } of state.callers.slice(0, included)) needed += count;
    let held = state.lease;
    for (const { count, declined } of state.heldBack) held += count - declined;
    const args = [
      ...[settings.windowMs, settings.bucketMs, rate, limit].map(text),
      processId,
      ...[this.#leaseMs, held, asked, needed, wanted].map(text),
      ...this.factorArguments(rate),
      ...[number, hits.length].map(text),
    ];
    for (const hit of hits) args.push(...[hit.report, sentMs - hit.hitMs, hit.count, hit.declined].map(text));
    if (settings.callersClock !== undefined) args.push(text(sentMs));
    try {
      const reply = await backend.run(SYNC, names.withLeases(state.key), args);
      const report = { reported: hits, rate, limit, asked, leaseUntilMs: sentMs + this.#leaseMs };
      state.learn(fieldsFrom(reply, ANSWER_FIELDS), report, this.clock.now());
      return true;
    } catch (error) {
      const decideInstead = (caller: Caller) => caller.resolve(this.#decideInstead(state, caller, error));
      const callers = state.callers.splice(0);
      // Redis may have counted those that it was asked for, and no others.
      callers.slice(0, included).forEach(decideInstead);
      state.endHit(number + 1);
      callers.slice(included).forEach(decideInstead);
      return false;
    }
  }

  /** What the failure policy decides. What it admits is counted, and reported when Redis is back. */
  async #decideInstead(state: KeyState, { rate, limit, count }: Caller, error: unknown): Promise<Decision> {
    const { policy } = this.#parts;
    if (policy === "throw" || !isBackendFailure(error)) throw error;
    return this.#degraded(state, rate, limit, count);
  }

  /** The same at once, while Redis is known to be away. */
  #refused(state: KeyState, rate: Rate, limit: number, count: number): Awaitable<Decision> {
    if (this.#parts.policy === "throw") return this.redis.inc(state.key, rate, count);
    return this.#degraded(state, rate, limit, count);
  }

  #degraded(state: KeyState, rate: Rate, limit: number, count: number): Decision {
    state.forget();
    state.rate = rate;
    state.limit = limit;
    const { policy, local } = this.#parts;
    if (policy === "deny") return { ...this.redis.deny(limit), degraded: true };
    const decision = policy === "allow" ? allowed(limit, limit) : (local().inc(state.key, rate, count) as Decision);
    if (decision.allowed || decision.outcome === "suppressed") {
      state.record(count, decision.allowed ? 0 : count, this.clock.now());
      this.#rounds.list(state);
    }
    return { ...decision, degraded: true };
  }

  /** What a round does for a key: report, renew the lease, or give it back when nobody uses it. */
  async #visit(state: KeyState): Promise<void> {
    if (state.exchange !== undefined || this.#asksAlways) return;
    const nowMs = this.clock.now();
    if (!state.hasReport) {
      state.checkLease(nowMs);
      if (state.lease === 0) return;
      if (nowMs - state.reportedMs < this.#keepMs) {
        this.#rounds.list(state);
        return;
      }
      state.lease = 0;
    }
    state.exchange = this.#exchange(state).then(() => this.#serve(state));
    await state.exchange;
  }

  /** Reports everything and gives the lease back. */
  async #settle(state: KeyState): Promise<void> {
    while (state.exchange !== undefined) await state.exchange;
    if (!state.hasReport && state.lease === 0) return;
    state.lease = 0;
    state.demand = 0;
    state.exchange = this.#reportAll(state).then(() => this.#serve(state));
    await state.exchange;
  }

  async #reportAll(state: KeyState): Promise<void> {
    const isAnswered = await this.#exchange(state);
    if (isAnswered && state.heldBack.length > 0) await this.#exchange(state);
  }

  /** What `ask` says of a key when Redis knows all of it. What is known here may not hold afterwards. */
  async #afterReport<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const state = this.#states.get(key);
    if (state === undefined) return ask();
    await this.#settle(state);
    const answer = await ask();
    state.forget();
    return answer;
  }

  #sweep(): void {
    const nowMs = this.clock.now();
    this.#sweeping ??= this.#states.values();
    for (let looks = 0; looks < SWEEP_KEYS; looks++) {
      const { value: state, done } = this.#sweeping.next();
      if (done) {
        this.#sweeping = undefined;
        break;
      }
      if (!state.listed && !state.isUseful(nowMs)) this.#states.delete(state.key);
    }
    if (this.#states.size > 0) this.#sweepTimer.start(SWEEP_MS);
  }
}

/** How many of the first callers have the same rate. */
function callersAt(rate: Rate, callers: readonly Caller[]): number {
  const other = callers.findIndex((caller) => caller.rate !== rate);
  return other === -1 ? callers.length : other;
}
