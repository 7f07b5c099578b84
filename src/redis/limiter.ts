// What both strategies share on Redis: naming keys, sending scripts, reading replies, and the methods that do
// the same to either. The strategies add how to decide.

import { setAdjuster } from "../core/adjuster.ts";
import { checkedCondition, checkHistory } from "../core/condition.ts";
import { checkCount } from "../core/count.ts";
import type { Ask } from "../core/family.ts";
import { checkKey } from "../core/key.ts";
import { checkBlockMs } from "../core/options.ts";
import { type Rate, unlimited } from "../core/rate.ts";
import { setStore } from "../core/store.ts";
import type { Tally } from "../core/tally.ts";
import type { Awaitable, Condition, Decision, History, Limiter, SetIfResult, Usage } from "../core/types.ts";
import type { Watch } from "../core/watch.ts";
import { decideBlocked } from "../strategy/block.ts";
import { capacityIn, capacityOf } from "../strategy/capacity.ts";
import { allowed, markDegraded } from "../strategy/decision.ts";
import { emptyWindow, type SuppressedView, type WindowView } from "../strategy/view.ts";
import { CallTerms } from "./batch.ts";
import { argumentsOf, type BatchedCommand, type Command, fieldsOf } from "./commands.ts";
import { applyPolicy, isBackendFailure } from "./failure.ts";
import type { KeyNames } from "./keys.ts";
import { ADJUST, BLOCK, DELETE, type DeleteArguments, GIVE_RATE, PEEK, SET_IF, UNBLOCK } from "./lua.generated.ts";
import type { Backend, FailurePolicy, RedisParts, RedisSettings } from "./parts.ts";
import { type Peek, peekFrom } from "./peek.ts";
import { PendingInc } from "./pending-inc.ts";
import { type BlockReply, isTotal, misfit, numberFrom, totalFrom } from "./reply.ts";
import type { TakeAsk } from "./take-plan.ts";

/** Of so many rates the terms are kept. */
const MOST_TERMS = 1_000;

const UNKNOWN: Usage = Object.freeze({ total: 0, declined: 0, accepted: 0, limit: 0, suppressionFactor: 0 });

/** A call or an ask of a take about which a script has decided. */
export interface DecidedCall {
  readonly rate: Rate;
  readonly count: number;
  /** The draw that the script was given, where the strategy needs one. */
  readonly draw: number | undefined;
  /** Whether nothing else has met the draw. Then another call may have it if the script did not use it. */
  readonly isDrawFresh: boolean;
}

/** What became of the count of a call that Redis decided about: a take that is denied later gives it back. */
export type Counting = "counted" | "not counted" | "given back";

/** What every script takes. */
type WindowArguments = Pick<DeleteArguments, "windowMs" | "bucketMs" | "clockMs">;

/** The methods of one strategy on Redis; all return promises. */
export abstract class RedisLimiter implements Limiter {
  protected readonly settings: RedisSettings;
  /** The window of a key that Redis doesn't know. */
  protected readonly unknown: WindowView & SuppressedView;
  readonly #names: KeyNames;
  readonly #backend: Backend;
  readonly #policy: FailurePolicy;
  readonly #local: () => Limiter;
  readonly #watch: Watch;
  /** @internal */
  readonly tally: Tally;
  readonly #termsByRate = new Map<Rate, CallTerms>();

  /** @internal */
  constructor({ settings, names, store, backend, policy, local, watch, tally }: RedisParts) {
    setStore(this, store);
    setAdjuster(this, { adjust: (key, delta) => this.adjustCounted(key, delta) });
    this.settings = settings;
    this.unknown = emptyWindow(settings.windowMs);
    this.#names = names;
    this.#backend = backend;
    this.#policy = policy;
    this.#local = local;
    this.#watch = watch;
    this.tally = tally;
  }

