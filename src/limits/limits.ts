// Several limits, checked as one: all of them admit a call and count it, or none does.

import { checkCount } from "../core/count.ts";
import { show, TrypemaError } from "../core/errors.ts";
import { type Family, familyOf } from "../core/family.ts";
import { checkOptions } from "../core/options.ts";
import type { Awaitable, Decision, Limiter, Provider } from "../core/types.ts";
import { type LimitDefinition, type LimitOverride, rateFrom, resolveLimit } from "./definition.ts";
import { foresee } from "./foresee.ts";
import { AskedLimit, checkCountsOf, later, ownValue, Taken } from "./taken.ts";

/** The type of a provider's answers: Local returns a value, Redis a promise, Hybrid one of the two. */
export type AnswerOf<P extends Provider, T> =
  ReturnType<P["absolute"]["inc"]> extends Decision
    ? T
    : ReturnType<P["absolute"]["inc"]> extends Promise<unknown>
      ? Promise<T>
      : Awaitable<T>;

/** The limits to ask, at least one, with a key for each. */
export type KeysOf<Asked extends string> = [Asked] extends [never] ? never : { readonly [Name in Asked]: string };

/** Whatever has a name; nothing fits where there are no names. */
type AtLeastOne<Names extends string> = [Names] extends [never] ? never : unknown;

/** What a call costs: one number for all limits that are asked, or a number for each. Default 1. */
export type CountsOf<Asked extends string> = number | { readonly [Name in Asked]?: number };

/** Other limits for this call, such as those of the caller's plan. */
export type OverridesOf<Names extends string> = { readonly [Name in Names]?: LimitOverride };

interface TakenFields<P extends Provider, Asked extends string> {
  /** The decision of each limit. If the take was denied, the limits that would admit it show how much is left. */
  readonly decisions: Readonly<Record<Asked, Decision>>;
  /**
   * Gives back what the take has counted, from the newest hits of each key. For a limit whose window has passed since
   * the take, it does nothing. It also does nothing for a take that was denied, or given back before. After `delete` of
   * the key it would take off what other calls have counted since, so don't call it then.
   */
  refund(): AnswerOf<P, void>;
  /**
   * Corrects the take to its real cost, for example after an estimate. A limit that isn't named keeps its count. It
   * never gives back more than was taken. For a limit whose window has passed since the take, it does nothing. If the
   * real cost is higher, all of it counts, even above the limit. It does nothing for a take that was denied, or for a
   * peek.
   *
   * @throws {TrypemaError} `INVALID_COUNT` unless the counts are 0 or positive integers; `INVALID_OPTION` for a limit
   *   that wasn't asked
   */
  settle(counts: CountsOf<Asked>): AnswerOf<P, void>;
}

/**
 * The answer to a take: check `allowed`. `decisions` has the decision of each limit, by its name. `refund()` gives back
 * what was taken, and `settle(counts)` corrects it to the real cost.
 */
export type TakenOf<P extends Provider, Asked extends string> = TakenFields<P, Asked> &
  (
    | {
        /** Every limit admits the call, and has counted it. */
        readonly allowed: true;
        readonly deniedBy: undefined;
        /** 0. */
        readonly retryAfterMs: number;
      }
    | {
        /** A limit denies the call, and no absolute limit has counted it. */
        readonly allowed: false;
        /** Of the limits that deny the call, the limit with the longest wait. */
        readonly deniedBy: Asked;
        /** The longest wait that a denial asks for, in ms; Infinity when the call can never be admitted. */
        readonly retryAfterMs: number;
      }
  );

