// What a process knows of one key since it last heard from Redis, and what it may spend of it without asking.

import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { cellStartOf } from "../strategy/bucket.ts";
import type { Answer, Report } from "./answer.ts";
import { type Terms, Unreported } from "./unreported.ts";

/** Somebody who waits for Redis. */
export interface Caller {
  readonly rate: Rate;
  readonly limit: number;
  readonly count: number;
  readonly sinceMs: number;
  resolve(decision: Decision | Promise<Decision>): void;
}

/** Capacity is scarce when less than this part of it is neither used nor leased. */
const SCARCE_PART = 32;
/** There is plenty when at least this part is. */
const PLENTY_PART = 8;
/** A lease that is to last for long is at most this part of what is neither used nor leased. */
const LONG_LEASE_PART = 16;
/** How soon to ask again for what others have leased: what they don't use they give back. */
const LEASES_MOVE_MS = 50;
/** A time to look at first that isn't far off is a small integer to V8, and costs no object. */
const FAR_OFF_MS = 1_000_000;

/**
 * It extends what is unreported, and what every call looks at comes first: so that lies together in memory. Of many keys
 * each is seldom in the processor's cache. For the same reason there is one time that tells when to look at the others.
 */
export class KeyState extends Unreported {
  /** The rate of which something is known. */
  #knownRate: Rate | undefined = undefined;
  #holdsUntilMs = 0;
  /** Capacity that Redis has set aside for this process, and what is left of it. */
  lease = 0;
  /** Capacity that is used or leased to others. */
  used = 0;
  limit = 0;
  /** What Redis has counted already for those who wait. */
  prepaid = 0;
  /** Absolute: Redis had no room for a call of this count. */
  #deniedCount = 0;
  /** How many buckets there are; 3 for more. */
  #buckets = 0;
  /** Calls, admitted or not, since the last report: what tells how large a lease is wanted. */
  demand = 0;
  /** Whether it is in the list of those that a round looks at. */
  listed = false;

  readonly key: string;
  rate: Rate = 0 as Rate;
  #isShared = false;
  #leaseUntilMs = Number.NEGATIVE_INFINITY;
  /** Until then Redis may have something set aside for this process. */
  #reservedUntilMs = Number.NEGATIVE_INFINITY;

  // The two oldest buckets.
  #firstExpiryMs = Number.POSITIVE_INFINITY;
  firstAccepted = 0;
  #secondExpiryMs = Number.POSITIVE_INFINITY;
  #secondAccepted = 0;

  /** While those who wait are served: the count of the first one that there was no room for. */
  #tooMuch = Number.POSITIVE_INFINITY;
  /** Until when there is no room for a call of the count that was denied, and how much is free then. */
  deniedUntilMs = 0;
  freeAfterWaiting = 0;
  #askAgainMs = Number.NEGATIVE_INFINITY;

  /** Suppressed: the factor over the soft limit, until when it is kept, and whether those who asked for it get it now. */
  #factor = 0;
  #factorUntilMs = Number.NEGATIVE_INFINITY;
  #factorIsNew = false;

  /** About how much was called for in the last `#horizonMs`, when that was last asked for. */
  #recentDemand = 0;
  #demandSinceMs = Number.NEGATIVE_INFINITY;
  #horizonMs: number;
  /** When it was last called. */
  #usedMs = Number.NEGATIVE_INFINITY;

  callers: Caller[] = [];
  /** Whether it is only in the list of those that can wait. */
  isDeferred = false;
  /** The exchange with Redis that goes on, if one does: there is never a second one. */
  exchange: Promise<void> | undefined = undefined;
  /** How many want everything reported and the lease given back when it is over. */
  settling = 0;

  constructor(key: string, terms: Terms) {
    super(terms);
    this.key = key;
    this.#horizonMs = terms.plentyMs;
  }

  /** Whether what is known is enough to decide about a call of that count at `rate`. */
  knows(rate: Rate, count: number, nowMs: number): boolean {
    return rate === this.#knownRate && (nowMs < this.#holdsUntilMs || this.#goesOn(count, nowMs));
  }

  /** Whether Redis was told of that rate last. */
  knowsRate(rate: Rate): boolean {
    return rate === this.#knownRate;
  }

