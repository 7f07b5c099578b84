// How many calls of one limit ended how. A call adds to plain numbers, because that costs it about a nanosecond.

import type { Decision } from "./types.ts";

/**
 * The calls of one limit since the provider was made: calls of `inc`, and of takes that count something. If a take is
 * denied, only the limits that deny it count its call here. The other limits don't, because the call was not admitted.
 */
export interface LimitStats {
  /** The limit's name in `createLimits` or in HTTP; `""` for the calls to the provider's own limiters. */
  readonly name: string;
  /** Its strategy. */
  readonly strategy: "absolute" | "suppressed";
  /** Its window. */
  readonly windowMs: number;
  /** Calls that were admitted within the capacity. */
  readonly allowed: number;
  /** How many of `allowed` left less than a tenth of the capacity. */
  readonly nearLimit: number;
  /** Calls that the absolute strategy denied, and calls of both strategies whose key is blocked. */
  readonly rejected: number;
  /** How many of `rejected` were denied because the key is blocked. */
  readonly blocked: number;
  /** Suppressed: calls that were admitted over the capacity. */
  readonly suppressedAdmitted: number;
  /** Suppressed: calls that were denied. */
  readonly suppressedDenied: number;
  /**
   * Suppressed: the sum of the factors of the calls over the capacity. Divide it by the number of all calls for the
   * mean.
   */
  readonly suppressionFactorSum: number;
  /** How many of all calls the failure policy decided. Calls that failed with an error are in none of these numbers. */
  readonly degraded: number;
}

/** Which calls a tally counts: those of one limit. */
export type TallyOf = Pick<LimitStats, "name" | "strategy" | "windowMs">;

/** Told of each call of a limit that is denied. Never throws, because that is in the middle of a decision. */
export type OnDenial = (limit: TallyOf, key: string) => void;

export class Tally implements LimitStats {
  readonly name: string;
  readonly strategy: "absolute" | "suppressed";
  readonly windowMs: number;
  allowed = 0;
  nearLimit = 0;
  rejected = 0;
  blocked = 0;
  suppressedAdmitted = 0;
  suppressedDenied = 0;
  suppressionFactorSum = 0;
  degraded = 0;
  /** Private, because `stats` has all other fields. */
  #onDenial: OnDenial | undefined;

  constructor({ name, strategy, windowMs }: TallyOf) {
    this.name = name;
    this.strategy = strategy;
    this.windowMs = windowMs;
  }

  /** Has denials told from now on, or nobody with undefined. */
  tellDenials(onDenial: OnDenial | undefined): void {
    this.#onDenial = onDenial;
  }

  /** A call was admitted under the capacity. */
  addAllowed(limit: number, used: number): void {
    this.allowed++;
    if (used * 10 > limit * 9) this.nearLimit++;
  }

  /** A call was decided. Returns the decision. */
  add(decision: Decision, key: string): Decision {
    if (decision.degraded) this.degraded++;
    if (decision.outcome === "allowed") {
      this.addAllowed(decision.limit, decision.limit - decision.remaining);
      return decision;
    }
    return this.addOver(decision, key);
  }

  /** The same for a call of a take that is denied, which another limit may have denied. Returns the decision. */
  addOfDeniedTake(decision: Decision, key: string): Decision {
    return decision.allowed ? decision : this.add(decision, key);
  }

  /** The same for a call that doesn't fit under the capacity, or whose key is blocked. */
  addOver(decision: Decision, key: string): Decision {
    if (decision.outcome !== "rejected") return this.addSuppressed(decision, key);
    if (decision.blocked === true) this.blocked++;
    return this.addRejected(decision, key);
  }

  /** The same for a call that was rejected, and not because its key is blocked. */
  addRejected(decision: Decision, key: string): Decision {
    if (this.#onDenial !== undefined) this.#tell(decision, key);
    this.rejected++;
    return decision;
  }

  /** The same for a call over the capacity that met a suppression factor. */
  addSuppressed(decision: Decision, key: string): Decision {
    if (this.#onDenial !== undefined) this.#tell(decision, key);
    if (decision.allowed) this.suppressedAdmitted++;
    else this.suppressedDenied++;
    this.suppressionFactorSum += decision.suppressionFactor;
    return decision;
  }

  /** Apart from {@link addRejected} and {@link addSuppressed}, so that V8 inlines those. */
  #tell({ allowed }: Decision, key: string): void {
    if (!allowed) this.#onDenial?.(this, key);
  }

  /** The numbers as they are now. */
  get stats(): LimitStats {
    return { ...this };
  }
}

/**
 * Counts the calls of a take. An ask for a count of 0 is none.
 *
 * @returns the decisions
 */
export function tallied<AskOfTake extends { readonly key: string; readonly count: number }>(
  asks: readonly AskOfTake[],
  decisions: readonly Decision[],
  tallyOf: (ask: AskOfTake) => Tally,
): readonly Decision[] {
  const isTaken = decisions.every(({ allowed }) => allowed);
  for (const [index, ask] of asks.entries()) {
    if (ask.count === 0) continue;
    if (isTaken) tallyOf(ask).add(decisions[index]!, ask.key);
    else tallyOf(ask).addOfDeniedTake(decisions[index]!, ask.key);
  }
  return decisions;
}
