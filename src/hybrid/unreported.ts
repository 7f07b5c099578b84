// The hits of one key that Redis hasn't confirmed yet.

import { cellStartOf } from "../strategy/bucket.ts";

/** The lengths of time that all keys have in common. */
export interface Terms {
  readonly windowMs: number;
  readonly bucketMs: number;
  /** How long a lease may be spent. */
  readonly leaseMs: number;
  /** How long one is kept that nobody spends, while capacity is scarce. */
  readonly scarceMs: number;
  /** The same while there is plenty. */
  readonly plentyMs: number;
  /** How long a report may wait then. */
  readonly patienceMs: number;
}

/** Hits in one cell of the bucket grid. A list of them is linked: an array would cost more than they do. */
export interface Hit {
  /** The number of the report that brought it first; 0 for none yet. */
  report: number;
  /** The time of the newest hit. */
  hitMs: number;
  count: number;
  declined: number;
  next: Hit | undefined;
}

/** They are merged when there are this many buckets of them: an outage can be long. */
const MOST_HITS = 64;

const NONE: readonly Hit[] = [];

export abstract class Unreported {
  // The newest cell with hits; none if its count is 0.
  #count = 0;
  #declined = 0;
  #cellEndMs = 0;
  #hitMs = 0;
  /** Those before it. */
  #first: Hit | undefined = undefined;
  #last: Hit | undefined = undefined;
  /** The number of the report that what is counted belongs to; 0 for the next one. */
  #countsFor = 0;
  /** How many of them no report has brought yet. */
  #fresh = 0;
  /** What the last report held back. */
  heldBack: readonly Hit[] = NONE;
  protected readonly terms: Terms;

  constructor(terms: Terms) {
    this.terms = terms;
  }

  get hasReport(): boolean {
    return this.#count > 0 || this.#first !== undefined;
  }

  /** Counts a hit, of which `declined` was denied. */
  protected recordHit(count: number, declined: number, nowMs: number): void {
    if (this.#count === 0 || nowMs >= this.#cellEndMs) {
      this.#endCell();
      this.#cellEndMs = cellStartOf(nowMs, this.terms.bucketMs) + this.terms.bucketMs;
    }
    this.#count += count;
    this.#declined += declined;
    this.#hitMs = nowMs;
  }

  /**
   * Takes back up to `count` of what was accepted, from the newest hits. A hit that was reported already and not
   * confirmed may be among them: if Redis has counted it after all, it stays counted there.
   */
  takeBack(count: number): void {
    this.#endCell();
    const hits: Hit[] = [];
    for (let hit = this.#first; hit !== undefined; hit = hit.next) hits.push(hit);
    let left = count;
    for (const hit of hits.reverse()) {
      const part = Math.min(left, hit.count - hit.declined);
      hit.count -= part;
      left -= part;
    }
    this.#first = undefined;
    this.#last = undefined;
    for (const hit of hits) {
      if (hit.count === 0) {
        if (hit.report === 0) this.#fresh--;
        continue;
      }
      hit.next = this.#first;
      this.#first = hit;
      this.#last ??= hit;
    }
  }

  /** What is counted from now on belongs to the report of that number; 0 for the next one. */
  recordFor(report: number): void {
    this.#endCell();
    this.#countsFor = report;
  }

  #endCell(): void {
    if (this.#count === 0) return;
    const report = this.#countsFor;
    const hit = { report, hitMs: this.#hitMs, count: this.#count, declined: this.#declined, next: undefined };
    if (this.#last === undefined) this.#first = hit;
    else this.#last.next = hit;
    this.#last = hit;
    this.#count = 0;
    this.#declined = 0;
    if (report === 0 && ++this.#fresh > MOST_HITS) this.#merge(hit.hitMs);
  }

  /**
   * What to report now under that number, oldest first: all that is live and not confirmed. Where reports go
   * unanswered for long, hits keep the numbers of the first ones, and what came later is held back until Redis answers.
   */
  report(number: number, nowMs: number): readonly Hit[] {
    this.#endCell();
    this.dropExpired(nowMs);
    const hits: Hit[] = [];
    for (let hit = this.#first; hit !== undefined; hit = hit.next) hits.push(hit);
    const fresh = hits.filter(({ report }) => report === 0);
    const isTooMuch = fresh.length > 0 && hits.length - fresh.length >= MOST_HITS;
    this.heldBack = isTooMuch ? fresh : NONE;
    if (isTooMuch) return hits.filter(({ report }) => report !== 0);
    for (const hit of fresh) hit.report = number;
    this.#fresh = 0;
    return hits;
  }

  /** Redis has counted what was reported under that number, and before. */
  protected confirm(number: number): void {
    this.#drop(({ report }) => report !== 0 && report <= number);
  }

  /** Calls `visit` with each hit, oldest first. */
  protected forEachHit(visit: (accepted: number, hitMs: number) => void): void {
    for (let hit = this.#first; hit !== undefined; hit = hit.next) visit(hit.count - hit.declined, hit.hitMs);
    if (this.#count > 0) visit(this.#count - this.#declined, this.#hitMs);
  }

  protected clearHits(): void {
    this.#count = 0;
    this.#declined = 0;
    this.#drop(() => true);
  }

  /** Drops the first hits, as long as they are such. */
  #drop(isSuch: (hit: Hit) => boolean): void {
    let hit = this.#first;
    for (; hit !== undefined && isSuch(hit); hit = hit.next) if (hit.report === 0) this.#fresh--;
    this.#first = hit;
    if (hit === undefined) this.#last = undefined;
  }

  /** Drops what doesn't matter any longer. */
  dropExpired(nowMs: number): void {
    this.#drop(({ hitMs }) => hitMs + this.terms.windowMs <= nowMs);
    if (this.#first === undefined && this.#hitMs + this.terms.windowMs <= nowMs) this.clearHits();
  }

  /** Halves the number of those that no report has brought yet, and drops what has expired. */
  #merge(nowMs: number): void {
    this.dropExpired(nowMs);
    for (let hit = this.#first; hit !== undefined; hit = hit.next) {
      const { next } = hit;
      if (hit.report !== 0 || next === undefined || next.report !== 0) continue;
      hit.hitMs = next.hitMs;
      hit.count += next.count;
      hit.declined += next.declined;
      hit.next = next.next;
      if (next === this.#last) this.#last = hit;
      this.#fresh--;
    }
  }
}
