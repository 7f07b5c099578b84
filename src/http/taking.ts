// What a request took from a limiter, and how it is given back.

import { type Recorder, recorderOf } from "../core/recorder.ts";
import type { Awaitable, Decision, Limiter } from "../core/types.ts";
import { markDegraded, rejected } from "../strategy/decision.ts";
import type { Standing } from "./headers.ts";
import type { Outcome } from "./metrics.ts";

const { performance } = globalThis;

/** What a taking has to know of its limiter. */
interface Taker {
  readonly name: string;
  readonly shadow: boolean;
  readonly windowMs: number;
}

/** The decision at a rate of none. */
const NONE: Decision = Object.freeze(rejected(0, 0, Number.POSITIVE_INFINITY, 0));

export class Taking {
  readonly taker: Taker;
  readonly outcome: Outcome;
  readonly admitted: boolean;
  readonly decision: Decision | undefined;
  readonly key: string | undefined;
  /** What the backend failed with. */
  readonly error: unknown;
  readonly atMs: number;
  /** What the request costs now; corrected by {@link adjust}. */
  cost: number;
  /** What the request cost when that was decided. */
  readonly #taken: number;
  /** Who counted the cost; undefined where nobody did, or not any more. */
  #source: Recorder | undefined;

  private constructor(
    taker: Taker,
    outcome: Outcome,
    admitted: boolean,
    decision: Decision | undefined,
    key: string | undefined,
    cost: number,
    source: Recorder | undefined,
    error: unknown,
  ) {
    this.taker = taker;
    this.outcome = outcome;
    this.admitted = admitted;
    this.decision = decision;
    this.key = key;
    this.cost = cost;
    this.#taken = cost;
    this.#source = source;
    this.error = error;
    this.atMs = performance.now();
  }

  /** By a decision of `limiter`; with an `error` it stands in for the one that failed. */
  static of(taker: Taker, limiter: Limiter, key: string, cost: number, made: Decision, error?: unknown): Taking {
    const counter = made.degraded ? recorderOf(made) : limiter;
    const source = made.allowed ? counter : undefined;
    const decision = error === undefined ? made : markDegraded(made);
    // What a provider denies without having counted anywhere is not that the client is over its limit.
    const outcome = made.allowed || counter !== undefined ? made.outcome : "unavailable";
    return new Taking(taker, outcome, made.allowed || taker.shadow, decision, key, cost, source, error);
  }

  /** At a rate of none, which admits nobody: not decided by a provider, nor recorded. */
  static none(taker: Taker, key: string, cost: number): Taking {
    return new Taking(taker, "rejected", taker.shadow, NONE, key, cost, undefined, undefined);
  }

  /** Without a decision. */
  static without(taker: Taker, outcome: "missing-key" | "unavailable", admitted: boolean, error?: unknown): Taking {
    return new Taking(taker, outcome, admitted, undefined, undefined, 0, undefined, error);
  }

  /** Whether clients are told of it. */
  get isVisible(): boolean {
    if (this.taker.shadow || this.outcome === "unavailable") return false;
    return this.decision !== undefined && this.decision.limit < Number.POSITIVE_INFINITY;
  }

  /** Where the client stands, for a visible taking; `denied` when a limiter of the request denied it. */
  standing(denied: boolean): Standing {
    const { decision, taker } = this;
    const { allowed, limit, remaining, retryAfterMs } = decision!;
    const windowSeconds = Math.ceil(taker.windowMs / 1_000);
    return {
      limiter: taker.name,
      limit,
      // Of a request that is denied elsewhere this limiter has its part back.
      remaining: denied && allowed ? Math.min(limit, remaining + this.#taken) : remaining,
      windowSeconds,
      resetSeconds: allowed ? (denied ? undefined : windowSeconds) : secondsOf(retryAfterMs),
      denied: !allowed,
    };
  }

  /** Until a denied request would pass; undefined when it never will. */
  get retryAfterSeconds(): number | undefined {
    return this.decision === undefined ? undefined : secondsOf(this.decision.retryAfterMs);
  }

  /**
   * Corrects the cost by `delta`, but never to less than nothing. Nothing is given back once the window has passed:
   * then it would be taken from what others have used since.
   */
  adjust(delta: number): Awaitable<unknown> {
    const least = performance.now() - this.atMs < this.taker.windowMs ? -this.cost : 0;
    const change = Math.max(delta, least);
    if (this.#source === undefined || change === 0) return undefined;
    this.cost += change;
    return (recorderOf(this.#source) ?? this.#source).adjust(this.key!, change);
  }

  /** Gives everything back, for good. */
  giveBack(): Awaitable<unknown> {
    const given = this.adjust(-this.cost);
    this.#source = undefined;
    return given;
  }
}

function secondsOf(waitMs: number): number | undefined {
  return waitMs === Number.POSITIVE_INFINITY ? undefined : Math.max(1, Math.ceil(waitMs / 1_000));
}