  /**
   * Decides about a call and counts it, in one atomic script.
   *
   * @param key who or what is limited: 1 to 255 bytes of UTF-8
   * @param rate the key's rate from now on
   * @param count the weight of the call, a positive integer
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`: then nothing was
   *   recorded; and `BACKEND_UNAVAILABLE`, `BACKEND_TIMEOUT`, `BACKEND_SCRIPT` if `onFailure` is `"throw"`
   */
  inc(key: string, rate: Rate, count = 1): Promise<Decision> {
    return new Promise((resolve) => {
      const limit = this.limitOf(rate);
      checkCount("count", count, 1);
      checkKey(key);
      try {
        const draw = this.draw();
        const nowMs = this.settings.callersClock?.now();
        const terms = this.#termsFor(rate, limit, count);
        const keys = this.#names.of(key);
        this.#backend.inc(new PendingInc(this, resolve, key, rate, count, terms, keys, draw, nowMs));
      } catch (error) {
        resolve(this.incInstead(error, key, rate, count));
      }
    });
  }

  /** What the failure policy decides about a call that counts. @internal */
  async incInstead(error: unknown, key: string, rate: Rate, count: number): Promise<Decision> {
    const instead = await this.#decideInstead(error, this.limitOf(rate), (local) => local.inc(key, rate, count));
    return this.tally.add(instead, key);
  }

  async isAllowed(key: string, count = 1, rate?: Rate): Promise<Decision> {
    const firstRate = rate === undefined ? unlimited() : rate;
    const limit = this.limitOf(firstRate);
    checkCount("count", count, 1);
    checkKey(key);
    try {
      const peek = await this.#peek(key, count, rate);
      if (peek === undefined) return this.foresee(this.unknown, firstRate, count);
      if (peek.blockedMs > 0) return this.rejectBlocked(peek, peek.rate, count, peek.blockedMs);
      return this.foresee(peek, peek.rate, count);
    } catch (error) {
      return this.#decideInstead(error, limit, (local) => local.isAllowed(key, count, rate));
    }
  }

  async get(key: string): Promise<Usage> {
    checkKey(key);
    const usage = async () => {
      const peek = await this.#peek(key, 1);
      // A key that is only blocked has used nothing.
      if (peek === undefined || peek.observed === 0) return UNKNOWN;
      const { rate, observed: total, declined, blockedMs } = peek;
      const suppressionFactor = blockedMs > 0 ? 1 : this.factor(peek, rate);
      return { total, declined, accepted: total - declined, limit: this.limitOf(rate), suppressionFactor };
    };
    return this.orLocal(usage(), (local) => local.get(key));
  }

  async adjust(key: string, delta: number): Promise<number> {
    checkCount("delta", delta, Number.MIN_SAFE_INTEGER);
    checkKey(key);
    return this.orLocal(this.adjustCounted(key, delta), (local) => local.adjust(key, delta));
  }

  /** Corrects what Redis has counted, or fails. @internal */
  async adjustCounted(key: string, delta: number): Promise<number> {
    return totalFrom(await this.run(ADJUST, key, { delta, countedMs: undefined, declines: false }));
  }

  /**
   * Takes back what an ask has counted whose take failed or was denied. One that was denied is declined then where
   * denied calls are counted too, in the same step: so no failure can leave it counted twice, or lost. Redis has
   * answered a moment ago, so it is asked even while calls are refused because another part of it is away.
   *
   * @param countedMs when it was counted, by the clock that the scripts go by: hits of later buckets are others'
   * @internal
   */
  async giveBack(key: string, count: number, isDenied: boolean, countedMs: number): Promise<void> {
    const declines = isDenied && this.countsDenied;
    totalFrom(await this.run(ADJUST, key, { delta: -count, countedMs, declines }, true));
  }

  async setIf(
    key: string,
    rate: Rate,
    condition: Condition,
    count: number,
    history: History = "replace",
  ): Promise<SetIfResult> {
    this.limitOf(rate);
    const checked = checkedCondition(condition);
    checkCount("count", count, 0);
    checkHistory(history);
    checkKey(key);
    const set = async () => {
      const { op, value = 0 } = checked;
      const reply = await this.run(SET_IF, key, { rate, op, value, count, history });
      const { matched, previousTotal } = fieldsOf(SET_IF, reply);
      if (!((matched === 0 || matched === 1) && isTotal(previousTotal))) throw misfit(reply);
      return { matched: matched === 1, previousTotal, currentTotal: matched === 1 ? count : previousTotal };
    };
    return this.orLocal(set(), (local) => local.setIf(key, rate, checked, count, history));
  }

