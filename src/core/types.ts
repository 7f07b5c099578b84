import type { Rate } from "./rate.ts";

/** What a provider returns: Local a value, Redis a promise, Hybrid either. `await` does for all. */
export type Awaitable<T> = T | Promise<T>;

interface DecisionFields {
  /**
   * The capacity: how many fit into one window. Infinity when unlimited, and from `isAllowed` without a rate for an
   * unknown key.
   */
  readonly limit: number;
  /** Capacity left: after this call when it was admitted, now when it was not. */
  readonly remaining: number;
  /**
   * Milliseconds after which a call of the same count would be admitted if nothing else happened:
   * exact when rejected, a hint when suppressed, 0 when admitted, Infinity when the count can
   * never fit: look for that before you wait, since `setTimeout` takes Infinity for no time at all. For a Retry-After
   * header (RFC 9110, section 10.2.3) make it seconds, rounded up, and send none where it is Infinity.
   */
  readonly retryAfterMs: number;
  /** The free capacity after that wait, before that call. */
  readonly remainingAfterWaiting: number;
  /**
   * Whole milliseconds, rounded up, until the oldest bucket expires: then `remaining` grows by itself. 0 when nothing
   * is used. Paced callers wait for it when `remaining` is 0.
   */
  readonly moreAfterMs: number;
  /** The share of calls that are being denied, 0 to 1; see {@link SuppressedLimiter}. */
  readonly suppressionFactor: number;
  /** True when a failure policy decided, because the backend could not. */
  readonly degraded: boolean;
  /** True when the call was rejected because the key is blocked; absent otherwise. See {@link Limiter.block}. */
  readonly blocked?: true;
  /**
   * What `JSON.stringify` writes, in which Infinity is the text `"Infinity"`, and not null. Every decision that a
   * provider makes has it; a copy made by spreading has not.
   */
  toJSON?(): DecisionJson;
}

/** A number in JSON, which knows no Infinity; `Number` reads both. */
export type JsonNumber = number | "Infinity";

/** A decision in JSON: the same fields. */
export type DecisionJson = Pick<Decision, "outcome" | "allowed" | "suppressionFactor" | "degraded" | "blocked"> &
  Readonly<Record<"limit" | "remaining" | "retryAfterMs" | "remainingAfterWaiting" | "moreAfterMs", JsonNumber>>;

/** The call fits under the capacity, by either strategy. */
export interface AllowedDecision extends DecisionFields {
  /** Tells the decisions apart. */
  readonly outcome: "allowed";
  /** Admitted. */
  readonly allowed: true;
}

/** The call doesn't fit, by the absolute strategy, or its key is blocked. Nothing was recorded. */
export interface RejectedDecision extends DecisionFields {
  /** Tells the decisions apart. */
  readonly outcome: "rejected";
  /** Denied. */
  readonly allowed: false;
}

/** The call is over the capacity, by the suppressed strategy, and a random draw decided. It was recorded either way. */
export interface SuppressedDecision extends DecisionFields {
  /** Tells the decisions apart. */
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
  /** The part that was admitted. */
  readonly accepted: number;
  /** The capacity at the rate last given; 0 for an unknown key, which has none. */
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

/** What `setIf` did. */
export interface SetIfResult {
  /** Whether the condition held; if not, nothing but the rate was changed. */
  readonly matched: boolean;
  /** The live total before. */
  readonly previousTotal: number;
  /** The live total after. */
  readonly currentTotal: number;
}

/**
 * The methods that every provider has for both strategies. A key is who or what is limited: 1 to 255 bytes of
 * UTF-8. Whatever throws has recorded nothing. With Redis all of them can throw `BACKEND_UNAVAILABLE`,
 * `BACKEND_TIMEOUT` and `BACKEND_SCRIPT`, as the failure policy says.
 */
export interface Limiter {
  /**
   * Decides about a call and records it, in one step.
   *
   * @param key who or what is limited: 1 to 255 bytes of UTF-8
   * @param rate the key's rate from now on
   * @param count the weight of the call, a positive integer; default 1
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
   */
  inc(key: string, rate: Rate, count?: number): Awaitable<Decision>;

  /**
   * The decision that `inc` would give now. Records nothing, not even the rate. Give it the rate of your calls: a key
   * that has no history has no rate either, so without one it is allowed whatever the count, with Infinity as its
   * `limit` and `remaining`.
   *
   * @param count the weight of the call, a positive integer; default 1
   * @param rate the rate to judge by, for this answer only; default the one that was last given for the key
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_COUNT`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
   *
   * @example
   * const limiter = createLocalProvider({ windowMs: 60_000 }).absolute;
   * console.log(limiter.isAllowed("new", 1, perMinute(90)).limit); // 90
   * console.log(limiter.isAllowed("new").limit); // Infinity
   */
  isAllowed(key: string, count?: number, rate?: Rate): Awaitable<Decision>;

