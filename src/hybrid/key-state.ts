// What a process knows of one key since it last heard from Redis, what it may spend of it without asking, and what
// it has to report.

import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { cellStartOf } from "../strategy/bucket.ts";

/** Hits in one cell of the bucket grid that Redis hasn't confirmed. */
export interface Hit {
  /** The number of the report that brought it first; 0 for none yet. */
  report: number;
  /** The time of the newest hit. */
  hitMs: number;
  count: number;
  declined: number;
}

/** Somebody who waits for Redis. */
export interface Caller {
  readonly rate: Rate;
  readonly limit: number;
  readonly count: number;
  resolve(decision: Decision | Promise<Decision>): void;
}

/** What Redis was told, and asked for. */
export interface Report {
  readonly reported: readonly Hit[];
  readonly rate: Rate;
  readonly limit: number;
  /** The count of the first call that waited; 0 for none. */
  readonly asked: number;
  /** Until when what it grants may be spent. */
  readonly leaseUntilMs: number;
}

/** What Redis says in answer to a report; see `sync.lua`. Times are from then on. */
export interface Answer {
  readonly counted: number;
  readonly granted: number;
  readonly total: number;
  readonly declined: number;
  readonly leasedByOthers: number;
  readonly buckets: number;
  readonly firstExpiresInMs: number;
  readonly firstAccepted: number;
  readonly secondExpiresInMs: number;
  readonly secondAccepted: number;
  readonly waitMs: number;
  readonly freeAfterWaiting: number;
  readonly factor: number;
  readonly factorLeftMs: number;
}

/** Hits that are not confirmed are merged when there are this many buckets of them: an outage can be long. */
const MOST_HITS = 64;
/** How soon to ask again for what others have leased: what they don't use they give back. */
const LEASES_MOVE_MS = 50;

export class KeyState {
  readonly key: string;
  readonly #windowMs: number;
  readonly #bucketMs: number;

  /** The rate of the last call that Redis heard of: for another one nothing is known. */
  rate: Rate = Number.NaN as Rate;
  limit = 0;
  /**
   * Until then what is known holds and the lease may be spent, if there is one. It is the one time that most calls look
   * at: V8 keeps each number with a fraction in an object of its own, which is often not in the processor's cache.
   */
  #holdsUntilMs = Number.NEGATIVE_INFINITY;
  /** Capacity that Redis has set aside for this process, and until when it may be spent. */
  lease = 0;
  #leaseUntilMs = Number.NEGATIVE_INFINITY;
  /** When something was last reported. */
  reportedMs = Number.NEGATIVE_INFINITY;
  /** What Redis has counted already for those who wait. */
  prepaid = 0;
  /** Capacity that is neither used nor leased to others. The lease is a part of it. */
  free = 0;

  // The two oldest buckets: a call that comes when both have expired has to ask.
  #buckets = 0;
  #firstExpiryMs = Number.POSITIVE_INFINITY;
  firstAccepted = 0;
  #secondExpiryMs = Number.POSITIVE_INFINITY;
  #secondAccepted = 0;

  /** Absolute: Redis had no room for a call of this count until then, and this much is free then. */
  deniedCount = 0;
  deniedUntilMs = 0;
  freeAfterWaiting = 0;
  #askAgainMs = 0;

  /** Suppressed: the factor over the soft limit, until when it is kept, and whether nobody has used it yet. */
  #factor = 0;
  #factorUntilMs = Number.NEGATIVE_INFINITY;
  #factorIsNew = false;

  /** Calls, admitted or not, since the last report: what tells how large a lease is wanted. */
  demand = 0;
  #demandSinceMs = Number.NEGATIVE_INFINITY;

  // The cell of the bucket grid with the newest hits, and what is to be reported from before.
  #hit: Hit | undefined;
  #cellEndMs = Number.NEGATIVE_INFINITY;
  #hits: Hit[] = [];
  /** What the last report didn't bring. */
  heldBack: readonly Hit[] = [];

  callers: Caller[] = [];
  /** The exchange with Redis that goes on, if one does: there is never a second one. */
  exchange: Promise<void> | undefined;
  /** Whether it is in the list of those that the next round looks at. */
  listed = false;

  constructor(key: string, windowMs: number, bucketMs: number) {
    this.key = key;
    this.#windowMs = windowMs;
    this.#bucketMs = bucketMs;
  }

