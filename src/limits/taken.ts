// What a take has decided, and what it took: that can be given back, or corrected to what it really was.

import { adjusterOf } from "../core/adjuster.ts";
import { checkCount } from "../core/count.ts";
import type { Ask, Family, TakeDecisions } from "../core/family.ts";
import { checkOptions } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { Awaitable, Decision, Limiter, SetIfResult } from "../core/types.ts";
import type { ResolvedLimit } from "./definition.ts";

/** A limit that a take asks. A class, because to spread objects into one another takes as long as ten decisions. */
export class AskedLimit implements Ask {
  readonly limit: ResolvedLimit;
  readonly limiter: Limiter;
  readonly key: string;
  readonly rate: Rate;
  readonly count: number;
  readonly blockMs: number;

  constructor(limit: ResolvedLimit, limiter: Limiter, key: string, rate: Rate, count: number) {
    this.limit = limit;
    this.limiter = limiter;
    this.key = key;
    this.rate = rate;
    this.count = count;
    this.blockMs = limit.blockMs;
  }
}

/**
 * The answer to a take. Always holds: of each limit no more is given back than it counted for this take, and nothing
 * where the take was denied or the limit's window has passed since. A correction that failed isn't tried again, and
 * may have been made all the same, so of the two counts the lower one is what may still be given back.
 */
export class Taken {
  /** Whether every limit admitted the call. */
  readonly allowed: boolean;
  /** Of the limits that denied it, the one that makes the caller wait longest; undefined when it was admitted. */
  readonly deniedBy: string | undefined;
  /** The longest wait that a denial asks for; 0 when the call was admitted. Infinity when it can never be. */
  readonly retryAfterMs: number;
  readonly #asked: readonly AskedLimit[];
  /** The key of all; without it, each has its own. */
  readonly #key: string | undefined;
  /** What was decided. Its decisions are made when they are asked for, because most callers never do. */
  readonly #made: TakeDecisions;
  readonly #family: Family;
  /** What each limit has counted now, by its place among those asked; undefined until the first correction. */
  #counted: number[] | undefined;

  constructor(family: Family, asked: readonly AskedLimit[], key: string | undefined, made: TakeDecisions) {
    const place = made.isTaken ? -1 : longestDenial(made.decisions);
    this.allowed = made.isTaken;
    this.deniedBy = place < 0 ? undefined : asked[place]!.limit.name;
    this.retryAfterMs = place < 0 ? 0 : made.decisions[place]!.retryAfterMs;
    this.#family = family;
    this.#asked = asked;
    this.#key = key;
    this.#made = made;
  }

  /** What each limit decided, by its name. Where the take was denied, those that admit it show what is left. */
  get decisions(): Record<string, Decision> {
    return Object.fromEntries(this.#asked.map(({ limit }, index) => [limit.name, this.#made.decisions[index]!]));
  }

  refund(): unknown {
    return this.#answer(() => this.#correct(this.#asked.map(() => 0)));
  }

  settle(counts: SettledCounts): unknown {
    return this.#answer(() => this.#correct(this.#checked(counts)));
  }

  #answer(correct: () => unknown): unknown {
    return this.#family.answersLater ? later(correct) : correct();
  }

  /** What each limit is to count. */
  #checked(counts: SettledCounts): readonly number[] {
    checkCountsOf(this.#asked, counts);
    return this.#asked.map(({ limit: { name } }, index) => {
      const count = typeof counts === "number" ? counts : ownValue(counts, name);
      if (count !== undefined) checkCount(`counts.${name}`, count, 0);
      return count ?? this.#countedNow[index]!;
    });
  }

  get #countedNow(): number[] {
    this.#counted ??= this.#asked.map(({ count }) => count);
    return this.#counted;
  }

  /**
   * Makes each limit count what is wanted. A value where all are corrected at once, else a promise, which rejects when
   * all have ended and one has failed.
   */
  #correct(wanted: readonly number[]): unknown {
    if (!this.allowed) return undefined;
    const pastMs = this.#family.nowMs() - this.#made.takenMs;
    const counted = this.#countedNow;
    const corrections = this.#asked.map((ask, index) => {
      const { limit, limiter } = ask;
      const key = this.#key ?? ask.key;
      const delta = wanted[index]! - counted[index]!;
      // What was counted has expired by then, so a correction would take from what other calls have used since.
      if (delta === 0 || pastMs >= limit.windowMs) return undefined;
      const decision = this.#made.decisions[index]!;
      const adjuster = decision.degraded ? adjusterOf(decision) : (adjusterOf(limiter) ?? limiter);
      counted[index] = wanted[index]!;
      const total = adjuster?.adjust(key, delta);
      if (delta < 0) return total;
      const countRest = (now: unknown) => (decision.degraded ? now : countFirst(ask, key, delta, now));
      if (!(total instanceof Promise)) return countRest(total);
      return total.then(countRest).catch((error: unknown) => {
        counted[index] = Math.max(0, counted[index]! - delta);
        throw error;
      });
    });
    return corrections.some((one) => one instanceof Promise) ? allEnded(corrections) : undefined;
  }
}

/** Waits for all, and rejects with the first failure of them. */
async function allEnded(corrections: readonly unknown[]): Promise<void> {
  const ends = await Promise.allSettled(corrections);
  const failed = ends.find(({ status }) => status === "rejected");
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
}

/**
 * Counts what `adjust` could not: it leaves a key without a history unknown, such as one that was only asked about.
 *
 * @param total what `adjust` has left the key
 */
function countFirst({ limiter, rate }: AskedLimit, key: string, count: number, total: unknown): Awaitable<unknown> {
  if (total !== 0) return total;
  const set = limiter.setIf(key, rate, { op: "eq", value: 0 }, count);
  const orAdd = ({ matched }: SetIfResult) => (matched ? undefined : limiter.adjust(key, count));
  return set instanceof Promise ? set.then(orAdd) : orAdd(set);
}

type SettledCounts = number | Readonly<Record<string, number | undefined>>;

/** Checks that counts are those of limits that are asked, and not how high they are. */
export function checkCountsOf(asked: readonly AskedLimit[], counts: unknown): void {
  if (typeof counts === "number") return;
  const names = asked.map(({ limit }) => limit.name);
  checkOptions("counts", counts, names, "a number, or an object of the limits that were asked");
}

/** A promise of what is made, which rejects where making it throws. */
export async function later<T>(make: () => T): Promise<Awaited<T>> {
  return await make();
}

/** The value that an object has under that name itself: every object inherits some, such as one named "constructor". */
export function ownValue<T>(values: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}

/** The place of the denial that makes the caller wait longest: the first of those. */
function longestDenial(decisions: readonly Decision[]): number {
  let longest = -1;
  for (const [place, { allowed, retryAfterMs }] of decisions.entries()) {
    if (!allowed && (longest < 0 || retryAfterMs > decisions[longest]!.retryAfterMs)) longest = place;
  }
  return longest;
}
