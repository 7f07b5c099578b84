import type { Rate } from "./rate.ts";

/** What a provider returns: Local a value, Redis a promise, Hybrid either. `await` does for all. */
export type Awaitable<T> = T | Promise<T>;

interface DecisionFields {
  /** The capacity: how many fit into one window. Infinity when unlimited or the key is unknown. */
  readonly limit: number;
  /** Capacity left: after this call when it was admitted, now when it was not. */
  readonly remaining: number;
  /**
   * Milliseconds after which a call of the same count would be admitted if nothing else happened:
   * exact when rejected, a hint when suppressed, 0 when admitted, Infinity when the count can
   * never fit.
   */
  readonly retryAfterMs: number;
  /** The free capacity after that wait, before that call. */
  readonly remainingAfterWaiting: number;
  /** The share of calls that are being denied, 0 to 1. */
  readonly suppressionFactor: number;
  /** True when a failure policy decided, because the backend could not. */
  readonly degraded: boolean;
}

export interface AllowedDecision extends DecisionFields {
  readonly outcome: "allowed";
  readonly allowed: true;
}

export interface RejectedDecision extends DecisionFields {
  readonly outcome: "rejected";
  readonly allowed: false;
}

export interface SuppressedDecision extends DecisionFields {
  readonly outcome: "suppressed";
  /** Suppression admits some calls and denies others: gate on this, not on the outcome. */
  readonly allowed: boolean;
}

/** The answer to one call. Gate on `allowed`; the rest explains it. */
export type Decision = AllowedDecision | RejectedDecision | SuppressedDecision;

/** What a key has used in the current window; zeros for an unknown key. */
export interface Usage {
  /** Everything counted: accepted plus declined. */
  readonly total: number;
  /** The part that suppression denied; always 0 under the absolute strategy. */
  readonly declined: number;
  readonly accepted: number;
  /** The capacity at the rate last given. */
  readonly limit: number;
  /** The factor that a call of 1 would meet now. */
  readonly suppressionFactor: number;
}

/** When `setIf` acts: compares the live total (0 for an unknown key) with `value`. */
export type Condition =
  | { readonly op: "lt" | "gt" | "eq" | "ne"; readonly value: number }
  | { readonly op: "always"; readonly value?: number };

/**
 * What `setIf` does to the buckets: `"replace"` makes one bucket now; `"preserve-newest"` takes
 * from the oldest and adds to the newest; `"preserve-oldest"` the reverse.
 */
export type History = "replace" | "preserve-newest" | "preserve-oldest";

export interface SetIfResult {
  readonly matched: boolean;
  readonly previousTotal: number;
  readonly currentTotal: number;
}

/** The methods that every provider has for both strategies. */
export interface Limiter {
  inc(key: string, rate: Rate, count?: number): Awaitable<Decision>;
  isAllowed(key: string, count?: number): Awaitable<Decision>;
  get(key: string): Awaitable<Usage>;
  adjust(key: string, delta: number): Awaitable<number>;
  setIf(key: string, rate: Rate, condition: Condition, count: number, history?: History): Awaitable<SetIfResult>;
  delete(key: string): Awaitable<number>;
  clear(): Awaitable<void>;
}

export interface SuppressedLimiter extends Limiter {
  getSuppressionFactor(key: string): Awaitable<number>;
}

/** What Local, Redis and Hybrid have in common; code against this to be able to swap them. */
export interface Provider {
  readonly absolute: Limiter;
  readonly suppressed: SuppressedLimiter;
  /** How far back history counts, in ms. */
  readonly windowMs: number;
  close(): Awaitable<void>;
}
