// What both strategies share on Redis: naming keys, sending scripts, reading replies, and the methods that do
// the same to either. The strategies add how to decide.

import type { ForwardClock } from "../core/clock.ts";
import { TrypemaError } from "../core/errors.ts";
import { checkKey } from "../core/key.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Awaitable, Condition, Decision, History, Limiter, SetIfResult, Usage } from "../core/types.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { allowed } from "../strategy/decision.ts";
import { checkCount, checkedCondition, checkHistory } from "../strategy/history.ts";
import { recentSpanMs } from "../strategy/suppressed.ts";
import type { KeyNames } from "./keys.ts";
import { ADJUST, DELETE, PEEK, SET_IF } from "./lua.generated.ts";
import type { Script } from "./script.ts";

const UNKNOWN: Usage = Object.freeze({ total: 0, declined: 0, accepted: 0, limit: 0, suppressionFactor: 0 });

/** Where the scripts run. What fails is a {@link TrypemaError} with a code that begins with BACKEND. */
export interface Backend {
  run(script: Script, keys: string[], args: string[]): Promise<unknown>;
  forget(pattern: string): Promise<void>;
}

/**
 * Who decides when Redis can't: `"throw"` leaves it to the caller, `"allow"` and `"deny"` give every call that
 * answer, `"local"` asks a Local provider with the same options. Decisions made so are `degraded`.
 */
export type FailurePolicy = "throw" | "allow" | "deny" | "local";

/** Where the answers come from while Redis has none. */
export interface Fallback {
  readonly policy: FailurePolicy;
  /** The same strategy of the Local provider for `"local"`. */
  readonly local: () => Limiter;
}

export interface RedisSettings extends Omit<LimiterSettings, "clock"> {
  /** Absent: the server's. */
  readonly clock: ForwardClock | undefined;
  readonly timeoutMs: number;
}

/** What PEEK tells of a known key. */
export interface Peek {
  readonly rate: Rate;
  readonly total: number;
  readonly declined: number;
  /** How long until enough has expired for the call, and how much that is. */
  readonly waitMs: number;
  readonly freed: number;
  readonly oldestExpiresInMs: number;
  readonly oldestAccepted: number;
  readonly recentPerSecond: number;
  /** The factor that was computed last and its age; -1 for none. */
  readonly keptFactor: number;
  readonly keptFactorAgeMs: number;
}

/** The methods of one strategy on Redis; all return promises. */
export abstract class RedisLimiter implements Limiter {
  protected readonly settings: RedisSettings;
  readonly #names: KeyNames;
  readonly #backend: Backend;
  readonly #fallback: Fallback;
  readonly #window: readonly string[];

  /** @internal */
  constructor(settings: RedisSettings, names: KeyNames, backend: Backend, fallback: Fallback) {
    this.settings = settings;
    this.#names = names;
    this.#backend = backend;
    this.#fallback = fallback;
    // A caller's clock may stand still while the server's goes on, so what it drives has a minute to spare.
    const ttlMs = Math.ceil(settings.windowMs) + (settings.clock === undefined ? 0 : 60_000);
    this.#window = [settings.windowMs, settings.bucketMs, ttlMs].map(text);
  }

  /**
   * Decides about a call and records it, in one atomic script.
   *
   * @param key who or what is limited: 1 to 255 bytes of UTF-8
   * @param rate the key's rate from now on
   * @param count the weight of the call, a positive integer
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`: then nothing
   *   was recorded; and `BACKEND_UNAVAILABLE`, `BACKEND_TIMEOUT`, `BACKEND_SCRIPT` if `onFailure` is `"throw"`
   */
  async inc(key: string, rate: Rate, count = 1): Promise<Decision> {
    const limit = this.limitOf(rate);
    checkCount("count", count, 1);
    checkKey(key);
    return this.#decide(this.decide(key, rate, limit, count), limit, (local) => local.inc(key, rate, count));
  }

  async isAllowed(key: string, count = 1): Promise<Decision> {
    checkCount("count", count, 1);
    checkKey(key);
    const anything = Number.POSITIVE_INFINITY;
    const decide = async () => {
      const peek = await this.peek(key, count);
      return peek === undefined ? allowed(anything, anything) : this.foresee(peek, count);
    };
    return this.#decide(decide(), anything, (local) => local.isAllowed(key, count));
  }