  /** Whether what is known still holds for calls at `rate`. */
  knows(rate: Rate, nowMs: number): boolean {
    return rate === this.rate && (nowMs < this.#holdsUntilMs || this.#goesOn(nowMs));
  }

  /** Drops a lease that may not be spent any longer, and takes out the oldest bucket when it has expired. */
  #goesOn(nowMs: number): boolean {
    if (this.#holdsUntilMs === Number.NEGATIVE_INFINITY) return false;
    if (nowMs >= this.#leaseUntilMs) this.lease = 0;
    if (nowMs >= this.#firstExpiryMs) {
      if (this.#buckets < 3 || nowMs >= this.#secondExpiryMs) return false;
      this.free += this.firstAccepted;
      this.#firstExpiryMs = this.#secondExpiryMs;
      this.firstAccepted = this.#secondAccepted;
      this.#secondExpiryMs = Number.NEGATIVE_INFINITY;
    }
    this.#hold(nowMs);
    return true;
  }

  #hold(nowMs: number): void {
    const leaseEndsLater = nowMs < this.#leaseUntilMs;
    this.#holdsUntilMs = leaseEndsLater ? Math.min(this.#firstExpiryMs, this.#leaseUntilMs) : this.#firstExpiryMs;
  }

  get firstExpiryMs(): number {
    return this.#firstExpiryMs;
  }

  hasLease(count: number): boolean {
    return count <= this.lease || count <= this.prepaid;
  }

  isDenied(count: number, nowMs: number): boolean {
    return count === this.deniedCount && nowMs < this.#askAgainMs;
  }

  /** The factor, if it may be used for a call now; else -1. */
  factorAt(nowMs: number): number {
    if (nowMs >= this.#factorUntilMs && !this.#factorIsNew) return -1;
    this.#factorIsNew = false;
    return this.#factor;
  }

  /** Spends `count` of the lease, or of what is prepaid. */
  spend(count: number, nowMs: number): void {
    if (count <= this.prepaid) {
      this.prepaid -= count;
      this.free -= count;
      return;
    }
    this.lease -= count;
    this.record(count, 0, nowMs);
  }

  /** Counts a hit, of which `declined` was denied. */
  record(count: number, declined: number, nowMs: number): void {
    this.free -= count - declined;
    this.deniedCount = 0;
    const hit = this.#hit;
    if (hit !== undefined && nowMs < this.#cellEndMs) {
      hit.hitMs = nowMs;
      hit.count += count;
      hit.declined += declined;
    } else {
      this.#startHit(count, declined, nowMs);
    }
    if (this.#buckets < 2) this.#growFirst(count - declined, nowMs);
  }

  /** Forgets what is known, and the lease with it. */
  forget(): void {
    this.#holdsUntilMs = Number.NEGATIVE_INFINITY;
    this.lease = 0;
  }

  /** Sees to a lease that may not be spent any longer. */
  checkLease(nowMs: number): void {
    if (nowMs >= this.#leaseUntilMs) this.lease = 0;
  }

  /** Forgets also what is to be reported. */
  clear(): void {
    this.forget();
    this.#hit = undefined;
    this.#hits = [];
  }

  get hasReport(): boolean {
    return this.#hit !== undefined || this.#hits.length > 0;
  }

  /** Whether anything would be lost without it. */
  isUseful(nowMs: number): boolean {
    if (this.hasReport || this.callers.length > 0 || this.exchange !== undefined || this.lease > 0) return true;
    return nowMs < this.#askAgainMs || nowMs < this.#factorUntilMs;
  }

  /**
   * What to report now under that number, oldest first: all that is live and not confirmed. Where reports go
   * unanswered for long, hits keep the numbers of the first ones, and what came later is held back until Redis answers.
   */
  report(number: number, nowMs: number): readonly Hit[] {
    if (this.hasReport) this.reportedMs = nowMs;
    this.endHit();
    this.#hits = this.#hits.filter(({ hitMs }) => hitMs + this.#windowMs > nowMs);
    const unreported = this.#hits.filter(({ report }) => report === 0);
    const isTooMuch = unreported.length > 0 && this.#hits.length - unreported.length >= MOST_HITS;
    this.heldBack = isTooMuch ? unreported : [];
    if (!isTooMuch) for (const hit of unreported) hit.report = number;
    return this.#hits.filter(({ report }) => report !== 0);
  }

  /** Keeps the newest hits apart from those that follow. They belong to the report of that number, if it isn't 0. */
  endHit(report = 0): void {
    if (this.#hit === undefined) return;
    this.#hit.report = report;
    this.#hits.push(this.#hit);
    this.#hit = undefined;
  }

  /** How much is called for in `spanMs`, by what was since the last time that this was asked. */
  takeDemand(spanMs: number, nowMs: number): number {
    const demand = (this.demand * spanMs) / Math.max(spanMs, nowMs - this.#demandSinceMs);
    this.demand = 0;
    this.#demandSinceMs = nowMs;
    return demand;
  }

  /** Redis has confirmed `reported`, and tells how the key is. */
  learn(answer: Answer, { reported, rate, limit, asked, leaseUntilMs }: Report, nowMs: number): void {
    this.#hits = this.#hits.filter((hit) => !reported.includes(hit));
    this.rate = rate;
    this.limit = limit;
    this.#leaseUntilMs = leaseUntilMs;
    this.lease += answer.granted;
    this.prepaid = answer.counted;
    this.free = limit - (answer.total - answer.declined) - answer.leasedByOthers + answer.counted;
    this.#buckets = answer.buckets;
    this.#firstExpiryMs = answer.buckets > 0 ? nowMs + answer.firstExpiresInMs : Number.POSITIVE_INFINITY;
    this.firstAccepted = answer.firstAccepted;
    this.#secondExpiryMs = nowMs + answer.secondExpiresInMs;
    this.#secondAccepted = answer.secondAccepted;
    if (asked > 0) this.#learnDenial(answer, asked, nowMs);
    if (answer.factorLeftMs >= 0) {
      this.#factor = answer.factor;
      this.#factorUntilMs = nowMs + answer.factorLeftMs;
      this.#factorIsNew = true;
    }
    this.#recordAgain();
    this.#hold(nowMs);
  }

  #learnDenial(answer: Answer, asked: number, nowMs: number): void {
    this.deniedCount = answer.counted + answer.granted < asked ? asked : 0;
    this.deniedUntilMs = nowMs + answer.waitMs;
    this.freeAfterWaiting = answer.freeAfterWaiting;
    this.#askAgainMs = nowMs + (answer.leasedByOthers > 0 ? Math.min(LEASES_MOVE_MS, answer.waitMs) : answer.waitMs);
  }

  /** What was counted while the report was on its way comes on top. */
  #recordAgain(): void {
    for (const { count, declined, hitMs } of this.#hit === undefined ? this.#hits : [...this.#hits, this.#hit]) {
      this.free -= count - declined;
      if (this.#buckets < 2) this.#growFirst(count - declined, hitMs);
    }
  }

  #startHit(count: number, declined: number, nowMs: number): void {
    if (this.#hit !== undefined) this.#hits.push(this.#hit);
    if (this.#hits.length >= MOST_HITS) this.#mergeHits(nowMs);
    this.#hit = { report: 0, hitMs: nowMs, count, declined };
    this.#cellEndMs = cellStartOf(nowMs, this.#bucketMs) + this.#bucketMs;
  }

  /** Halves the number of hits that no report has brought yet, if it is too large, and drops what has expired. */
  #mergeHits(nowMs: number): void {
    if (this.#hits.filter(({ report }) => report === 0).length < MOST_HITS) return;
    const merged: Hit[] = [];
    let pair: Hit | undefined;
    for (const hit of this.#hits) {
      if (hit.hitMs + this.#windowMs <= nowMs) continue;
      if (pair !== undefined && hit.report === 0 && pair.report === 0) {
        pair.hitMs = hit.hitMs;
        pair.count += hit.count;
        pair.declined += hit.declined;
        pair = undefined;
      } else {
        merged.push(hit);
        pair = hit;
      }
    }
    this.#hits = merged;
  }

  /** A hit in the only bucket keeps that alive. */
  #growFirst(accepted: number, nowMs: number): void {
    const endMs = cellStartOf(this.#firstExpiryMs - this.#windowMs, this.#bucketMs) + this.#bucketMs;
    if (this.#buckets === 1 && nowMs >= endMs) {
      this.#buckets = 2;
      return;
    }
    this.firstAccepted = this.#buckets === 0 ? accepted : this.firstAccepted + accepted;
    this.#firstExpiryMs = nowMs + this.#windowMs;
    this.#buckets = 1;
    if (this.#holdsUntilMs !== Number.NEGATIVE_INFINITY) this.#hold(nowMs);
  }
}