  async setRate(key: string, rate: Rate): Promise<Rate | undefined> {
    this.limitOf(rate);
    checkKey(key);
    const set = async () => {
      const reply = await this.run(GIVE_RATE, key, { rate });
      const before = numberFrom(reply);
      if (before === 0) return undefined;
      if (capacityIn(before, this.settings.windowMs) >= 1) return before as Rate;
      throw misfit(reply);
    };
    return this.orLocal(set(), (local) => local.setRate(key, rate));
  }

  async block(key: string, ms: number): Promise<void> {
    checkBlockMs("ms", ms);
    checkKey(key);
    await this.orLocal(this.#done(this.run(BLOCK, key, { ms })), (local) => local.block(key, ms));
  }

  async unblock(key: string): Promise<void> {
    checkKey(key);
    await this.orLocal(this.#done(this.run(UNBLOCK, key, {})), (local) => local.unblock(key));
  }

  async delete(key: string): Promise<number> {
    checkKey(key);
    return this.orLocal(this.run(DELETE, key, {}).then(totalFrom), (local) => local.delete(key));
  }

  /**
   * Forgets every key of this strategy, prefix and window. It walks the whole database, so use it only in tests and by
   * hand.
   */
  async clear(): Promise<void> {
    await this.orLocal(this.#backend.forget(this.#names.start), (local) => local.clear());
  }

  /** The decision that a call would get. */
  protected abstract foresee(window: WindowView & SuppressedView, rate: Rate, count: number): Decision;

  /** The largest count that is ever admitted. */
  protected abstract mostOf(rate: Rate): number;

  /** The rejection of a call to a key that is blocked for `leftMs` more. */
  protected rejectBlocked(
    window: Pick<WindowView, "used" | "oldestExpiresInMs">,
    rate: Rate,
    count: number,
    leftMs: number,
  ): Decision {
    const { windowMs } = this.settings;
    return decideBlocked(window, { limit: this.limitOf(rate), most: this.mostOf(rate), windowMs }, count, leftMs);
  }

  protected rejectByReply({ left, used, moreAfterMs }: BlockReply, rate: Rate, count: number): Decision {
    return this.rejectBlocked({ used, oldestExpiresInMs: moreAfterMs }, rate, count, this.waitMsFrom(left));
  }

  /** Waits for a script that replies with 1. */
  async #done(reply: Promise<unknown>): Promise<void> {
    const replied = await reply;
    if (numberFrom(replied) !== 1) throw misfit(replied);
  }

  /** The factor that a call of 1 would meet. */
  protected abstract factor(window: WindowView & SuppressedView, rate: Rate): number;

  /** A denial that the failure policy gave. @internal */
  abstract deny(limit: number): Decision;

  /** `value`, or what Local says where the policy is to ask it. */
  protected async orLocal<T>(value: Promise<T>, askLocal: (local: Limiter) => Awaitable<T>): Promise<T> {
    try {
      return await value;
    } catch (error) {
      if (this.#policy === "local" && isBackendFailure(error)) return askLocal(this.#local());
      throw error;
    }
  }

  /** What the failure policy decides where `error` stands in the way of Redis. */
  async #decideInstead(
    error: unknown,
    limit: number,
    askLocal: (local: Limiter) => Awaitable<Decision>,
  ): Promise<Decision> {
    const policy = applyPolicy(error, this.#policy, this.#watch);
    if (policy === "allow") return markDegraded(allowed(limit, 0, 0));
    if (policy === "deny") return markDegraded(this.deny(limit));
    const local = this.#local();
    return setAdjuster(markDegraded(await askLocal(local)), local);
  }

  async #peek(key: string, count: number, rate?: Rate): Promise<Peek | undefined> {
    const reply = await this.#backend.peek({
      keys: this.#names.of(key),
      args: this.#argumentsOf(PEEK, { count, sheds: this.countsDenied, rate }),
    });
    return peekFrom(reply, this.settings.windowMs);
  }