  async get(key: string): Promise<Usage> {
    checkKey(key);
    const usage = async () => {
      const peek = await this.peek(key, 1);
      if (peek === undefined) return UNKNOWN;
      const { rate, total, declined } = peek;
      const limit = this.limitOf(rate);
      return { total, declined, accepted: total - declined, limit, suppressionFactor: this.factor(peek) };
    };
    return this.orLocal(usage(), (local) => local.get(key));
  }

  async adjust(key: string, delta: number): Promise<number> {
    checkCount("delta", delta, Number.MIN_SAFE_INTEGER);
    checkKey(key);
    const total = this.run(ADJUST, key, text(delta)).then(numberFrom);
    return this.orLocal(total, (local) => local.adjust(key, delta));
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
      const reply = await this.run(SET_IF, key, text(rate), op, text(value), text(count), history);
      const [matched, previousTotal] = numbersFrom(reply) as [number, number];
      return { matched: matched === 1, previousTotal, currentTotal: matched === 1 ? count : previousTotal };
    };
    return this.orLocal(set(), (local) => local.setIf(key, rate, checked, count, history));
  }

  async delete(key: string): Promise<number> {
    checkKey(key);
    return this.orLocal(this.run(DELETE, key).then(numberFrom), (local) => local.delete(key));
  }

  /** Forgets every key of this strategy, prefix and window. Walks the whole database: not for the hot path. */
  async clear(): Promise<void> {
    await this.orLocal(this.#backend.forget(this.#names.pattern), (local) => local.clear());
  }

  /** Decides about a call, with arguments that are valid, and records it. */
  protected abstract decide(key: string, rate: Rate, limit: number, count: number): Promise<Decision>;

  /** The decision that a call would get. */
  protected abstract foresee(peek: Peek, count: number): Decision;

  /** The factor that a call of 1 would meet. */
  protected abstract factor(peek: Peek): number;

  /** A denial that the failure policy gave. */
  protected abstract deny(limit: number): Decision;

  /** `value`, or what Local says where the policy is to ask it. */
  protected async orLocal<T>(value: Promise<T>, askLocal: (local: Limiter) => Awaitable<T>): Promise<T> {
    try {
      return await value;
    } catch (error) {
      if (this.#fallback.policy === "local" && isBackendFailure(error)) return askLocal(this.#fallback.local());
      throw error;
    }
  }

  async #decide(
    decision: Promise<Decision>,
    limit: number,
    askLocal: (local: Limiter) => Awaitable<Decision>,
  ): Promise<Decision> {
    try {
      return await decision;
    } catch (error) {
      const { policy, local } = this.#fallback;
      if (policy === "throw" || !isBackendFailure(error)) throw error;
      const instead =
        policy === "allow" ? allowed(limit, limit) : policy === "deny" ? this.deny(limit) : await askLocal(local());
      return { ...instead, degraded: true };
    }
  }

  protected async peek(key: string, count: number): Promise<Peek | undefined> {
    const reply = await this.run(PEEK, key, text(count), text(recentSpanMs(this.settings.windowMs)));
    if (reply === null) return undefined;
    const [rate, total, declined, waitMs, freed, oldestExpiresInMs, oldestAccepted, recentPerSecond, factor, age] =
      numbersFrom(reply) as [number, number, number, number, number, number, number, number, number, number];
    return {
      rate: rate as Rate,
      total,
      declined,
      waitMs,
      freed,
      oldestExpiresInMs,
      oldestAccepted,
      recentPerSecond,
      keptFactor: factor,
      keptFactorAgeMs: age,
    };
  }

  protected run(script: Script, key: string, ...args: string[]): Promise<unknown> {
    const { clock } = this.settings;
    const time = clock === undefined ? "" : text(clock.now());
    return this.#backend.run(script, this.#names.of(key), [time, ...this.#window, ...args]);
  }

  protected limitOf(rate: Rate): number {
    return capacityOf(rate, this.settings.windowMs);
  }
}

function isBackendFailure(error: unknown): boolean {
  return error instanceof TrypemaError && error.code.startsWith("BACKEND");
}

/** A number as Lua's `tonumber` reads it. */
export function text(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "inf";
  if (value === Number.NEGATIVE_INFINITY) return "-inf";
  return String(value);
}

/** A number of a reply: an integer, or text where it may be fractional. */
export function numberFrom(reply: unknown): number {
  if (typeof reply === "number") return reply;
  const value = String(reply);
  if (value === "inf") return Number.POSITIVE_INFINITY;
  return Number(value);
}

export function numbersFrom(reply: unknown): number[] {
  return (reply as unknown[]).map(numberFrom);
}
