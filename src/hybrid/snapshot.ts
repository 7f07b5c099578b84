// What Redis' last answer says of a key, with times of this process, and what time and the hits of this process have
// changed since. A hit changes it only while the key has a single bucket or none.

import type { Decision } from "../core/types.ts";
import { cellStartOf } from "../strategy/bucket.ts";
import { type Answer, isDenial, type Report } from "./protocol.ts";
import {
  BUCKETS,
  FIRST_ACCEPTED,
  FIRST_EXPIRY_MS,
  IS_SHARED,
  type Row,
  read,
  SECOND_ACCEPTED,
  SECOND_EXPIRY_MS,
  write,
} from "./rows.ts";
import type { Timing } from "./timing.ts";

/** How long until a bucket expires that hasn't at `nowMs`, which is no later than a window after that. */
export function expiresInMs(expiryMs: number, nowMs: number, windowMs: number): number {
  return Math.min(windowMs, Math.max(1, expiryMs - nowMs));
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

/** When a bucket expires that isn't known. */
const NEVER = Number.POSITIVE_INFINITY;

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

/**
 * What the rejection of a call in a take says, which Redis has decided.
 *
 * @param free what this process knows to be free, which is negative after the limit was made smaller
 */
export function noRoomOfRejection(decision: Decision, count: number, free: number, nowMs: number): NoRoom {
  const { retryAfterMs, remainingAfterWaiting } = decision;
  const askAgainMs = nowMs + Math.min(LEASES_MOVE_MS, retryAfterMs);
  return { count, untilMs: nowMs + retryAfterMs, freed: remainingAfterWaiting - free, askAgainMs };
}

/** The same when `expired` of what was used has expired. */
export function noRoomAfterExpiry(noRoom: NoRoom, expired: number): NoRoom {
  return { ...noRoom, freed: noRoom.freed - expired };
}

/** Suppressed: the factor over the soft limit, which Redis has computed from what all processes reported. */
export interface KeptFactor {
  readonly factor: number;
  readonly untilMs: number;
}

/**
 * The oldest buckets of a key, all processes' hits together: what tells when capacity gets free. A view of a row, where
 * all its numbers are.
 *
 * | word               | means                                                                                       |
 * |--------------------|---------------------------------------------------------------------------------------------|
 * | `BUCKETS`          | how many buckets there are; 3 for more, and 2 where that isn't known                        |
 * | `FIRST_EXPIRY_MS`  | when the first one expires; infinity where none is known                                    |
 * | `FIRST_ACCEPTED`   | how much accepted usage it has                                                              |
 * | `SECOND_EXPIRY_MS` | when the second one expires; infinity unless there are more than two, because the newest    |
 * |                    | bucket may still grow, here or elsewhere                                                    |
 * | `SECOND_ACCEPTED`  | how much accepted usage it has                                                              |
 * | `IS_SHARED`        | 1 if others have leases, else 0                                                             |
 */
export class Snapshot {
  readonly #row: Row;
  readonly #grid: Pick<Timing, "windowMs" | "bucketMs">;

  constructor(row: Row, grid: Pick<Timing, "windowMs" | "bucketMs">) {
    this.#row = row;
    this.#grid = grid;
  }

  /** Whether a hit changes it. */
  get isGrowing(): boolean {
    return read(this.#row, BUCKETS) < 2;
  }

  get firstExpiryMs(): number {
    return read(this.#row, FIRST_EXPIRY_MS);
  }

  get firstAccepted(): number {
    return read(this.#row, FIRST_ACCEPTED);
  }

  /** Whether other processes have leases. They return what they don't spend, so more may be free than is known here. */
  get isShared(): boolean {
    return read(this.#row, IS_SHARED) === 1;
  }

  /** An answer has arrived at `nowMs`. */
  note(answer: Answer, nowMs: number): void {
    const { buckets } = answer;
    write(this.#row, BUCKETS, buckets);
    write(this.#row, IS_SHARED, answer.leasedByOthers > 0 ? 1 : 0);
    this.#noteFirst(buckets > 0 ? nowMs + answer.firstExpiresInMs : NEVER, buckets > 0 ? answer.firstAccepted : 0);
    this.#noteSecond(buckets > 2 ? nowMs + answer.secondExpiresInMs : NEVER, answer.secondAccepted);
  }

  /** Nothing is known of the buckets any longer, nor of other processes. */
  forget(): void {
    write(this.#row, BUCKETS, 2);
    write(this.#row, IS_SHARED, 0);
    this.#noteFirst(NEVER, 0);
    this.#noteSecond(NEVER, 0);
  }

  /**
   * The first bucket has expired: the second is the first then. Changes nothing and returns false where it isn't known
   * what comes after the first bucket, or that has expired too: then only Redis can say how much is used.
   */
  tryDropFirst(nowMs: number): boolean {
    const secondMs = read(this.#row, SECOND_EXPIRY_MS);
    if (secondMs === NEVER || nowMs >= secondMs) return false;
    write(this.#row, BUCKETS, 2);
    this.#noteFirst(secondMs, read(this.#row, SECOND_ACCEPTED));
    this.#noteSecond(NEVER, 0);
    return true;
  }

  /** Counts a hit of this process: it makes the first bucket, keeps the only one alive, or changes nothing. */
  addHit(accepted: number, hitMs: number): void {
    const buckets = read(this.#row, BUCKETS);
    if (buckets > 1) return;
    const { windowMs, bucketMs } = this.#grid;
    const isNext = buckets === 1 && this.firstExpiryMs - windowMs < cellStartOf(hitMs, bucketMs);
    write(this.#row, BUCKETS, isNext ? 2 : 1);
    if (!isNext) this.#noteFirst(hitMs + windowMs, this.firstAccepted + accepted);
  }

  #noteFirst(expiryMs: number, accepted: number): void {
    write(this.#row, FIRST_EXPIRY_MS, expiryMs);
    write(this.#row, FIRST_ACCEPTED, accepted);
  }

  #noteSecond(expiryMs: number, accepted: number): void {
    write(this.#row, SECOND_EXPIRY_MS, expiryMs);
    write(this.#row, SECOND_ACCEPTED, accepted);
  }
}
