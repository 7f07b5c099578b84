// The hits of one key that Redis hasn't confirmed yet. Each hit is in exactly one state:
//
//   pending     no report has brought it yet
//   in flight   a report has brought it, under the number of that report, and Redis hasn't confirmed it. A report whose
//               answer is lost may have been counted or not, so its hits are sent again under the same number: Redis
//               knows by the number whether it has counted them.
//   held back   pending, but the last report left it out, because too many hits were in flight
//   confirmed   Redis has counted it, and it is gone from here; so is a hit that has expired
//
// What always holds:
// - Hits are in the order of their times; each has 0 ≤ declined ≤ count.
// - Hits in flight keep their number. Pending hits have none, and `#pending` is how many ended ones there are.
// - At most MOST_HITS ended hits are pending: beyond that neighbours are merged, because an outage can be long.
//
// The newest cell of the bucket grid is kept in fields: most hits join it. Ended cells are a linked list, because an
// array would take more memory than the one or two hits that most keys have.

import { cellStartOf } from "../strategy/bucket.ts";

/** The hits of one cell of the bucket grid. */
export interface HitCell {
  /** The number of the report that brought it first, or 0 while it is pending. */
  readonly report: number;
  /** The time of the newest hit in it. */
  readonly hitMs: number;
  readonly count: number;
  readonly declined: number;
}

interface Node extends HitCell {
  report: number;
  hitMs: number;
  count: number;
  declined: number;
  next: Node | undefined;
}

/** More ended hits than that are merged while they are pending, and held back while as many are in flight. */
const MOST_HITS = 64;

export class Outbox {
  readonly #windowMs: number;
  readonly #bucketMs: number;
  // The newest cell, which is pending; it has no hit while its count is 0.
  #count = 0;
  #declined = 0;
  #hitMs = 0;
  #cellEndMs = 0;
  // The ended cells.
  #first: Node | undefined = undefined;
  #last: Node | undefined = undefined;
  #pending = 0;
  #isHoldingBack = false;
  #heldBackAccepted = 0;

  constructor(windowMs: number, bucketMs: number) {
    this.#windowMs = windowMs;
    this.#bucketMs = bucketMs;
  }

  get isEmpty(): boolean {
    return this.#count === 0 && this.#first === undefined;
  }

  /** Whether the last report held hits back. */
  get isHoldingBack(): boolean {
    return this.#isHoldingBack;
  }

  /** The accepted part of the hits that the last report held back. */
  get heldBackAccepted(): number {
    return this.#heldBackAccepted;
  }

  /** The time of the oldest hit; undefined when there is none. */
  get oldestMs(): number | undefined {
    return this.#first?.hitMs ?? (this.#count > 0 ? this.#hitMs : undefined);
  }

