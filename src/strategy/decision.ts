// The makers of decisions. V8 boxes the numbers of an object, one allocation each, in every object
// of a hidden class as soon as one of them held there what isn't a 32-bit integer. So each maker
// names the fields in an order of its own, which gives it a class of its own, and the whole numbers
// are made 32-bit integers where they can be: that saves three of four allocations. A constructor that calls
// nothing costs what a literal does. One that calls a common base class's costs up to a third of a call more, and a
// literal with a prototype as much again as all else that a call does. So the fields are declared four times. All
// classes are named alike, for whoever prints a decision.

import type {
  AllowedDecision,
  Decision,
  DecisionJson,
  JsonNumber,
  RejectedDecision,
  SuppressedDecision,
} from "../core/types.ts";

const MAX_INT32 = 0x7fffffff;

/** What a decision is in JSON. */
function jsonOf(decision: Decision): DecisionJson {
  const { limit, remaining, retryAfterMs, remainingAfterWaiting } = decision;
  return {
    ...decision,
    limit: jsonNumber(limit),
    remaining: jsonNumber(remaining),
    retryAfterMs: jsonNumber(retryAfterMs),
    remainingAfterWaiting: jsonNumber(remainingAfterWaiting),
  };
}

function jsonNumber(value: number): JsonNumber {
  return value === Number.POSITIVE_INFINITY ? "Infinity" : value;
}

const AllowedOfFew = class Decision {
  declare outcome: "allowed";
  declare allowed: true;
  declare limit: number;
  declare remaining: number;
  declare retryAfterMs: number;
  declare remainingAfterWaiting: number;
  declare moreAfterMs: number;
  declare suppressionFactor: number;
  declare degraded: boolean;

  constructor(limit: number, remaining: number, moreAfterMs: number) {
    this.outcome = "allowed";
    this.allowed = true;
    this.limit = limit;
    this.remaining = remaining;
    this.retryAfterMs = 0;
    this.remainingAfterWaiting = remaining;
    this.moreAfterMs = moreAfterMs;
    this.suppressionFactor = 0;
    this.degraded = false;
  }

  toJSON(): DecisionJson {
    return jsonOf(this);
  }
};

/** Also where there is no limit. */
const AllowedOfMany = class Decision {
  declare outcome: "allowed";
  declare allowed: true;
  declare limit: number;
  declare remaining: number;
  declare retryAfterMs: number;
  declare remainingAfterWaiting: number;
  declare moreAfterMs: number;
  declare suppressionFactor: number;
  declare degraded: boolean;

  constructor(limit: number, remaining: number, moreAfterMs: number) {
    this.outcome = "allowed";
    this.limit = limit;
    this.remaining = remaining;
    this.allowed = true;
    this.retryAfterMs = 0;
    this.remainingAfterWaiting = remaining;
    this.moreAfterMs = moreAfterMs;
    this.suppressionFactor = 0;
    this.degraded = false;
  }

  toJSON(): DecisionJson {
    return jsonOf(this);
  }
};

const Rejected = class Decision {
  declare outcome: "rejected";
  declare allowed: false;
  declare limit: number;
  declare remaining: number;
  declare retryAfterMs: number;
  declare remainingAfterWaiting: number;
  declare moreAfterMs: number;
  declare suppressionFactor: number;
  declare degraded: boolean;

  constructor(
    limit: number,
    remaining: number,
    retryAfterMs: number,
    remainingAfterWaiting: number,
    moreAfterMs: number,
  ) {
    this.allowed = false;
    this.outcome = "rejected";
    this.limit = limit;
    this.remaining = remaining;
    this.retryAfterMs = retryAfterMs;
    this.remainingAfterWaiting = remainingAfterWaiting;
    this.moreAfterMs = moreAfterMs;
    this.suppressionFactor = 1;
    this.degraded = false;
  }

  toJSON(): DecisionJson {
    return jsonOf(this);
  }
};

const Blocked = class Decision {
  declare outcome: "rejected";
  declare allowed: false;
  declare limit: number;
  declare remaining: number;
  declare retryAfterMs: number;
  declare remainingAfterWaiting: number;
  declare moreAfterMs: number;
  declare suppressionFactor: number;
  declare degraded: boolean;

  constructor(limit: number, retryAfterMs: number, remainingAfterWaiting: number, moreAfterMs: number) {
    this.retryAfterMs = retryAfterMs;
    this.allowed = false;
    this.outcome = "rejected";
    this.limit = limit;
    this.remaining = 0;
    this.remainingAfterWaiting = remainingAfterWaiting;
    this.moreAfterMs = moreAfterMs;
    this.suppressionFactor = 1;
    this.degraded = false;
  }

  get blocked(): true {
    return true;
  }

  toJSON(): DecisionJson {
    return { ...jsonOf(this), blocked: true };
  }
};

