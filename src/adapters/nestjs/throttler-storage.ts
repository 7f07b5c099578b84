// Where @nestjs/throttler counts, in place of its memory. Its types aren't imported, so that who doesn't use it doesn't
// need it.

import { checkBlockMs } from "../../core/options.ts";
import type { Provider } from "../../core/types.ts";
import { CallLimits } from "../call-limits.ts";

/** The answer to `@nestjs/throttler` 6 about a request. */
export interface ThrottlerRecord {
  /** What the key has used in the window. For a denied request this is more than the limit. */
  totalHits: number;
  /** Whole seconds, rounded up, until the oldest hits expire. */
  timeToExpire: number;
  /** Whether the request is denied. */
  isBlocked: boolean;
  /** Whole seconds, rounded up, until a request would be admitted; 0 if this request is admitted. */
  timeToBlockExpire: number;
}

/** The `storage` of `@nestjs/throttler` 6. */
export interface TrypemaThrottlerStorage {
  /**
   * Decides about a request and counts it, in one step.
   *
   * @param ttl the window in ms, at least 1
   * @param limit how many requests fit into the window; below 1 no request fits
   * @param blockDuration for how long a denial blocks the key, in ms; 0 for no block
   * @throws {TrypemaError} `INVALID_OPTION` for an invalid window or block, and the errors of the provider when Redis
   *   is away
   */
  increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<ThrottlerRecord>;
}

/**
 * Counts the requests of `@nestjs/throttler` 6 on a provider, in sliding windows.
 *
 * `ThrottlerModule.forRoot({ throttlers: [{ ttl: 60_000, limit: 60 }], storage: throttlerStorage(provider) })`
 *
 * A throttler's `ttl` may be a function of the request. The first hundred windows are used unchanged, and further
 * windows are raised to a power of two milliseconds.
 *
 * @param provider Local, Redis or Hybrid. Its failure policy decides when Redis is away; by default that is an error of
 *   the request, so choose `onFailure`. Close it yourself: closing the application doesn't
 * @throws {TrypemaError} `INVALID_OPTION` for something that isn't a provider
 *
 * @example
 * const storage = throttlerStorage(createLocalProvider());
 * const { totalHits, isBlocked } = await storage.increment("203.0.113.7", minutes(1), 60, minutes(1), "default");
 * console.log(totalHits, isBlocked); // 1 false
 */
export function throttlerStorage(provider: Provider): TrypemaThrottlerStorage {
  const limits = new CallLimits(provider, "throttler");
  return {
    async increment(key, ttl, limit, blockDuration, throttlerName) {
      // The escaped name has no colon, so no two names and keys make the same text.
      const own = `${encodeURIComponent(throttlerName)}:${key}`;
      const blockMs = blockMsOf(blockDuration);
      const decision = await limits.take({ key: own, windowMs: ttl, limit, blockMs });
      if (decision === undefined) return denied(1, ttl, Math.max(ttl, blockMs));
      const { allowed, remaining, moreAfterMs, retryAfterMs } = decision;
      const used = Number.isFinite(decision.limit) ? decision.limit - remaining : 1;
      if (!allowed) return denied(Math.max(decision.limit, used) + 1, moreAfterMs, retryAfterMs);
      return { totalHits: used, timeToExpire: wholeSeconds(moreAfterMs), isBlocked: false, timeToBlockExpire: 0 };
    },
  };
}

/** @throws {TrypemaError} `INVALID_OPTION` unless it is a time to block a key for, or 0 or undefined for no block */
function blockMsOf(blockDuration: number | undefined): number {
  if (blockDuration === undefined || blockDuration === 0) return 0;
  const blockMs = Math.ceil(blockDuration);
  checkBlockMs("blockDuration", blockMs);
  return blockMs;
}

function denied(totalHits: number, expireMs: number, blockMs: number): ThrottlerRecord {
  return {
    totalHits,
    timeToExpire: wholeSeconds(expireMs),
    isBlocked: true,
    timeToBlockExpire: wholeSeconds(blockMs),
  };
}

function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}
