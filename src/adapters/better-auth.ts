// `trypema/better-auth`: where better-auth counts requests.

import { seconds } from "../core/duration.ts";
import type { Provider } from "../core/types.ts";
import { CallLimits } from "./call-limits.ts";

/** The rule of better-auth for a request: how many requests of a key may pass in a window. */
export interface BetterAuthRule {
  /** The window in seconds, at least 0.001. */
  readonly window: number;
  /** How many requests fit into the window; below 1 no request fits. */
  readonly max: number;
}

/** The answer to better-auth about a request. */
export interface BetterAuthDecision {
  /** Whether the request may go on. If it may, it is counted. */
  readonly allowed: boolean;
  /** Whole seconds, rounded up, until a request would be allowed; null if this request is allowed. */
  readonly retryAfter: number | null;
}

/** The `customStorage` of better-auth 1.7 and later. */
export interface BetterAuthRateLimitStorage {
  /**
   * Decides about a request and counts it, in one step.
   *
   * @throws {TrypemaError} `INVALID_OPTION` for an invalid window, and the errors of the provider when Redis is away
   */
  consume(key: string, rule: BetterAuthRule): Promise<BetterAuthDecision>;
}

/**
 * Counts better-auth's requests on a provider, in sliding windows.
 *
 * `betterAuth({ rateLimit: { enabled: true, customStorage: rateLimitStorage(provider) } })`
 *
 * @param provider Local, Redis or Hybrid. Its failure policy decides when Redis is away; by default better-auth's
 *   handler rejects then, so choose `onFailure`. Close it yourself: better-auth doesn't
 * @throws {TrypemaError} `INVALID_OPTION` for something that isn't a provider
 *
 * @example
 * const storage = rateLimitStorage(createLocalProvider());
 * const { allowed } = await storage.consume("203.0.113.7|/sign-in/email", { window: 10, max: 3 });
 * console.log(allowed); // true
 */
export function rateLimitStorage(provider: Provider): BetterAuthRateLimitStorage {
  const limits = new CallLimits(provider, "better-auth");
  return {
    async consume(key, { window, max }) {
      const windowMs = seconds(window);
      const decision = await limits.take({ key, windowMs, limit: max, blockMs: 0 });
      if (decision?.allowed) return { allowed: true, retryAfter: null };
      const waitMs = decision?.retryAfterMs ?? windowMs;
      return { allowed: false, retryAfter: Math.ceil(waitMs / 1_000) };
    },
  };
}