  /**
   * What the key has used. An unknown key has zeros, also for its `limit`, and stays unknown: to learn what it has left
   * ask `isAllowed` with a rate.
   *
   * @throws {TrypemaError} `INVALID_KEY`
   */
  get(key: string): Awaitable<Usage>;

  /**
   * Corrects usage after the fact: a refund of a call that failed, or the difference to an estimate.
   * Adds to or takes from the newest history, and never leaves less than 0; accepted usage is given
   * back before declined. A key whose history is gone has nothing to correct and stays unknown.
   *
   * @param delta an integer
   * @returns the new total
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_COUNT`
   */
  adjust(key: string, delta: number): Awaitable<number>;

  /**
   * Sets the total to `count` when the live total meets `condition`, in one step.
   *
   * @param rate the key's rate from now on, also when the condition doesn't hold
   * @param count 0 or a positive integer; 0 forgets the key
   * @param history which buckets give or take the difference; declined counts shrink in proportion.
   *   Default `"replace"`
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `INVALID_OPTION`, `CAPACITY_BELOW_ONE`
   */
  setIf(key: string, rate: Rate, condition: Condition, count: number, history?: History): Awaitable<SetIfResult>;

  /**
   * Gives the key another rate from now on, for every process, and keeps its history.
   *
   * @returns the rate before; undefined for an unknown key, which stays unknown
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
   */
  setRate(key: string, rate: Rate): Awaitable<Rate | undefined>;

  /**
   * Rejects every call to the key from now on for `ms`, whether the key is known or not. What it has used stays and
   * expires as ever. Rejected calls tell the time left as their `retryAfterMs` and don't prolong it. A key that is
   * blocked already is blocked for `ms` from now on instead. `unblock` and `delete` end it, and so does `setIf` with 0.
   *
   * @param ms at least 1
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_OPTION`
   */
  block(key: string, ms: number): Awaitable<void>;

  /**
   * Ends a block, and keeps what the key has used. Does nothing to a key that isn't blocked.
   *
   * @throws {TrypemaError} `INVALID_KEY`
   */
  unblock(key: string): Awaitable<void>;

  /**
   * Forgets the key, a block of it included; returns the total that it had.
   *
   * @throws {TrypemaError} `INVALID_KEY`
   */
  delete(key: string): Awaitable<number>;

  /** Forgets every key of this strategy. */
  clear(): Awaitable<void>;
}

/**
 * The suppressed strategy: over the capacity a share of the calls is denied at random. That share is the
 * factor f = 1 − rate / perceived, at least 0, where perceived is the larger of the rates observed over the
 * window and over the last second; over the hard limit it is 1.
 *
 * After Ably's distributed rate limiting (https://ably.com/blog/distributed-rate-limiting-scale-your-platform),
 * with a ceiling on accepted usage of our own.
 */
export interface SuppressedLimiter extends Limiter {
  /**
   * The factor that a call of 1 would meet now, 0 to 1; 0 for an unknown key. Records nothing.
   *
   * @throws {TrypemaError} `INVALID_KEY`
   */
  getSuppressionFactor(key: string): Awaitable<number>;
}

/** What `withWindow` takes. */
export interface WindowOptions {
  /** How far back history counts, in ms; at least 1. */
  readonly windowMs: number;
  /** Hits in the same cell of this many ms share a bucket; 1 to `windowMs`. Default 100, or a shorter `windowMs`. */
  readonly bucketMs?: number;
}

/** What Local, Redis and Hybrid have in common; code against this to be able to swap them. */
export interface Provider {
  /** The deterministic strategy: up to the capacity pass, the rest are rejected. */
  readonly absolute: Limiter;
  /** The probabilistic strategy: over the capacity a share of the calls is denied. */
  readonly suppressed: SuppressedLimiter;
  /** How far back history counts, in ms. */
  readonly windowMs: number;
  /**
   * A provider of the same kind with another window. It shares all else: where it counts, clock, failure policy and
   * cleanup, and it is closed with the provider that it was made from. The same object for the same window.
   *
   * @throws {TrypemaError} `INVALID_OPTION`
   */
  withWindow(window: WindowOptions): Provider;
  /** Ends what the provider has started. */
  close(): Awaitable<void>;
}
