import type { Rate } from "./rate.ts";

/** What a provider returns: Local a value, Redis a promise, Hybrid one of the two. `await` takes both. */
export type Awaitable<T> = T | Promise<T>;

interface DecisionFields {
  /**
   * The capacity: how many calls fit into one window. Infinity when the rate is unlimited, and when `isAllowed` is
   * asked about an unknown key without a rate.
   */
  readonly limit: number;
  /** The free capacity: after this call if it was admitted, and now if it was denied. */
  readonly remaining: number;
  /**
   * The milliseconds until a call of the same count would be admitted, if no other call comes. It is exact when the
   * call was rejected, and a hint when it was suppressed. It is 0 when the call was admitted, and Infinity when the
   * count can never fit. Check for Infinity before you wait, because `setTimeout` takes Infinity for 0. For a
   * `Retry-After` header (RFC 9110, section 10.2.3) send whole seconds, rounded up, and no header for Infinity.
   */
  readonly retryAfterMs: number;
  /** The free capacity after `retryAfterMs`, before the next call. */
  readonly remainingAfterWaiting: number;
  /**
   * Whole milliseconds, rounded up, until the oldest bucket expires and `remaining` grows. 0 when nothing is used. A
   * caller that spreads its calls waits for this time when `remaining` is 0.
   */
  readonly moreAfterMs: number;
  /** The share of the calls that is being denied, from 0 to 1; see {@link SuppressedLimiter}. */
  readonly suppressionFactor: number;
  /** True when a failure policy decided because Redis could not. */
  readonly degraded: boolean;
  /** True when the call was rejected because the key is blocked; absent otherwise. See {@link Limiter.block}. */
  readonly blocked?: true;
  /**
   * Makes what `JSON.stringify` writes: Infinity becomes the text `"Infinity"`, and not null. Every decision of a
   * provider has this method; a copy such as `{ ...decision }` doesn't.
   */
  toJSON?(): DecisionJson;
}

/** A number in JSON, which has no Infinity; `Number` reads both forms. */
export type JsonNumber = number | "Infinity";

/** A decision in JSON: the same fields. */
export type DecisionJson = Pick<Decision, "outcome" | "allowed" | "suppressionFactor" | "degraded" | "blocked"> &
  Readonly<Record<"limit" | "remaining" | "retryAfterMs" | "remainingAfterWaiting" | "moreAfterMs", JsonNumber>>;

/** The call fits into the capacity. Both strategies admit it. */
export interface AllowedDecision extends DecisionFields {
  /** Tells the decisions apart. */
  readonly outcome: "allowed";
  /** Admitted. */
  readonly allowed: true;
}

/** The call doesn't fit, by the absolute strategy, or its key is blocked. Nothing was counted. */
export interface RejectedDecision extends DecisionFields {
  /** Tells the decisions apart. */
  readonly outcome: "rejected";
  /** Denied. */
  readonly allowed: false;
}

/**
 * The call is over the capacity, by the suppressed strategy, and a random number decided. The call was counted in
 * either case.
 */
export interface SuppressedDecision extends DecisionFields {
  /** Tells the decisions apart. */
  readonly outcome: "suppressed";
  /** Suppression admits some calls and denies others: check this field, not the outcome. */
  readonly allowed: boolean;
}

/** The answer to one call. Check `allowed`; the other fields explain it. */
export type Decision = AllowedDecision | RejectedDecision | SuppressedDecision;

/** What a key has used in the current window; zeros for an unknown key. */
export interface Usage {
  /** All counted calls: accepted plus declined. */
  readonly total: number;
  /** The calls that suppression denied; always 0 with the absolute strategy. */
  readonly declined: number;
  /** The calls that were admitted. */
  readonly accepted: number;
  /** The capacity at the last rate of the key; 0 for an unknown key, which has no rate. */
  readonly limit: number;
  /** The factor for a call of 1 now. */
  readonly suppressionFactor: number;
}

/** When `setIf` acts: compares the live total (0 for an unknown key) with `value`. */
export type Condition =
  | { readonly op: "lt" | "gt" | "eq" | "ne"; readonly value: number }
  | { readonly op: "always"; readonly value?: number };

/**
 * What `setIf` does with the buckets. `"replace"` makes one bucket now. `"preserve-newest"` takes from the oldest and
 * adds to the newest. `"preserve-oldest"` takes from the newest and adds to the oldest.
 */
export type History = "replace" | "preserve-newest" | "preserve-oldest";

/** What `setIf` did. */
export interface SetIfResult {
  /** Whether the condition held. If it didn't, only the rate was changed. */
  readonly matched: boolean;
  /** The live total before. */
  readonly previousTotal: number;
  /** The live total after. */
  readonly currentTotal: number;
}

