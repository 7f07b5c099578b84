// Limits of libraries that bring the window and the limit with each call, as @nestjs/throttler and better-auth do.

import { show, TrypemaError } from "../core/errors.ts";
import { MAX_KEY_BYTES } from "../core/key.ts";
import { type Rate, unlimited } from "../core/rate.ts";
import type { Awaitable, Decision, Provider } from "../core/types.ts";
import { askOne, type Counts, countsOf, rateOfRequest } from "../http/counts.ts";
import { storedKey } from "../http/keys.ts";

/** One call. */
export interface LimitedCall {
  readonly key: string;
  readonly windowMs: number;
  /** How many calls fit into the window. A fraction is rounded down, Infinity is no limit. Below 1 nothing fits. */
  readonly limit: number;
  /** For how long a denial blocks the key; 0 for no block. */
  readonly blockMs: number;
}

/**
 * As many windows are kept as they are asked for. A window may be a function of a request, and a provider never forgets
 * a window. So each further window is rounded up to a power of two, and of those there are 53.
 */
const MOST_EXACT_WINDOWS = 100;

/** A window of more than a minute is kept in so many buckets. Then it is exact to a 600th. */
const BUCKETS = 600;

/** A key that looks like the hash of a long key is hashed too, so that no two keys are stored as the same one. */
const HASH = /^[0-9a-f]{64}$/;

/** Always holds: one window has one place where its calls are counted, and there are at most 153 windows. */
export class CallLimits {
  readonly #provider: Provider;
  readonly #name: string;
  readonly #byWindow = new Map<number, Counts>();

  /**
   * @param name part of what is counted: 1 to 60 of ASCII
   * @throws {TrypemaError} `INVALID_OPTION` for what is no provider
   */
  constructor(provider: Provider, name: string) {
    if (typeof provider?.absolute?.inc !== "function") {
      throw new TrypemaError("INVALID_OPTION", `provider: got ${show(provider)}, expected a provider`);
    }
    this.#provider = provider;
    this.#name = name;
  }

  /**
   * Decides about a call and counts it, in one step.
   *
   * @returns undefined where the limit admits nobody, which is decided without asking the provider
   * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_KEY`, and what the provider throws
   */
  async take({ key, windowMs, limit, blockMs }: LimitedCall): Promise<Decision | undefined> {
    const counts = this.#countsOf(windowMs);
    const rate = this.#rateOf(limit, counts.windowMs);
    if (rate === undefined) return undefined;
    const isShort = counts.keyPrefix.length + 3 * key.length <= MAX_KEY_BYTES;
    const isPlain = isShort && key.isWellFormed() && !HASH.test(key);
    const stored: Awaitable<string> = isPlain ? `${counts.keyPrefix}${key}` : storedKey(counts.keyPrefix, key);
    return askOne({ limiter: counts.limiter, key: await stored, rate, count: 1, blockMs }, counts.family, windowMs);
  }

  #countsOf(windowMs: number): Counts {
    const known = this.#byWindow.get(windowMs);
    if (known !== undefined) return known;
    const isExact = this.#byWindow.size < MOST_EXACT_WINDOWS || !(windowMs >= 1);
    const keptMs = isExact ? windowMs : Math.min(2 ** Math.ceil(Math.log2(windowMs)), Number.MAX_SAFE_INTEGER);
    const kept = this.#byWindow.get(keptMs);
    if (kept !== undefined) return kept;
    const bucketMs = Math.min(keptMs, Math.max(100, Math.ceil(keptMs / BUCKETS)));
    const counts = countsOf({ name: this.#name, limit: 1, windowMs: keptMs, bucketMs }, this.#provider);
    this.#byWindow.set(keptMs, counts);
    return counts;
  }

  #rateOf(limit: number, windowMs: number): Rate | undefined {
    if (limit === Number.POSITIVE_INFINITY) return unlimited();
    if (limit < 1) return undefined;
    const given = Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER);
    return rateOfRequest({ name: this.#name, limit: 1 }, given, windowMs) as Rate;
  }
}