/** Several limits, checked as one. Made by {@link createLimits}. */
export interface Limits<P extends Provider, Names extends string> {
  /**
   * Takes from all limits that are asked, or from none. If the take is denied, suppressed limits still count it, as
   * declined.
   *
   * @param keys the limits to ask, with a key for each; a text is the key for every limit
   * @param counts what the call costs, one number for all limits or a number for each; default 1. 0 asks a limit
   *   without counting
   * @param overrides other limits for this call; those of limits that aren't asked change nothing, so that the limits
   *   of a plan can be given whole
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_COUNT`, `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`: then
   *   nothing was counted; and what the provider throws when Redis is away
   */
  take<Asked extends Names = Names>(
    keys: string | KeysOf<Asked>,
    counts?: CountsOf<NoInfer<Asked>>,
    overrides?: OverridesOf<Names>,
  ): AnswerOf<P, TakenOf<P, Asked>>;

  /**
   * Returns what `take` would answer. It counts nothing and blocks nobody, so the wait of a denial doesn't include the
   * block that `take` would begin. There is nothing to refund or to settle.
   *
   * @throws {TrypemaError} as `take` does
   */
  peek<Asked extends Names = Names>(
    keys: string | KeysOf<Asked>,
    counts?: CountsOf<NoInfer<Asked>>,
    overrides?: OverridesOf<Names>,
  ): AnswerOf<P, TakenOf<P, Asked>>;

  /**
   * Returns the limiter of one limit, for example to block a key by hand, to forget it, or to look at it. Its `inc`
   * needs a rate, and asks only this limit.
   */
  limiter(name: Names): P["absolute"];
}

/**
 * Checks several limits of one provider in one step. Each limit has its own window. Either all limits admit a call and
 * count it, or the call is denied and no absolute limit has counted anything. On Redis that is one round trip.
 *
 * Limits with different names have different counts for the same key.
 *
 * @example
 * const limits = createLimits(createLocalProvider(), {
 *   burst: { limit: 10, windowMs: seconds(1) },
 *   day: { limit: 5_000, windowMs: days(1), bucketMs: minutes(1) },
 * });
 * const taken = limits.take({ burst: "203.0.113.9", day: "user-1" });
 * if (!taken.allowed) console.log(taken.deniedBy, taken.retryAfterMs);
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
 */
export function createLimits<P extends Provider, Names extends string>(
  provider: P,
  definitions: Readonly<Record<Names, LimitDefinition>> & AtLeastOne<Names>,
): Limits<P, Names> {
  const family = familyOf(provider);
  if (family === undefined) {
    throw new TrypemaError("INVALID_OPTION", `provider: got ${show(provider)}, expected a provider of this package`);
  }
  // The answers have the types that the provider's have.
  return new SeveralLimits(family, definitions) as unknown as Limits<P, Names>;
}

type TakeArguments = [
  keys: string | KeysOf<string>,
  counts: CountsOf<string> | undefined,
  overrides: OverridesOf<string> | undefined,
];

class SeveralLimits {
  readonly #family: Family;
  /** Each limit, as it is asked by a call that says nothing but a key, which is that of all limits. */
  readonly #limits: readonly AskedLimit[];
  readonly #byName: ReadonlyMap<string, AskedLimit>;

  constructor(family: Family, definitions: Readonly<Record<string, LimitDefinition>>) {
    checkOptions("limits", definitions, Object.keys(Object(definitions)));
    this.#family = family;
    const limits = Object.entries(definitions).map(([name, definition]) =>
      resolveLimit(name, definition, family.hardLimitFactor),
    );
    const limiters = family.limitersTogether(limits);
    this.#limits = limits.map((limit, place) => new AskedLimit(limit, limiters[place]!, "", limit.rate, 1));
    if (this.#limits.length === 0) {
      throw new TrypemaError("INVALID_OPTION", "limits: got none, expected at least one limit by its name");
    }
    this.#byName = new Map(this.#limits.map((known) => [known.limit.name, known]));
  }

