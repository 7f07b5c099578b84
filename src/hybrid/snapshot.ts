// What Redis' last answer says of a key, with times of this process. These objects never change: where time or a hit of
// this process makes a difference, a new object takes their place. A hit makes one only while the key has a single
// bucket or none, so a key with many buckets pays nothing for it.

import type { Decision } from "../core/types.ts";
import { cellStartOf } from "../strategy/bucket.ts";
import { type Answer, isDenial, type Report } from "./protocol.ts";
import type { Timing } from "./timing.ts";

/** A bucket of which it is known when it expires, and how much accepted usage it has. */
export interface OldBucket {
  readonly expiryMs: number;
  readonly accepted: number;
}

/** Absolute: Redis had no room for a call. */
export interface NoRoom {
  /** The count of that call. */
  readonly count: number;
  /** When there is room for it, if nothing else happens. */
  readonly untilMs: number;
  /** How much has expired by then. */
  readonly freed: number;
  /** Until then calls of that count are rejected without asking Redis. */
  readonly askAgainMs: number;
}

/** How soon to ask again for what others have leased: what they don't spend they return. */
export const LEASES_MOVE_MS = 50;

/** What an answer says of the calls that waited for it; undefined if there was room. */
export function noRoomOfAnswer(answer: Answer, report: Report, nowMs: number, leaseMs: number): NoRoom | undefined {
  if (!isDenial(answer, report)) return undefined;
  const { waitMs, freed, leasedByOthers } = answer;
  // Sooner than that others may delete the key, or correct its usage.
  const believedMs = leasedByOthers > 0 ? LEASES_MOVE_MS : leaseMs;
  return { count: report.asked, untilMs: nowMs + waitMs, freed, askAgainMs: nowMs + Math.min(believedMs, waitMs) };
}

/** What the rejection of a call in a take says, which Redis has decided. */
export function noRoomOfRejection(decision: Decision, count: number, nowMs: number): NoRoom {
  const { remaining, retryAfterMs, remainingAfterWaiting } = decision;
  const askAgainMs = nowMs + Math.min(LEASES_MOVE_MS, retryAfterMs);
  return { count, untilMs: nowMs + retryAfterMs, freed: remainingAfterWaiting - remaining, askAgainMs };
}

/** Suppressed: the factor over the soft limit, which Redis has computed from what all processes reported. */
export interface KeptFactor {
  readonly factor: number;
  readonly untilMs: number;
}

/**
 * The oldest buckets of a key, all processes' hits together: what tells when capacity gets free.
 *
 * `first` is there exactly when there is a bucket. `second` is there only when there are more than two, because the
 * newest bucket may still grow, here or elsewhere.
 */
export class Snapshot {
  /** How many buckets there are; 3 for more. */
  readonly buckets: number;
  readonly first: OldBucket | undefined;
  readonly second: OldBucket | undefined;
  /** Whether other processes have leases. They return what they don't spend, so more may be free than is known here. */
  readonly isShared: boolean;

  constructor(buckets: number, first: OldBucket | undefined, second: OldBucket | undefined, isShared: boolean) {
    this.buckets = buckets;
    this.first = first;
    this.second = second;
    this.isShared = isShared;
  }

  /** What an answer says that arrived at `nowMs`. */
  static of(answer: Answer, nowMs: number): Snapshot {
    const { buckets } = answer;
    const first = { expiryMs: nowMs + answer.firstExpiresInMs, accepted: answer.firstAccepted };
    const second = { expiryMs: nowMs + answer.secondExpiresInMs, accepted: answer.secondAccepted };
    return new Snapshot(
      buckets,
      buckets > 0 ? first : undefined,
      buckets > 2 ? second : undefined,
      answer.leasedByOthers > 0,
    );
  }

  /**
   * The snapshot once its first bucket has expired. Undefined when what comes after the first bucket isn't known, or
   * has expired too: then only Redis can say how much is used.
   */
  withoutFirst(nowMs: number): Snapshot | undefined {
    if (this.second === undefined || nowMs >= this.second.expiryMs) return undefined;
    return new Snapshot(2, this.second, undefined, this.isShared);
  }

  /**
   * The snapshot with a hit of this process: it makes the first bucket, keeps the only one alive, or changes nothing.
   */
  withHit(accepted: number, hitMs: number, { windowMs, bucketMs }: Timing): Snapshot {
    if (this.buckets > 1) return this;
    const { first } = this;
    if (first === undefined) return this.#withOnly({ expiryMs: hitMs + windowMs, accepted });
    const cellEndMs = cellStartOf(first.expiryMs - windowMs, bucketMs) + bucketMs;
    if (hitMs >= cellEndMs) return new Snapshot(2, first, undefined, this.isShared);
    return this.#withOnly({ expiryMs: hitMs + windowMs, accepted: first.accepted + accepted });
  }

  #withOnly(bucket: OldBucket): Snapshot {
    return new Snapshot(1, bucket, undefined, this.isShared);
  }
}

/** Before Redis has said anything. */
export const NO_SNAPSHOT = new Snapshot(0, undefined, undefined, false);