const Suppressed = class Decision {
  declare outcome: "suppressed";
  declare allowed: boolean;
  declare limit: number;
  declare remaining: number;
  declare retryAfterMs: number;
  declare remainingAfterWaiting: number;
  declare moreAfterMs: number;
  declare suppressionFactor: number;
  declare degraded: boolean;

  constructor(
    admitted: boolean,
    limit: number,
    remaining: number,
    retryAfterMs: number,
    remainingAfterWaiting: number,
    moreAfterMs: number,
    suppressionFactor: number,
  ) {
    this.outcome = "suppressed";
    this.allowed = admitted;
    this.suppressionFactor = suppressionFactor;
    this.limit = limit;
    this.remaining = remaining;
    this.retryAfterMs = retryAfterMs;
    this.remainingAfterWaiting = remainingAfterWaiting;
    this.moreAfterMs = moreAfterMs;
    this.degraded = false;
  }

  toJSON(): DecisionJson {
    return jsonOf(this);
  }
};

/**
 * The admission of a call that fits under the capacity.
 *
 * @param used what is taken of the capacity with it; totals stop at the largest exact integer, and so does this
 * @param moreAfterMs how long until the oldest bucket expires, when the call is counted
 */
export function allowed(limit: number, used: number, moreAfterMs: number): AllowedDecision {
  const moreMs = wholeMs(moreAfterMs);
  return limit > MAX_INT32 || moreMs > MAX_INT32
    ? allowedOfMany(limit, used, moreMs)
    : new AllowedOfFew(limit | 0, (limit - used) | 0, moreMs | 0);
}

/** Apart from {@link allowed}, so that V8 inlines the latter. */
function allowedOfMany(limit: number, used: number, moreMs: number): AllowedDecision {
  return new AllowedOfMany(limit, limit - Math.min(used, Number.MAX_SAFE_INTEGER), moreMs);
}

export function rejected(
  limit: number,
  remaining: number,
  retryAfterMs: number,
  remainingAfterWaiting: number,
  moreAfterMs: number,
): RejectedDecision {
  const moreMs = wholeMs(moreAfterMs);
  return areFew(limit, remainingAfterWaiting, moreMs)
    ? new Rejected(limit | 0, remaining | 0, retryAfterMs, remainingAfterWaiting | 0, moreMs | 0)
    : new Rejected(limit, remaining, retryAfterMs, remainingAfterWaiting, moreMs);
}

/**
 * The rejection of a call to a blocked key, by either strategy.
 *
 * @param free how much of the capacity is free at least when the block ends
 */
export function blocked(limit: number, leftMs: number, free: number, moreAfterMs: number): RejectedDecision {
  return new Blocked(int32(limit), leftMs, int32(free), int32(wholeMs(moreAfterMs)));
}

export function suppressed(
  admitted: boolean,
  limit: number,
  remaining: number,
  retryAfterMs: number,
  remainingAfterWaiting: number,
  moreAfterMs: number,
  suppressionFactor: number,
): SuppressedDecision {
  const moreMs = wholeMs(moreAfterMs);
  if (areFew(limit, remainingAfterWaiting, moreMs)) {
    const after = remainingAfterWaiting | 0;
    return new Suppressed(admitted, limit | 0, remaining | 0, retryAfterMs, after, moreMs | 0, suppressionFactor);
  }
  return new Suppressed(admitted, limit, remaining, retryAfterMs, remainingAfterWaiting, moreMs, suppressionFactor);
}

/** Marks a decision, which nobody else has yet, as one that a failure policy made. */
export function markDegraded(decision: Decision): Decision {
  (decision as { degraded: boolean }).degraded = true;
  return decision;
}

/**
 * Whether the whole numbers of a denial are 32-bit integers; what remains is at most the limit. Asked once for all of
 * them, because to ask for each costs a call of suppression a twentieth.
 */
function areFew(limit: number, remainingAfterWaiting: number, moreMs: number): boolean {
  return limit <= MAX_INT32 && remainingAfterWaiting <= MAX_INT32 && moreMs <= MAX_INT32;
}

/** Rounded up, so that after so long a wait the bucket has expired; never below 0. */
function wholeMs(ms: number): number {
  return ms > 0 ? Math.ceil(ms) : 0;
}

/** `count`, which is a whole number and not negative, as a 32-bit integer if it is one. */
function int32(count: number): number {
  return count > MAX_INT32 ? count : count | 0;
}