  /** Runs a script on a key, with the arguments that are its own; those of the window are added. */
  protected run<Arguments extends WindowArguments, Reply>(
    command: Command<Arguments, Reply>,
    key: string,
    own: NoInfer<Omit<Arguments, keyof WindowArguments>>,
    isOwed = false,
  ): Promise<unknown> {
    return this.#backend.run(command, [...this.#names.of(key)], this.#argumentsOf(command, own), isOwed);
  }

  #argumentsOf<Arguments extends WindowArguments, Reply>(
    command: Command<Arguments, Reply>,
    own: NoInfer<Omit<Arguments, keyof WindowArguments>>,
  ): string[] {
    const { windowMs, bucketMs, callersClock } = this.settings;
    const values = { ...own, windowMs, bucketMs, clockMs: callersClock?.now() } as unknown as Arguments;
    return argumentsOf(command, values);
  }

  /** What a script needs to know of an ask of a take. @internal */
  askOf({ key, rate, count, blockMs, draw }: Ask): TakeAsk & DecidedCall {
    const terms = this.#termsFor(rate, this.limitOf(rate), count);
    const isDrawFresh = draw === undefined;
    const given = isDrawFresh ? this.draw() : draw;
    return { terms, keys: this.#names.of(key), rate, count, draw: given, isDrawFresh, blockMs };
  }

  /** The name of the Redis key that has the state of a key. @internal */
  redisKey(key: string): string {
    return this.#names.of(key)[0];
  }

  /** The capacity at `rate`. @internal */
  limitFor(rate: Rate): number {
    return this.limitOf(rate);
  }

  /** Whether a call that is denied is counted too. @internal */
  abstract readonly countsDenied: boolean;

  /** The limiter that decides instead under the failure policy `"local"`. @internal */
  get standIn(): Limiter {
    return this.#local();
  }

  /** A random number; undefined where the strategy needs none. */
  protected abstract draw(): number | undefined;

  /**
   * The decision about a call or an ask of a take, from what a script has replied to it.
   *
   * @param counting what became of its count, if it was admitted
   * @throws {TrypemaError} `BACKEND_SCRIPT` for what is no reply to it
   * @internal
   */
  abstract concluded(reply: unknown, call: DecidedCall, counting: Counting): Decision;

  /** The terms of calls of 1 are kept, because a batch sends the terms once for all calls that have the same. */
  #termsFor(rate: Rate, limit: number, count: number): CallTerms {
    if (count !== 1) return this.termsOf(rate, limit, count);
    let terms = this.#termsByRate.get(rate);
    if (terms === undefined) {
      if (this.#termsByRate.size >= MOST_TERMS) this.#termsByRate.clear();
      terms = this.termsOf(rate, limit, 1);
      this.#termsByRate.set(rate, terms);
    }
    return terms;
  }

  /** What calls at that rate and of that count are judged by. */
  protected abstract termsOf(rate: Rate, limit: number, count: number): CallTerms;

  /** Terms with the arguments of the command that are its own; those of the window are added. */
  protected makeTerms<Arguments extends WindowArguments, Reply>(
    command: BatchedCommand<Arguments, Reply>,
    own: NoInfer<Omit<Arguments, keyof WindowArguments>>,
  ): CallTerms {
    const { windowMs, bucketMs } = this.settings;
    const values = { ...own, windowMs, bucketMs, clockMs: undefined } as unknown as Arguments;
    const args = argumentsOf(command, values);
    return new CallTerms(command, args.slice(0, args.length - command.ownOfCall));
  }

  /** A wait as `time_as_replied` in lua/lib/reply.lua makes it, in ms. */
  protected waitMsFrom(wait: number): number {
    return this.settings.callersClock === undefined ? wait / 1_000 : wait;
  }

  protected limitOf(rate: Rate): number {
    return capacityOf(rate, this.settings.windowMs);
  }
}
