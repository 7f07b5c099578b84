// What one limiter charged a request, and how that is given back.

import { type Adjuster, adjusterOf } from "../core/adjuster.ts";
import type { Decision } from "../core/types.ts";
import { markDegraded, rejected } from "../strategy/decision.ts";
import type { ServiceLimit } from "./headers.ts";
import type { Outcome } from "./metrics.ts";

const { performance } = globalThis;

/** What a charge has to know of its limiter, which is an `HttpLimiter`. */
interface ChargingLimiter {
  readonly name: string;
  readonly shadow: boolean;
  readonly countsDenied: boolean;
  readonly hidesRemaining: boolean;
}

/** A decision about a request, and who counted its cost. */
interface Counted {
  readonly decision: Decision;
  /** False where the decision admits the request, but another one of the same take denies it. */
  readonly isCounted: boolean;
  /** The limiter of the provider that made the decision. */
  readonly counter: Adjuster;
  readonly windowMs: number;
  readonly key: string;
  readonly cost: number;
  /** What the backend failed with, when the decision stands in for its decision. */
  readonly error?: unknown;
}

interface ChargeFields {
  readonly outcome: Outcome;
  readonly admitted: boolean;
  readonly decision: Decision | undefined;
  readonly windowMs: number;
  readonly key: string | undefined;
  readonly cost: number;
  readonly adjuster: Adjuster | undefined;
  readonly error: unknown;
}

/** The decision of a limiter whose rate is "none": a limit of 0, of which waiting frees nothing. */
const RATE_NONE_DECISION: Decision = Object.freeze(rejected(0, 0, Number.POSITIVE_INFINITY, 0, 0));

/**
 * What one limiter charged one request. These always hold:
 * - `cost` is never below 0.
 * - Only a cost that somebody counted is corrected, and none after {@link giveBack}.
 */
export class Charge {
  readonly limiter: ChargingLimiter;
  readonly outcome: Outcome;
  readonly admitted: boolean;
  readonly decision: Decision | undefined;
  readonly key: string | undefined;
  /** The error of the backend. */
  readonly error: unknown;
  readonly decidedAtMs: number;
  readonly #windowMs: number;
  /** What the request costs now, after all corrections. */
  cost: number;
  /** What was counted for the request when the limiter decided. */
  readonly #reservedCost: number;
  /** Who corrects the cost; undefined when nobody counted it, or when it was given back. */
  #adjuster: Adjuster | undefined;

  private constructor(limiter: ChargingLimiter, fields: ChargeFields) {
    this.limiter = limiter;
    this.outcome = fields.outcome;
    this.admitted = fields.admitted;
    this.decision = fields.decision;
    this.#windowMs = fields.windowMs;
    this.key = fields.key;
    this.cost = fields.cost;
    this.#reservedCost = fields.adjuster === undefined ? 0 : fields.cost;
    this.#adjuster = fields.adjuster;
    this.error = fields.error;
    this.decidedAtMs = performance.now();
  }

  /** The charge of a request about which a provider decided, or the Local provider in its place after an `error`. */
  static decided(
    limiter: ChargingLimiter,
    { decision, isCounted, counter, windowMs, key, cost, error }: Counted,
  ): Charge {
    // A failure policy that counted nothing has no adjuster.
    const adjuster = decision.degraded ? adjusterOf(decision) : counter;
    const { allowed } = decision;
    return new Charge(limiter, {
      // A denial that nobody counted doesn't mean that the client is over its limit.
      outcome: allowed || adjuster !== undefined ? outcomeOf(decision) : "unavailable",
      admitted: allowed || limiter.shadow,
      decision: error === undefined ? decision : markDegraded(decision),
      windowMs,
      key,
      cost,
      adjuster: allowed && isCounted ? adjuster : undefined,
      error,
    });
  }

