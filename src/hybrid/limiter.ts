// What both strategies share on Hybrid: the keys and what is known of them, and the methods for which Redis is always
// asked. The strategies add how to decide with what is known.

import { type Adjuster, setAdjuster } from "../core/adjuster.ts";
import type { ForwardClock } from "../core/clock.ts";
import { checkCount } from "../core/count.ts";
import { TrypemaError } from "../core/errors.ts";
import { type Ask, weightOf } from "../core/family.ts";
import { checkKey } from "../core/key.ts";
import type { Rate } from "../core/rate.ts";
import { setStore } from "../core/store.ts";
import { TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";
import type { Awaitable, Condition, Decision, History, Limiter, SetIfResult, Usage } from "../core/types.ts";
import type { RedisLimiter } from "../redis/limiter.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { allowed } from "../strategy/decision.ts";
import { type Estimate, estimateOf } from "./estimate.ts";
import { Exchanges, type HybridParts } from "./exchanges.ts";
import { Fallback } from "./fallback.ts";
import type { Holder } from "./holder.ts";
import { Holders } from "./holders.ts";
import type { WaitingCall } from "./protocol.ts";
import { type HolderStrategy, NO_DRAW, type Undecided, type Weighed } from "./strategy.ts";
import { timingOf } from "./timing.ts";
import type { WallClock } from "./wall-clock.ts";

/** The methods of one strategy on Hybrid. */
export abstract class HybridLimiter implements Limiter {
  readonly #parts: HybridParts;
  readonly #redis: RedisLimiter;
  readonly #strategy: HolderStrategy;
  readonly #clock: ForwardClock;
  readonly #wall: WallClock;
  readonly #holders: Holders;
  readonly #fallback: Fallback;
  readonly #degradedAdjuster: Adjuster;
  readonly #exchanges: Exchanges;
  /** What takes ask for of each key that Redis hasn't answered, together. */
  readonly #taking = new Map<string, number>();
  /** The calls that Redis itself has to answer, and hasn't. */
  readonly #asking = new Set<Promise<unknown>>();
  /** When closed, and where no timer could report what was counted. */
  #asksAlways = TIMERS_END_WITH_REQUESTS;
  #lastRate: number = Number.NaN;
  #lastLimit: number = Number.NaN;

  /** @internal */
  constructor(parts: HybridParts, redis: RedisLimiter, strategy: HolderStrategy) {
    setStore(this, parts.store);
    setAdjuster(this, { adjust: (key, delta) => this.#track(this.#correct(key, delta)) });
    this.#parts = parts;
    this.#redis = redis;
    this.#strategy = strategy;
    this.#clock = parts.settings.clock;
    this.#wall = parts.wall;
    this.#degradedAdjuster = { adjust: (key, delta) => this.#track(this.#correctDegraded(key, delta)) };
    this.#fallback = new Fallback(parts, redis, this.#degradedAdjuster);
    const timing = timingOf(parts.settings, parts.syncIntervalMs);
    this.#exchanges = new Exchanges(parts, timing, strategy, this.#fallback);
    this.#holders = new Holders(timing, this.#clock, this.#exchanges);
  }

  /**
   * Decides about a call and counts it: at once if this process knows enough of the key, or after one round trip to
   * Redis, which all waiting calls share.
   *
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`; if Redis fails and
   *   `onFailure` is `"throw"`, the promise rejects
   */
  inc(key: string, rate: Rate, count = 1): Awaitable<Decision> {
    const limit = this.limitOf(rate);
    if (count !== 1) checkCount("count", count, 1);
    if (this.#asksAlways) return this.#askRedis(key, rate, count);
    const row = this.#holders.rowOf(key);
    if (row === undefined) return this.#passOn(key, { rate, limit, count }, NO_DRAW);
    const decision = this.#decideHere(row, rate, limit, count);
    return typeof decision === "number" ? this.#passOn(key, { rate, limit, count }, decision) : decision;
  }

  /**
   * Decides like `inc`, but never asks Redis. It returns undefined if `inc` would have to ask. While the breaker
   * refuses calls, the failure policy decides. What it counts is reported in the background. A process gets its first
   * lease of a key only by `inc`.
   *
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
   */
  tryInc(key: string, rate: Rate, count = 1): Decision | undefined {
    const limit = this.limitOf(rate);
    if (count !== 1) checkCount("count", count, 1);
    const row = this.#holders.rowOf(key);
    if (row === undefined) checkKey(key);
    if (this.#asksAlways) return undefined;
    const decision = row === undefined ? NO_DRAW : this.#decideHere(row, rate, limit, count);
    return typeof decision === "number" ? this.#decideRefused(key, { rate, limit, count }) : decision;
  }

  /**
   * Returns what this process knows of a key, without asking Redis; undefined if it knows nothing. Counts nothing.
   *
   * @throws {TrypemaError} `INVALID_KEY`
   */
  getEstimate(key: string): Estimate | undefined {
    const holder = this.#holders.get(key);
    if (holder === undefined) checkKey(key);
    if (holder === undefined || this.#asksAlways) return undefined;
    const nowMs = this.#clock.now();
    holder.carryOn(nowMs, this.#wall.aheadMs(nowMs));
    return estimateOf(holder);
  }

  async isAllowed(key: string, count = 1, rate?: Rate): Promise<Decision> {
    return this.#afterReport(key, () => this.#redis.isAllowed(key, count, rate));
  }

  async get(key: string): Promise<Usage> {
    return this.#afterReport(key, () => this.#redis.get(key));
  }

  async adjust(key: string, delta: number): Promise<number> {
    return this.#afterReport(key, () => this.#redis.adjust(key, delta));
  }

  async setIf(key: string, rate: Rate, condition: Condition, count: number, history?: History): Promise<SetIfResult> {
    return this.#afterReport(key, () => this.#redis.setIf(key, rate, condition, count, history));
  }

  async setRate(key: string, rate: Rate): Promise<Rate | undefined> {
    return this.#afterReport(key, () => this.#redis.setRate(key, rate));
  }

  async block(key: string, ms: number): Promise<void> {
    return this.#afterReport(key, () => this.#redis.block(key, ms));
  }

  async unblock(key: string): Promise<void> {
    return this.#afterReport(key, () => this.#redis.unblock(key));
  }

  async delete(key: string): Promise<number> {
    return this.#afterReport(key, () => this.#redis.delete(key));
  }

  /**
   * Forgets every key of this strategy, prefix and window. It walks the whole database, so use it only in tests and by
   * hand.
   */
  async clear(): Promise<void> {
    for (const holder of this.#holders) holder.clear();
    await this.#redis.clear();
    // Redis may have answered reports meanwhile, and before it was cleared.
    for (const holder of this.#holders) holder.forget();
  }

  /**
   * Waits until all calls have their answers, reports what is left to report, returns all leases and stops. Later calls
   * ask Redis each. Never rejects. @internal
   */
  async close(): Promise<void> {
    this.#asksAlways = true;
    this.#exchanges.stop();
    this.#holders.stop();
    await Promise.all(Array.from(this.#holders, (holder) => this.#exchanges.finish(holder)));
    await Promise.allSettled(this.#asking);
    this.#holders.clear();
  }

  /** Every key that this process has something of. @internal */
  get holders(): Iterable<Holder> {
    return this.#holders;
  }

  /** The capacity at `rate`; successive calls mostly bring the same one. */
  protected limitOf(rate: Rate): number {
    if (rate !== this.#lastRate) {
      this.#lastLimit = capacityOf(rate, this.#parts.settings.windowMs);
      this.#lastRate = rate;
    }
    return this.#lastLimit;
  }

  /** The decision, if this process can make it with what it has. */
  #decideHere(row: number, rate: Rate, limit: number, count: number): Decision | Undecided {
    const nowMs = this.#clock.now();
    const aheadMs = this.#wall.aheadMs(nowMs);
    const admission = this.#holders.shortWay.admit(row, rate, limit, count, nowMs, aheadMs);
    if (admission !== undefined) return this.#parts.tally.add(admission, "");
    const holder = this.#holders.ofRow(row);
    if (!holder.knows(rate)) return NO_DRAW;
    holder.carryOn(nowMs, aheadMs);
    const decision = this.#strategy.decide(holder, count, nowMs);
    if (typeof decision === "number") return decision;
    this.#scheduleHits(holder);
    holder.noteCall(count, limit);
    return this.#parts.tally.add(decision, holder.key);
  }

  /** What would become of an ask of a take; undefined if only Redis can say. @internal */
  weigh({ key, rate, count }: Ask, nowMs: number): Weighed | undefined {
    const holder = this.#asksAlways ? undefined : this.#holders.get(key);
    if (holder === undefined || !holder.knows(rate)) return undefined;
    holder.carryOn(nowMs, this.#wall.aheadMs(nowMs));
    return this.#strategy.weigh(holder, weightOf(count), nowMs);
  }

  /** Whether the key is known to be blocked. @internal */
  isBlocked(key: string): boolean {
    return this.#holders.get(key)?.isBlocked === true;
  }

  /** The decision about an ask that was weighed. @internal */
  conclude({ key, count }: Ask, weighed: Weighed, isTaken: boolean, nowMs: number): Decision {
    const holder = this.#holders.get(key)!;
    const decision = this.#strategy.conclude(holder, weighed, { count, isTaken }, nowMs);
    holder.noteCall(count, holder.limit);
    this.#scheduleHits(holder);
    return decision;
  }

  /** The same about an ask of which little is known here, because another one of its take was denied. @internal */
  concludeUnknown({ key, rate, count }: Ask, nowMs: number): Decision {
    const limit = this.limitOf(rate);
    const holder = this.#holders.get(key);
    const used = holder?.knows(rate) ? Math.min(limit, holder.used) : 0;
    if (this.#strategy.countsDenied && count > 0) this.#count(key, rate, count, count, nowMs);
    return allowed(limit, used, holder === undefined ? 0 : holder.moreAfterMs(nowMs));
  }

  /**
   * Redis is going to be asked about an ask of a take. What this process has leased of the key is returned before,
   * where Redis could deny the ask because of that: afterwards is too late, since a denial may begin a block. Never
   * rejects. @internal
   */
  async beginTake({ key, rate, count }: Ask, nowMs: number): Promise<void> {
    const taking = (this.#taking.get(key) ?? 0) + weightOf(count);
    this.#taking.set(key, taking);
    const holder = this.#holders.get(key);
    if (holder === undefined || !holder.lease.isSetAside(nowMs)) return;
    const isRoom = holder.knows(holder.rate) && holder.used + holder.lease.setAside + taking <= this.limitOf(rate);
    if (!isRoom) await this.#exchanges.settle(holder);
  }

  /** Redis has answered, or failed to. @internal */
  endTake({ key, count }: Ask): void {
    const taking = this.#taking.get(key)! - weightOf(count);
    if (taking > 0) this.#taking.set(key, taking);
    else this.#taking.delete(key);
  }

  /** Redis has decided about an ask of a take, which it has counted where all of the take was admitted. @internal */
  noteTaken({ key, rate, count }: Ask, decision: Decision, isTaken: boolean, nowMs: number): void {
    if (this.#asksAlways || decision.degraded || count === 0) return;
    const holder = this.#holders.getOrAdd(key);
    if (holder === undefined) return;
    holder.carryOn(nowMs, this.#wall.aheadMs(nowMs));
    holder.noteTaken({ rate, limit: this.limitOf(rate), count }, decision, isTaken, nowMs);
    // A key that is seldom called costs Redis less without a lease.
    if (decision.allowed && holder.isCalledOften) this.#exchanges.renew(holder);
  }

  /** Counts what the failure policy decided about an ask that Redis has not counted. @internal */
  noteDegraded({ key, rate, count }: Ask, decision: Decision, isTaken: boolean, nowMs: number): Decision {
    if (!isTaken && (!this.#strategy.countsDenied || decision.outcome === "rejected")) return decision;
    const declined = isTaken ? 0 : count;
    const isReported = !this.#asksAlways && (count === 0 || this.#count(key, rate, count, declined, nowMs));
    // What isn't reported must not be given back to Redis, which would take it from what others have used.
    return isReported ? setAdjuster(decision, this.#degradedAdjuster) : decision;
  }

  /** The limiter that asks Redis. @internal */
  get redis(): RedisLimiter {
    return this.#redis;
  }

  /** Counts what Redis was not asked about. Returns false without a place for one more key: then it is not counted. */
  #count(key: string, rate: Rate, count: number, declined: number, nowMs: number): boolean {
    const holder = this.#holders.getOrAdd(key);
    if (holder === undefined) return false;
    if (!holder.knows(rate)) holder.degrade(rate, this.limitOf(rate));
    holder.addHit(count, declined, nowMs);
    this.#scheduleHits(holder);
    return true;
  }

  #scheduleHits(holder: Holder): void {
    if (holder.nextVisit === "none" && !holder.outbox.isEmpty) this.#exchanges.schedule(holder);
  }

  /** Has a call decided that can't be decided here: by the failure policy at once, or by Redis. */
  #passOn(key: string, call: WaitingCall, draw: Undecided): Awaitable<Decision> {
    const { rate, count } = call;
    checkKey(key);
    const refused = this.#decideRefused(key, call);
    if (refused !== undefined) return refused;
    // While the breaker refuses calls, only the policy "throw" comes here, or a key that there is no place for.
    const holder = this.#parts.backend.refuses ? undefined : this.#holders.getOrAdd(key);
    if (holder === undefined) return this.#track(this.#askRedis(key, rate, count));
    return this.#exchanges.ask(holder, call, draw);
  }

  #askRedis(key: string, rate: Rate, count: number): Promise<Decision> {
    this.#parts.watch.counts.waited++;
    return this.#redis.inc(key, rate, count);
  }

  /**
   * What the failure policy decides at once, because the breaker refuses calls; undefined if the breaker refuses
   * nothing, if the caller gets the error, or without a place for one more key.
   */
  #decideRefused(key: string, call: WaitingCall): Decision | undefined {
    const { backend, policy } = this.#parts;
    if (!backend.refuses || policy === "throw") return undefined;
    const holder = this.#holders.getOrAdd(key);
    if (holder === undefined) return undefined;
    const decision = this.#fallback.decideRefused(policy, holder, call);
    if (!holder.outbox.isEmpty) this.#exchanges.schedule(holder);
    return decision;
  }

  /** Corrects what was counted when the failure policy decided. */
  async #correctDegraded(key: string, delta: number): Promise<void> {
    const { policy, local } = this.#parts;
    if (policy === "local") await local().adjust(key, delta);
    await this.#correct(key, delta);
  }

  /** Corrects what was counted in Redis, if it knows all, and returns the total; else what it is going to be told. */
  async #correct(key: string, delta: number): Promise<number | undefined> {
    const holder = this.#holders.get(key);
    if (holder === undefined || (await this.#exchanges.settle(holder))) {
      const total = await this.#redis.adjustCounted(key, delta);
      holder?.forget();
      return total;
    }
    if (delta < 0) {
      // What is in no hit here was confirmed, so Redis has it.
      const left = holder.outbox.takeBack(-delta);
      if (left === 0) return undefined;
      return this.#redis.adjustCounted(key, -left).catch((error) => {
        throw left === -delta ? error : givenBackInPart(-delta - left, -delta, error);
      });
    }
    holder.addHit(delta, 0, this.#clock.now());
    this.#exchanges.schedule(holder);
    return undefined;
  }

  /**
   * The result of `ask` when Redis knows all about a key. What this process knows of the key may not hold afterwards.
   */
  #afterReport<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const holder = this.#holders.get(key);
    return this.#track(holder === undefined ? ask() : this.#askSettled(holder, ask));
  }

  async #askSettled<T>(holder: Holder, ask: () => Promise<T>): Promise<T> {
    await this.#exchanges.settle(holder);
    const answer = await ask();
    holder.forget();
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
}

/** The error for what Redis had to give back and did not, while this process has given back its own part for good. */
function givenBackInPart(given: number, wanted: number, error: unknown): unknown {
  if (!(error instanceof TrypemaError)) return error;
  const message = `refund: gave back ${given} of ${wanted}, which Redis didn't know of; Redis failed with the rest`;
  return new TrypemaError(error.code, message, { cause: error });
}