  /** Adds a pending hit at the present time, of which `declined` was denied. */
  add(count: number, declined: number, nowMs: number): void {
    if (this.#count === 0 || nowMs >= this.#cellEndMs) this.#beginCell(nowMs);
    this.#count += count;
    this.#declined += declined;
    this.#hitMs = nowMs;
  }

  /**
   * Adds a hit that is in flight already: Redis may have counted it under the number `report`, and the answer that
   * would tell is lost. It has to be added before the next report is made, since Redis skips numbers that are not newer
   * than the last report that it has counted.
   */
  addInFlight(report: number, count: number, declined: number, nowMs: number): void {
    this.#endCell();
    const last = this.#last;
    // All calls that waited for one answer come here at the same time: a report would grow with their number.
    if (last?.report === report && nowMs < cellStartOf(last.hitMs, this.#bucketMs) + this.#bucketMs) {
      last.hitMs = nowMs;
      last.count += count;
      last.declined += declined;
    } else {
      this.#append({ report, hitMs: nowMs, count, declined, next: undefined });
    }
  }

  /**
   * Takes back up to `count` of what was accepted, from the newest hits. A hit in flight may be among them: if Redis
   * has counted it after all, it stays counted there.
   */
  takeBack(count: number): void {
    this.#endCell();
    let left = count;
    for (const node of this.#nodes().reverse()) {
      const part = Math.min(left, node.count - node.declined);
      node.count -= part;
      left -= part;
    }
    this.#keep((node) => node.count > 0);
  }

  /**
   * What to report now under that number, oldest first: all that is live. Where reports go unanswered for long, what
   * came later is held back until Redis answers, so that a report doesn't grow with the length of an outage.
   */
  takeForReport(report: number, nowMs: number): readonly HitCell[] {
    this.#endCell();
    this.expire(nowMs);
    const nodes = this.#nodes();
    const inFlight = nodes.filter((node) => node.report !== 0);
    const isTooMuch = this.#pending > 0 && inFlight.length >= MOST_HITS;
    this.#isHoldingBack = isTooMuch;
    this.#heldBackAccepted = 0;
    for (const node of nodes) {
      if (node.report !== 0) continue;
      if (isTooMuch) this.#heldBackAccepted += node.count - node.declined;
      else node.report = report;
    }
    if (isTooMuch) return inFlight;
    this.#pending = 0;
    return nodes;
  }

  /** Redis has counted what was in flight under that number and under earlier ones. */
  confirm(report: number): void {
    this.#keep((node) => node.report === 0 || node.report > report);
  }

  /** Drops what has expired, which matters to nobody any longer. */
  expire(nowMs: number): void {
    const goneMs = nowMs - this.#windowMs;
    if (this.#first !== undefined && this.#first.hitMs <= goneMs) this.#keep(({ hitMs }) => hitMs > goneMs);
    if (this.#count > 0 && this.#hitMs <= goneMs) this.#clearCell();
  }

  clear(): void {
    this.#clearCell();
    this.#first = undefined;
    this.#last = undefined;
    this.#pending = 0;
    this.#isHoldingBack = false;
    this.#heldBackAccepted = 0;
  }

  /** All hits, oldest first. */
  get hits(): readonly HitCell[] {
    const hits: HitCell[] = this.#nodes().map(({ report, hitMs, count, declined }) => ({
      report,
      hitMs,
      count,
      declined,
    }));
    if (this.#count > 0) hits.push({ report: 0, hitMs: this.#hitMs, count: this.#count, declined: this.#declined });
    return hits;
  }

  #nodes(): Node[] {
    const nodes: Node[] = [];
    for (let node = this.#first; node !== undefined; node = node.next) nodes.push(node);
    return nodes;
  }

  #beginCell(nowMs: number): void {
    this.#endCell();
    this.#cellEndMs = cellStartOf(nowMs, this.#bucketMs) + this.#bucketMs;
  }

  #endCell(): void {
    if (this.#count === 0) return;
    const hitMs = this.#hitMs;
    this.#append({ report: 0, hitMs, count: this.#count, declined: this.#declined, next: undefined });
    this.#clearCell();
    if (++this.#pending > MOST_HITS) this.#merge(hitMs);
  }

  #clearCell(): void {
    this.#count = 0;
    this.#declined = 0;
  }

  #append(node: Node): void {
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
  }

  /** Drops the ended hits that don't meet `condition`. */
  #keep(condition: (node: Node) => boolean): void {
    const kept = this.#nodes().filter(condition);
    this.#first = undefined;
    this.#last = undefined;
    this.#pending = 0;
    for (const node of kept) {
      node.next = undefined;
      this.#append(node);
      if (node.report === 0) this.#pending++;
    }
  }

  /** Makes one of each two neighbours that are pending: half as many are left, each as late as the later of the two. */
  #merge(nowMs: number): void {
    this.expire(nowMs);
    for (let node = this.#first; node !== undefined; node = node.next) {
      const { next } = node;
      if (node.report !== 0 || next === undefined || next.report !== 0) continue;
      node.hitMs = next.hitMs;
      node.count += next.count;
      node.declined += next.declined;
      node.next = next.next;
      if (next === this.#last) this.#last = node;
      this.#pending--;
    }
  }
}
