// The observed count of the recent span, which a fresh suppression factor needs.
//
// Buckets leave the recent span in the order of the list, and their counts are summed up as they leave. The recent
// count is then what is observed less that sum. So a hit has nothing to do for it, and a look at it costs the same
// however many buckets the span has, because each bucket leaves once.

import { recentPerSecond, recentSpanMs } from "../strategy/suppressed.ts";
import type { BucketList } from "./buckets.ts";
import { NONE } from "./node-pool.ts";
import { LAST_LEFT, LEFT_COUNT, type Records } from "./records.ts";

/**
 * The recent span of the selected record. Always holds: LEFT_COUNT is the sum of the counts of the buckets from the
 * head of the list to LAST_LEFT; without one (NONE) it is 0. Buckets after LAST_LEFT may have left too, since the last
 * look.
 */
export class RecentSpan {
  readonly #records: Records;
  readonly #list: BucketList;
  readonly #spanMs: number;
  readonly #bucketMs: number;

  constructor(records: Records, list: BucketList, windowMs: number, bucketMs: number) {
    this.#records = records;
    this.#list = list;
    this.#spanMs = recentSpanMs(windowMs);
    this.#bucketMs = bucketMs;
  }

  /** The rate of the live buckets that were hit within the span, of all that is `observed`. */
  perSecond(nowMs: number, observed: number): number {
    const { words, at } = this.#records;
    const hitMs = this.#leave(nowMs);
    if (hitMs + this.#spanMs <= nowMs) return 0;
    return recentPerSecond(observed - words[at + LEFT_COUNT]!, hitMs, this.#bucketMs, this.#spanMs, nowMs);
  }

  /** `amount` is about to be taken from the bucket `node`. */
  take(node: number, amount: number, nowMs: number): void {
    // Now exactly the buckets that were hit before the span have left.
    this.#leave(nowMs);
    const { words, at } = this.#records;
    if (this.#list.hitMsOf(node) + this.#spanMs <= nowMs) words[at + LEFT_COUNT]! -= amount;
  }

  /** The oldest bucket, `node`, is about to be dropped. */
  expire(node: number): void {
    const records = this.#records;
    const lastLeft = records.half(LAST_LEFT);
    if (lastLeft === NONE) return;
    records.words[records.at + LEFT_COUNT]! -= this.#list.count(node);
    if (lastLeft === node) records.setHalf(LAST_LEFT, NONE);
  }

  /** The last bucket of the list, `node`, is about to become the newest one, which never leaves. */
  returnTail(node: number): void {
    const records = this.#records;
    if (records.half(LAST_LEFT) !== node) return;
    records.words[records.at + LEFT_COUNT]! -= this.#list.count(node);
    records.setHalf(LAST_LEFT, this.#list.previous(node));
  }

  reset(): void {
    this.#records.setHalf(LAST_LEFT, NONE);
    this.#records.words[this.#records.at + LEFT_COUNT] = 0;
  }

  /** Lets the buckets leave that were hit before the span. Returns when the first of the others was hit. */
  #leave(nowMs: number): number {
    const records = this.#records;
    const list = this.#list;
    const { words, at } = records;
    let left = records.half(LAST_LEFT);
    let node = left === NONE ? list.head : list.next(left);
    let hitMs = left === NONE ? list.oldestMs : list.hitMsAfter(left);
    while (node !== NONE && hitMs + this.#spanMs <= nowMs) {
      words[at + LEFT_COUNT]! += list.count(node);
      left = node;
      hitMs = list.hitMsAfter(left);
      node = list.next(left);
    }
    records.setHalf(LAST_LEFT, left);
    return hitMs;
  }
}
