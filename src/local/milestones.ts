// Milestones along long lists of buckets, for absolute limits. A rejected call may fit only once many buckets have
// expired, and asks which one is the last of them. A milestone stands at a bucket and says how much the buckets before
// it count. So that last bucket is found by a bisection and a short walk.
//
// A list gets milestones when such a call first walks over SPAN buckets of it. Later calls set more of them along what
// was added since. So each bucket is passed once for that, and a call costs almost the same however many buckets there
// are, whatever calls before have asked for. To walk there from the head took 1.2 ms with 86 400 buckets.

import type { BucketList } from "./buckets.ts";
import type { Records } from "./records.ts";

/** How many buckets there are from one milestone to the next. */
export const SPAN = 32;

/** Sums are kept modulo this, so they are exact whatever a key has counted in its life. The list counts less. */
const TOP = 2 ** 53;

/** The milestones of one list, oldest first. */
class Way {
  /** The buckets that they stand at. */
  readonly nodes: number[] = [];
  /** What the buckets before each of them count, with all that was dropped. */
  readonly sums: number[] = [];
  /** What was dropped at the head since there are milestones. */
  dropped = 0;
}

/**
 * The milestones of all keys of a store; the methods are about the selected record. Always holds: they stand at buckets
 * of the list, from the oldest on; there are SPAN buckets from one to the next, and at most as many before the first.
 */
export class Milestones {
  readonly #records: Records;
  readonly #list: BucketList;
  readonly #ways = new Map<string, Way>();
  /** How much the buckets before the one that was found last count. */
  countBefore = 0;

  constructor(records: Records, list: BucketList) {
    this.#records = records;
    this.#list = list;
  }

  /** How many keys have milestones. */
  get size(): number {
    return this.#ways.size;
  }

  /**
   * The bucket with which the oldest buckets count `count` together, which is one of the list. Nothing may be declined.
   * Sets `countBefore`.
   */
  find(count: number): number {
    const list = this.#list;
    let way = this.#way;
    const from = way === undefined ? -1 : lastBefore(way, count);
    let node = list.head;
    let before = 0;
    if (way !== undefined && from >= 0) {
      node = way.nodes[from]!;
      before = countBefore(way, from);
    }
    let passed = 0;
    for (let its = list.count(node); before + its < count; its = list.count(node)) {
      before += its;
      node = list.next(node);
      if (++passed % SPAN > 0) continue;
      // No milestone is here yet: with one, the walk would have begun there.
      way ??= this.#begin();
      way.nodes.push(node);
      way.sums.push(sum(way.dropped, before));
    }
    this.countBefore = before;
    return node;
  }

  /** `amount` is about to be taken from the bucket `node`; if it is negative, to be added. */
  take(node: number, amount: number): void {
    const way = this.#way;
    if (way === undefined) return;
    // Only suppressed limits have other buckets corrected, and they need no milestones.
    if (node !== this.#list.head) {
      this.reset();
      return;
    }
    way.dropped = sum(way.dropped, amount);
    // No buckets are before a milestone at the oldest bucket, however much that bucket counts.
    if (way.nodes[0] === node) way.sums[0] = way.dropped;
  }

  /** The oldest bucket, `node`, is about to be dropped. */
  expire(node: number): void {
    const way = this.#way;
    if (way === undefined) return;
    this.take(node, this.#list.count(node));
    if (way.nodes[0] !== node) return;
    way.nodes.shift();
    way.sums.shift();
    if (way.nodes.length === 0) this.reset();
  }

  /** The last bucket of the list, `node`, is about to become the newest one. */
  returnTail(node: number): void {
    const way = this.#way;
    if (way?.nodes.at(-1) !== node) return;
    way.nodes.pop();
    way.sums.pop();
    if (way.nodes.length === 0) this.reset();
  }

  reset(): void {
    if (this.#ways.size > 0) this.#ways.delete(this.#key);
  }

  clear(): void {
    this.#ways.clear();
  }

  get #way(): Way | undefined {
    return this.#ways.size === 0 ? undefined : this.#ways.get(this.#key);
  }

  get #key(): string {
    return this.#records.keyOf(this.#records.selected);
  }

  #begin(): Way {
    const way = new Way();
    this.#ways.set(this.#key, way);
    return way;
  }
}

function countBefore({ sums, dropped }: Way, index: number): number {
  return difference(sums[index]!, dropped);
}

/** The last milestone before which less than `count` is counted; -1 without one. */
function lastBefore(way: Way, count: number): number {
  let [from, to] = [-1, way.nodes.length - 1];
  while (from < to) {
    const middle = Math.ceil((from + to) / 2);
    if (countBefore(way, middle) < count) from = middle;
    else to = middle - 1;
  }
  return from;
}

function sum(a: number, b: number): number {
  return a < TOP - b ? a + b : a - (TOP - b);
}

function difference(a: number, b: number): number {
  return a >= b ? a - b : a + (TOP - b);
}