/**
 * The methods that every provider has for both strategies. A key is who or what is limited: 1 to 255 bytes of UTF-8. A
 * method that throws has counted nothing. With Redis all of them can throw `BACKEND_UNAVAILABLE`, `BACKEND_TIMEOUT` and
 * `BACKEND_SCRIPT`, as the failure policy says.
 */
export interface Limiter {
  /**
   * Decides about a call and counts it, in one step.
   *
   * @param key who or what is limited: 1 to 255 bytes of UTF-8
   * @param rate the key's rate from now on
   * @param count the weight of the call, a positive integer; default 1
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
   */
  inc(key: string, rate: Rate, count?: number): Awaitable<Decision>;

  /**
   * Returns the decision that `inc` would make now. Stores nothing, not even the rate. Give the rate of your calls: a
   * key without history has no rate. Without a rate such a key is allowed whatever the count, and its `limit` and
   * `remaining` are Infinity.
   *
   * @param count the weight of the call, a positive integer; default 1
   * @param rate the rate for this answer only; default the last rate of the key
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_COUNT`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
   *
   * @example
   * const limiter = createLocalProvider({ windowMs: 60_000 }).absolute;
   * console.log(limiter.isAllowed("new", 1, perMinute(90)).limit); // 90
   * console.log(limiter.isAllowed("new").limit); // Infinity
   */
  isAllowed(key: string, count?: number, rate?: Rate): Awaitable<Decision>;

  /**
   * Returns what the key has used. For an unknown key all fields are 0, also `limit`, and the key stays unknown. To
   * learn how much is left, ask `isAllowed` with a rate.
   *
   * @throws {TrypemaError} `INVALID_KEY`
   */
  get(key: string): Awaitable<Usage>;

  /**
   * Corrects usage afterwards: a refund of a call that failed, or the difference to an estimate. Adds to the newest
   * history, or takes from it, and never goes below 0. Accepted usage is given back before declined usage. For a key
   * without history it does nothing, and the key stays unknown.
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
   * @param history to which buckets the difference is added, or from which it is taken. Declined counts become smaller
   *   in proportion. Default `"replace"`
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
   * Rejects every call to the key for `ms` milliseconds from now on. The key needn't be known. What it has used stays,
   * and expires as usual. Rejected calls have the time left as `retryAfterMs`, and don't prolong the block. If the key
   * is already blocked, the new block replaces the old one. `unblock`, `delete` and `setIf` with 0 end a block.
   *
   * @param ms at least 1
   * @throws {TrypemaError} `INVALID_KEY`, `INVALID_OPTION`
   */
  block(key: string, ms: number): Awaitable<void>;

  /**
   * Ends a block, and keeps what the key has used. If the key isn't blocked, it does nothing.
   *
   * @throws {TrypemaError} `INVALID_KEY`
   */
  unblock(key: string): Awaitable<void>;

  /**
   * Forgets the key, also its block. Returns the total that the key had.
   *
   * @throws {TrypemaError} `INVALID_KEY`
   */
  delete(key: string): Awaitable<number>;

  /** Forgets every key of this strategy. */
  clear(): Awaitable<void>;
}

/**
 * The suppressed strategy: over the capacity a share of the calls is denied at random. That share is the factor f = 1 −
 * rate / perceived, at least 0, where perceived is the larger of the rates observed over the window and over the last
 * second; over the hard limit it is 1.
 *
 * After Ably's distributed rate limiting (https://ably.com/blog/distributed-rate-limiting-scale-your-platform); the
 * hard limit on accepted usage is ours.
 */
export interface SuppressedLimiter extends Limiter {
  /**
   * Returns the factor for a call of 1 now, from 0 to 1; 0 for an unknown key. Counts nothing.
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

/** What Local, Redis and Hybrid have in common. Write your code for this type, and you can exchange them. */
export interface Provider {
  /** The deterministic strategy: calls up to the capacity pass, and the others are rejected. */
  readonly absolute: Limiter;
  /** The probabilistic strategy: over the capacity a share of the calls is denied. */
  readonly suppressed: SuppressedLimiter;
  /** How far back history counts, in ms. */
  readonly windowMs: number;
  /**
   * Returns a provider of the same kind with another window. It shares everything else: where it counts, the clock, the
   * failure policy and the cleanup. It is closed together with this provider. For the same window it is the same
   * object.
   *
   * @throws {TrypemaError} `INVALID_OPTION`
   */
  withWindow(window: WindowOptions): Provider;
  /** Ends what the provider has started. */
  close(): Awaitable<void>;
}