  /** The charge at the rate "none", which denies every request. No provider is asked, and nothing is counted. */
  static atRateNone(limiter: ChargingLimiter, windowMs: number, key: string, cost: number): Charge {
    return new Charge(limiter, {
      outcome: "rejected",
      admitted: limiter.shadow,
      decision: RATE_NONE_DECISION,
      windowMs,
      key,
      cost,
      adjuster: undefined,
      error: undefined,
    });
  }

  /** The charge of a request about which nobody could decide: nothing is counted. */
  static undecided(
    limiter: ChargingLimiter,
    outcome: "missing-key" | "unavailable",
    admitted: boolean,
    error?: unknown,
  ): Charge {
    const nothing = { decision: undefined, windowMs: 0, key: undefined, cost: 0, adjuster: undefined };
    return new Charge(limiter, { outcome, admitted, error, ...nothing });
  }

  /** Whether the header fields tell the client about this limiter. */
  get isVisible(): boolean {
    if (this.limiter.shadow || this.outcome === "unavailable") return false;
    return this.decision !== undefined && this.decision.limit < Number.POSITIVE_INFINITY;
  }

  /**
   * What the header fields say about this limiter, if it is visible.
   *
   * @param requestDenied whether this or another limiter denied the request
   */
  serviceLimit(requestDenied: boolean): ServiceLimit {
    const { decision, limiter } = this;
    const { allowed, limit, remaining, retryAfterMs } = decision!;
    const windowSeconds = Math.ceil(this.#windowMs / 1_000);
    return {
      limiter: limiter.name,
      limit,
      // When another limiter denied the request, this one gets back what it reserved.
      remaining: requestDenied && allowed ? Math.min(limit, remaining + this.#reservedCost) : remaining,
      windowSeconds,
      resetSeconds: allowed ? moreSecondsOf(decision!, windowSeconds, requestDenied) : secondsOf(retryAfterMs),
      denied: !allowed,
      hidesRemaining: limiter.hidesRemaining,
    };
  }

  /** How long until a denied request would pass; undefined when it never will. */
  get retryAfterSeconds(): number | undefined {
    return this.decision === undefined ? undefined : secondsOf(this.decision.retryAfterMs);
  }

  /**
   * Corrects the cost by `delta`, but never to less than 0. After one window nothing is given back any more: the
   * counted cost has expired by then, so the correction would take from what other requests have used since. Where a
   * higher cost can't be counted, the cost stays as it was, so that no more is given back later than was counted.
   */
  async adjust(delta: number): Promise<void> {
    const isInWindow = performance.now() - this.decidedAtMs < this.#windowMs;
    const change = Math.max(delta, isInWindow ? -this.cost : 0);
    if (this.#adjuster === undefined || change === 0) return;
    this.cost += change;
    try {
      // A limiter may have an adjuster of its own. It is looked up here and not in each request, because few correct.
      await (adjusterOf(this.#adjuster) ?? this.#adjuster).adjust(this.key!, change);
    } catch (error) {
      if (change > 0) this.cost = Math.max(0, this.cost - change);
      throw error;
    }
  }

  /** Gives the whole cost back. Later corrections do nothing. */
  giveBack(): Promise<void> {
    const given = this.adjust(-this.cost);
    this.#adjuster = undefined;
    return given;
  }
}

/**
 * How long until a limiter that admits a request has more; undefined when all that it has is free already. Nor is it
 * told when another limiter denies the request, because clients would wait for the longest time that they are told.
 */
function moreSecondsOf({ moreAfterMs }: Decision, windowSeconds: number, requestDenied: boolean): number | undefined {
  if (requestDenied || moreAfterMs === 0) return undefined;
  return Math.min(windowSeconds, Math.ceil(moreAfterMs / 1_000));
}

function outcomeOf({ outcome, blocked }: Decision): Outcome {
  return blocked ? "blocked" : outcome;
}

function secondsOf(waitMs: number): number | undefined {
  return waitMs === Number.POSITIVE_INFINITY ? undefined : Math.max(1, Math.ceil(waitMs / 1_000));
}
