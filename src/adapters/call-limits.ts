// Limits of libraries that bring the window and the limit with each call, as @nestjs/throttler and better-auth do.

import { show, TrypemaError } from "../core/errors.ts";
import { MAX_KEY_BYTES } from "../core/key.ts";
import { type Rate, unlimited } from "../core/rate.ts";
import type { Awaitable, Decision, Provider } from "../core/types.ts";
import { ByWindow } from "../http/by-window.ts";
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

/** A window of more than a minute is kept in so many buckets. Then it is exact to a 600th. */
const BUCKETS = 600;

/** A key that looks like the hash of a long key is hashed too, so that no two keys are stored as the same one. */
const HASH = /^[0-9a-f]{64}$/;

/** Always holds: one window has one place where its calls are counted. */
export class CallLimits {
  readonly #provider: Provider;
  readonly #name: string;
  readonly #byWindow = new ByWindow((windowMs) => this.#countsIn(windowMs));

  /**
   * @param name part of what is counted: 1 to 60 of ASCII
   * @throws {TrypemaError} `INVALID_OPTION` for something that isn't a provider
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
    const counts = this.#byWindow.of(windowMs);
    const rate = this.#rateOf(limit, counts.windowMs);
    if (rate === undefined) return undefined;
    const isShort = counts.keyPrefix.length + 3 * key.length <= MAX_KEY_BYTES;
    const isPlain = isShort && key.isWellFormed() && !HASH.test(key);
    const stored: Awaitable<string> = isPlain ? `${counts.keyPrefix}${key}` : storedKey(counts.keyPrefix, key);
    return askOne({ limiter: counts.limiter, key: await stored, rate, count: 1, blockMs }, counts);
  }

  #countsIn(windowMs: number): Counts {
    const bucketMs = Math.min(windowMs, Math.max(100, Math.ceil(windowMs / BUCKETS)));
    return countsOf({ name: this.#name, windowMs, bucketMs }, this.#provider);
  }

  #rateOf(limit: number, windowMs: number): Rate | undefined {
    if (limit === Number.POSITIVE_INFINITY) return unlimited();
    if (limit < 1) return undefined;
    const given = Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER);
    return rateOfRequest({ name: this.#name, limit: 1 }, given, windowMs) as Rate;
  }
}
