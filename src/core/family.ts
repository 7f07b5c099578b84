// What the providers give to whatever checks several limits as one: limiters by name, and takes.
//
// A provider and those that `withWindow` makes of it are a family: they count in the same place. A name is part of what
// is counted, so limits of different names have different counts for the same key.

import type { Rate } from "./rate.ts";
import type { Awaitable, Decision, Limiter } from "./types.ts";

/** Which counts a limiter of a family has. */
export interface NamedLimit {
  readonly name: string;
  readonly strategy: "absolute" | "suppressed";
  readonly windowMs: number;
  readonly bucketMs: number;
  readonly hardLimitFactor: number;
}

/** One limit of a take. Its key, its rate and its count are valid. */
export interface Ask {
  /** One that the family has made. No two asks of a take have the same. */
  readonly limiter: Limiter;
  readonly key: string;
  readonly rate: Rate;
  /** The weight of the call; 0 asks for a call of 1 and counts nothing. */
  readonly count: number;
  /** Absolute: for how long a denial blocks the key; 0 for no block. */
  readonly blockMs: number;
}

/** What was decided about each ask, and when. */
export interface TakeDecisions {
  readonly decisions: readonly Decision[];
  /** By the clock of the family. */
  readonly takenMs: number;
}

export interface Family {
  /** The limiter of these counts: the same object for the same limit. */
  limiter(limit: NamedLimit): Limiter;
  /**
   * Decides about all asks, and counts them if each is admitted. Where one is denied, absolute limits are left as they
   * were, and suppressed limits count what they were asked for as declined.
   */
  take(asks: readonly Ask[]): Awaitable<TakeDecisions>;
  /** The present time by the clock that `takenMs` is of. */
  nowMs(): number;
  /** The options that a limit has where its definition doesn't say. */
  readonly hardLimitFactor: number;
}

const families = new WeakMap<object, Family>();

/** Names the family of a provider. */
export function setFamily(provider: object, family: Family): void {
  families.set(provider, family);
}

/** The family of a provider; undefined for a provider that isn't made by this package. */
export function familyOf(provider: object): Family | undefined {
  return families.get(provider);
}