  /** Redis may have been told of that rate. */
  assume({ rate, limit }: Report): void {
    if (this.#knownRate !== undefined) return;
    this.rate = rate;
    this.limit = limit;
  }

  /** Drops a lease that may not be spent any longer, and takes out the oldest bucket when it has expired. */
  #goesOn(count: number, nowMs: number): boolean {
    this.keepLease(this.lease, nowMs);
    if (nowMs >= this.#firstExpiryMs) {
      if (this.#buckets < 3 || nowMs >= this.#secondExpiryMs) {
        // A lease is good all the same. Where others spend too, what is free isn't known exactly anyway: it is more.
        return (this.#isShared || this.prepaid > 0) && this.hasLease(count);
      }
      this.used -= this.firstAccepted;
      this.#firstExpiryMs = this.#secondExpiryMs;
      this.firstAccepted = this.#secondAccepted;
      this.#secondExpiryMs = Number.NEGATIVE_INFINITY;
    }
    this.#hold(nowMs);
    return true;
  }

  #hold(nowMs: number): void {
    let untilMs = Math.min(nowMs + FAR_OFF_MS, this.#firstExpiryMs);
    if (nowMs < this.#leaseUntilMs) untilMs = Math.min(untilMs, this.#leaseUntilMs);
    this.#holdsUntilMs = Math.floor(untilMs);
  }

  get firstExpiryMs(): number {
    return this.#firstExpiryMs;
  }

  /** Capacity that is neither used nor leased to others. The lease is a part of it. */
  get free(): number {
    return this.limit - this.used;
  }

  /** Whether a call of that count fits into what is leased or prepaid. What chance admits can use up what was leased. */
  hasLease(count: number): boolean {
    return (count <= this.lease || count <= this.prepaid) && this.used + count <= this.limit;
  }

  isDenied(count: number, nowMs: number): boolean {
    return this.isTooMuch(count) || (count === this.#deniedCount && nowMs < this.#askAgainMs);
  }

  /**
   * Whether somebody who waited was denied with no more than that. How long the heavier ones have to wait isn't known
   * exactly: at least as long. To ask for each of them would take a round trip each.
   */
  isTooMuch(count: number): boolean {
    return count >= this.#tooMuch;
  }

  /** A call that can never fit is none to lease anything for. */
  addDemand(count: number, limit: number): void {
    if (count <= limit) this.demand += count;
  }

  /** The factor, if it may be used for a call now; else -1. */
  factorAt(nowMs: number): number {
    return nowMs < this.#factorUntilMs || this.#factorIsNew ? this.#factor : -1;
  }

  /** Spends `count` of the lease, or of what is prepaid. */
  spend(count: number, nowMs: number): void {
    if (count <= this.prepaid) {
      this.prepaid -= count;
      this.used += count;
      return;
    }
    this.lease -= count;
    this.record(count, 0, nowMs);
  }

  /** Counts a hit, of which `declined` was denied. */
  record(count: number, declined: number, nowMs: number): void {
    this.used += count - declined;
    this.#deniedCount = 0;
    this.recordHit(count, declined, nowMs);
    if (this.#buckets < 2) this.#growFirst(count - declined, nowMs);
  }

  /** Forgets what is known, and the lease with it. */
  forget(): void {
    this.#knownRate = undefined;
    this.#factorUntilMs = Number.NEGATIVE_INFINITY;
    this.lease = 0;
  }

  /** Keeps no more of the lease than `most`, and nothing of one that may not be spent any longer. */
  keepLease(most: number, nowMs: number): void {
    if (nowMs >= this.#leaseUntilMs) this.lease = 0;
    else if (this.lease > most) this.lease = most;
  }

  /** Who waited has been served. */
  endServing(): void {
    this.prepaid = 0;
    this.#factorIsNew = false;
    this.#tooMuch = Number.POSITIVE_INFINITY;
  }

  /** Forgets also what is to be reported. */
  clear(): void {
    this.forget();
    this.clearHits();
  }

  /** Gives the lease back with the next report, and wants no other. */
  release(): void {
    this.lease = 0;
    this.demand = 0;
    this.#recentDemand = 0;
  }

  /** Whether something is set aside for this process, so that others can't have it. */
  hasReserved(nowMs: number): boolean {
    return nowMs < this.#reservedUntilMs;
  }

  /** Whether nobody has called for so long that what is set aside should go back. */
  isIdle(nowMs: number): boolean {
    return nowMs >= this.#usedMs + this.#horizonMs;
  }

  /** Whether that should be looked at in every round. */
  get isScarce(): boolean {
    return this.#horizonMs === this.terms.scarceMs;
  }

  /** What nobody uses or has leased. */
  get #unleased(): number {
    return this.free - this.lease;
  }

  /** Whether the next report may wait: while there is plenty, and no need yet to have the lease filled up. */
  get isPatient(): boolean {
    const { patienceMs, scarceMs } = this.terms;
    if (patienceMs < scarceMs || PLENTY_PART * this.#unleased < this.limit) return false;
    return this.lease > 0 && this.lease >= this.#recentDemand;
  }

  /** Whether anything would be lost without it. */
  isUseful(nowMs: number): boolean {
    if (this.exchange !== undefined || this.hasReport || this.hasReserved(nowMs)) return true;
    return !this.isIdle(nowMs) || nowMs < this.#askAgainMs || nowMs < this.#factorUntilMs;
  }

  /**
   * How large a lease is wanted: twice what was called for lately. To last for long, which pays for keys that are called
   * now and then, only as long as it is a small part of the capacity.
   */
  takeDemand(limit: number, nowMs: number): number {
    const spanMs = nowMs - this.#demandSinceMs;
    const horizonMs = this.#horizonMs;
    const { demand } = this;
    const { scarceMs } = this.terms;
    // What came within the span counts as if it had come evenly, and what came before it fades.
    const demandIn = (lastMs: number) => (spanMs > lastMs ? (demand * lastMs) / spanMs : demand);
    const older = spanMs < horizonMs ? this.#recentDemand * (1 - spanMs / horizonMs) : 0;
    this.#recentDemand = older + demandIn(horizonMs);
    if (demand > 0) this.#usedMs = nowMs;
    this.demand = 0;
    this.#demandSinceMs = nowMs;
    const soon = 2 * Math.max((this.#recentDemand * scarceMs) / horizonMs, demandIn(scarceMs));
    const unleased = this.#knownRate === undefined ? limit : Math.max(0, this.#unleased);
    return Math.floor(Math.max(soon, Math.min(2 * this.#recentDemand, unleased / LONG_LEASE_PART)));
  }

  /** A report is under way: whatever becomes of it, Redis may set something aside. */
  reserve(leaseUntilMs: number): void {
    this.#reservedUntilMs = leaseUntilMs + this.terms.windowMs;
  }

  /** Redis has confirmed what was reported, and tells how the key is. */
  learn(answer: Answer, { number, rate, limit, asked, held, leaseUntilMs }: Report, nowMs: number): void {
    this.confirm(number);
    this.rate = rate;
    if (rate !== this.#knownRate) this.#factorUntilMs = Number.NEGATIVE_INFINITY;
    this.#knownRate = rate;
    this.limit = limit;
    this.lease += answer.granted;
    this.#leaseUntilMs = leaseUntilMs;
    if (held + answer.granted === 0) this.#reservedUntilMs = Number.NEGATIVE_INFINITY;
    this.prepaid = answer.counted;
    const accepted = answer.total - answer.declined;
    this.used = accepted + answer.leasedByOthers - answer.counted;
    this.#isShared = answer.leasedByOthers > 0;
    const unleased = limit - accepted - answer.leasedByOthers - held - answer.granted;
    this.#horizonMs = SCARCE_PART * unleased < limit ? this.terms.scarceMs : this.terms.plentyMs;
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
    // What was counted while the report was on its way comes on top.
    this.forEachHit((count, hitMs) => {
      this.used += count;
      if (this.#buckets < 2) this.#growFirst(count, hitMs);
    });
    this.#hold(nowMs);
  }

  #learnDenial(answer: Answer, asked: number, nowMs: number): void {
    this.#deniedCount = answer.counted + answer.granted < asked ? asked : 0;
    if (this.#deniedCount > 0) this.#tooMuch = asked;
    this.deniedUntilMs = nowMs + answer.waitMs;
    this.freeAfterWaiting = answer.freeAfterWaiting;
    // Sooner than that others may delete the key, or correct its usage.
    const believedMs = answer.leasedByOthers > 0 ? LEASES_MOVE_MS : this.terms.leaseMs;
    this.#askAgainMs = nowMs + Math.min(believedMs, answer.waitMs);
  }

  /** A hit in the only bucket keeps that alive. */
  #growFirst(accepted: number, nowMs: number): void {
    const { windowMs, bucketMs } = this.terms;
    const endMs = cellStartOf(this.#firstExpiryMs - windowMs, bucketMs) + bucketMs;
    if (this.#buckets === 1 && nowMs >= endMs) {
      this.#buckets = 2;
      return;
    }
    this.firstAccepted = this.#buckets === 0 ? accepted : this.firstAccepted + accepted;
    this.#firstExpiryMs = nowMs + windowMs;
    this.#buckets = 1;
    if (this.#knownRate !== undefined) this.#hold(nowMs);
  }
}
