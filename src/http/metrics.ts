// What the limiters tell an operator's metrics. Names of limiters and outcomes, never a client's key: labels are kept.

/**
 * - `"allowed"`, `"rejected"`, `"suppressed"`: the decision's
 * - `"blocked"`: the key is blocked, by an earlier request or by this request
 * - `"missing-key"`: the key could not be found
 * - `"unavailable"`: the backend failed, and nothing else counted the request; also if the provider's `onFailure` is
 *   `"deny"`
 */
export type Outcome = "allowed" | "rejected" | "suppressed" | "blocked" | "missing-key" | "unavailable";

/** What one limiter did with one request. */
export interface Observation {
  /** The limiter's name. */
  readonly limiter: string;
  /** The strategy by which it decides. */
  readonly strategy: "absolute" | "suppressed";
  /** What was decided, or why nothing was. `"skipped"`: the limiter ignores the request. */
  readonly outcome: Outcome | "skipped";
  /** Whether this limiter lets the request go on; always true for a shadow limiter. */
  readonly admitted: boolean;
  /** Whether the limiter is a shadow limiter, which denies nobody. */
  readonly shadow: boolean;
  /** Decided by a failure policy, because the backend could not. */
  readonly degraded: boolean;
  /** The time from finding the key to the decision. */
  readonly durationMs: number;
}

/**
 * - `"backend"`: the provider failed, at a decision
 * - `"settlement"`: the provider failed when usage was to be given back or corrected
 * - `"callback"`: a function of yours threw, or returned something invalid
 */
export type FailureKind = "backend" | "settlement" | "callback";

/** Counts decisions and failures. If it throws, `onError` is called, and nothing else happens. */
export interface Metrics {
  /** A limiter has decided about a request, or has skipped it. */
  decided(observation: Observation): void;
  /** A limiter's backend or one of its callbacks has failed. */
  failed(limiter: string, kind: FailureKind): void;
}
