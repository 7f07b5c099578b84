// What the limiters tell an operator's metrics. Names of limiters and outcomes, never a client's key: labels are kept.

/**
 * - `"allowed"`, `"rejected"`, `"suppressed"`: the decision's
 * - `"blocked"`: the key is blocked, since an earlier request or by this one
 * - `"missing-key"`: the key could not be found
 * - `"unavailable"`: the backend failed, and nothing counted in its place; also where the provider's `onFailure` is
 *   `"deny"`
 */
export type Outcome = "allowed" | "rejected" | "suppressed" | "blocked" | "missing-key" | "unavailable";

/** One limiter has dealt with one request. */
export interface Observation {
  /** The limiter's name. */
  readonly limiter: string;
  /** The strategy by which it decides. */
  readonly strategy: "absolute" | "suppressed";
  /** What was decided, or why nothing was. `"skipped"`: the limiter has nothing to do with the request. */
  readonly outcome: Outcome | "skipped";
  /** Whether the request may go on, as far as this limiter is concerned; always true of a shadow. */
  readonly admitted: boolean;
  /** Whether the limiter only watches. */
  readonly shadow: boolean;
  /** Decided by a failure policy, because the backend could not. */
  readonly degraded: boolean;
  /** From finding the key to the decision. */
  readonly durationMs: number;
}

/**
 * - `"backend"`: the provider failed, at a decision
 * - `"settlement"`: it failed when usage was to be given back or corrected
 * - `"callback"`: a function of yours threw, or returned what is not valid
 */
export type FailureKind = "backend" | "settlement" | "callback";

/** Where decisions and failures are counted. What it throws is reported to `onError` and does no other harm. */
export interface Metrics {
  /** A limiter has decided about a request, or has skipped it. */
  decided(observation: Observation): void;
  /** A limiter's backend or one of its callbacks has failed. */
  failed(limiter: string, kind: FailureKind): void;
}
