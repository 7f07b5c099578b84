// What both strategies share on Redis: naming keys, sending scripts, reading replies, and the methods that do
// the same to either. The strategies add how to decide.

import type { ForwardClock } from "../core/clock.ts";
import { checkKey } from "../core/key.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Condition, Decision, History, Limiter, SetIfResult, Usage } from "../core/types.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { checkCondition, checkCount, checkHistory } from "../strategy/history.ts";
import { recentSpanMs } from "../strategy/suppressed.ts";
import type { KeyNames } from "./keys.ts";
import { ADJUST, DELETE, PEEK, SET_IF } from "./lua.generated.ts";
import type { Script } from "./script.ts";

const UNKNOWN: Usage = Object.freeze({ total: 0, declined: 0, accepted: 0, limit: 0, suppressionFactor: 0 });

/** Where the scripts run. */
export interface Backend {
  run(script: Script, keys: string[], args: string[]): Promise<unknown>;
  forget(pattern: string): Promise<void>;
}

export interface RedisSettings extends Omit<LimiterSettings, "clock"> {
  /** Absent: the server's. */
  readonly clock: ForwardClock | undefined;
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
  readonly #window: readonly string[];

  /** @internal */
  constructor(settings: RedisSettings, names: KeyNames, backend: Backend) {
    this.settings = settings;
    this.#names = names;
    this.#backend = backend;
    this.#window = [text(settings.windowMs), text(settings.bucketMs)];
  }

  /**
   * Decides about a call and records it, in one atomic script.
   *
   * @param key who or what is limited: 1 to 255 bytes of UTF-8
   * @param rate the key's rate from now on
   * @param count the weight of the call, a positive integer
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`;
   *   then nothing was recorded
   */
  abstract inc(key: string, rate: Rate, count?: number): Promise<Decision>;

  /** The decision that `inc` would give now, at the rate last given. Records nothing; an unknown key is allowed. */
  abstract isAllowed(key: string, count?: number): Promise<Decision>;

  /** What the key has used; zeros for an unknown key, which stays unknown. */
  async get(key: string): Promise<Usage> {
    const peek = await this.peek(key, 1);
    if (peek === undefined) return UNKNOWN;
    const { rate, total, declined } = peek;
    const limit = this.limitOf(rate);
    return { total, declined, accepted: total - declined, limit, suppressionFactor: this.factor(peek) };
  }

  /**
   * Corrects usage after the fact: a refund of a call that failed, or the difference to an estimate.
   * Adds to or takes from the newest history, and never leaves less than 0; accepted usage is given
   * back before declined. A key whose history is gone has nothing to correct and stays unknown.
   *
   * @param delta an integer
   * @returns the new total
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_COUNT`
   */
  async adjust(key: string, delta: number): Promise<number> {
    checkCount("delta", delta, Number.MIN_SAFE_INTEGER);
    return numberFrom(await this.run(ADJUST, key, text(delta)));
  }

  /**
   * Sets the total to `count` when the live total meets `condition`, in one step.
   *
   * @param count 0 or a positive integer; 0 forgets the key
   * @param history which buckets give or take the difference; declined counts shrink in proportion
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `INVALID_OPTION`, `CAPACITY_BELOW_ONE`
   */
  async setIf(
    key: string,
    rate: Rate,
    condition: Condition,
    count: number,
    history: History = "replace",
  ): Promise<SetIfResult> {
    this.limitOf(rate);
    checkCondition(condition);
    checkCount("count", count, 0);
    checkHistory(history);
    const { op, value = 0 } = condition;
    const reply = await this.run(SET_IF, key, text(rate), op, text(value), text(count), history);
    const [matched, previousTotal] = numbersFrom(reply) as [number, number];
    return { matched: matched === 1, previousTotal, currentTotal: matched === 1 ? count : previousTotal };
  }

  /** Forgets the key; returns the total that it had. */
  async delete(key: string): Promise<number> {
    return numberFrom(await this.run(DELETE, key));
  }

  /** Forgets every key of this strategy, prefix and window. Walks the whole database: not for the hot path. */
  async clear(): Promise<void> {
    await this.#backend.forget(this.#names.pattern);
  }

  /** The factor that a call of 1 would meet. */
  protected abstract factor(peek: Peek): number;

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
    checkKey(key);
    const { clock } = this.settings;
    const time = clock === undefined ? "" : text(clock.now());
    return this.#backend.run(script, this.#names.of(key), [time, ...this.#window, ...args]);
  }

  protected limitOf(rate: Rate): number {
    return capacityOf(rate, this.settings.windowMs);
  }
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