  take(keys: string | KeysOf<string>, counts?: CountsOf<string>, overrides?: OverridesOf<string>): Awaitable<Taken> {
    if (this.#family.answersLater) return this.#takeLater(keys, counts, overrides);
    return this.#take(keys, counts, overrides);
  }

  /** Apart from `take`, because a closure there costs Local a twentieth of a call. */
  #takeLater(...asked: TakeArguments): Promise<Taken> {
    return later(() => this.#take(...asked));
  }

  #take(
    keys: string | KeysOf<string>,
    counts: CountsOf<string> | undefined,
    overrides: OverridesOf<string> | undefined,
  ): Awaitable<Taken> {
    const asked = this.#asked(keys, counts, overrides);
    const key = keyOfAll(keys);
    const decided = this.#family.take(asked, key);
    if (decided instanceof Promise) return decided.then((made) => new Taken(this.#family, asked, key, made));
    return new Taken(this.#family, asked, key, decided);
  }

  peek(keys: string | KeysOf<string>, counts?: CountsOf<string>, overrides?: OverridesOf<string>): Awaitable<Taken> {
    if (this.#family.answersLater) return later(() => this.#peek(keys, counts, overrides));
    return this.#peek(keys, counts, overrides);
  }

  #peek(...[keys, counts, overrides]: TakeArguments): Awaitable<Taken> {
    const asked = this.#asked(keys, counts, overrides);
    const key = keyOfAll(keys);
    const foreseen = foresee(asked, key);
    // It was taken at no time, so nothing of it can be corrected.
    const conclude = (decisions: readonly Decision[]) =>
      new Taken(this.#family, asked, key, {
        isTaken: decisions.every(({ allowed }) => allowed),
        decisions,
        takenMs: Number.NEGATIVE_INFINITY,
      });
    return foreseen instanceof Promise ? foreseen.then(conclude) : conclude(foreseen);
  }

  limiter(name: string): Limiter {
    return this.#known(name).limiter;
  }

  /** The limits that are asked, with what each is asked. The family checks the keys, before anything is counted. */
  #asked(
    keys: string | KeysOf<string>,
    counts: CountsOf<string> | undefined,
    overrides: OverridesOf<string> | undefined,
  ): readonly AskedLimit[] {
    const asked = typeof keys === "string" ? this.#limits : this.#askNamed(keys);
    return counts === undefined && overrides === undefined ? asked : this.#withOwn(asked, counts, overrides);
  }

  #askNamed(keys: KeysOf<string>): readonly AskedLimit[] {
    if (typeof keys !== "object" || keys === null) {
      throw new TrypemaError("INVALID_KEY", `keys: got ${show(keys)}, expected a key or an object of keys by limit`);
    }
    const asked = Object.keys(keys).map((name) => {
      const { limit, limiter } = this.#known(name);
      return new AskedLimit(limit, limiter, keys[name]!, limit.rate, 1);
    });
    if (asked.length > 0) return asked;
    throw new TrypemaError("INVALID_KEY", "keys: got none, expected at least one limit with its key");
  }

  /** The same with counts and limits of the call's own. */
  #withOwn(
    asked: readonly AskedLimit[],
    counts: CountsOf<string> | undefined,
    overrides: OverridesOf<string> | undefined,
  ): readonly AskedLimit[] {
    if (counts !== undefined) checkCountsOf(asked, counts);
    if (overrides !== undefined) checkOptions("overrides", overrides, [...this.#byName.keys()]);
    return asked.map(({ limit, limiter, key }) => {
      const { name } = limit;
      const given = typeof counts === "object" ? ownValue(counts, name) : counts;
      const count = given === undefined ? 1 : given;
      checkCount(`counts.${name}`, count, 0);
      const override = overrides && ownValue(overrides, name);
      const rate = override === undefined ? limit.rate : rateFrom(`overrides.${name}`, override, limit.windowMs);
      return new AskedLimit(limit, limiter, key, rate, count);
    });
  }

  #known(name: string): AskedLimit {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const names = [...this.#byName.keys()].join(", ");
    throw new TrypemaError("INVALID_OPTION", `limit ${show(name)}: no limit has this name; there are ${names}`);
  }
}

/** The key of all limits that are asked; undefined where each has its own. */
function keyOfAll(keys: string | KeysOf<string>): string | undefined {
  return typeof keys === "string" ? keys : undefined;
}
