// A finger into the list of buckets, with the sum of what the buckets up to it count. A fresh suppression factor asks
// how much the buckets count that were hit before the recent span. They leave that span in the order of the list. So
// the finger goes on from where the question before has left it, and passes each bucket once.

import { recentPerSecond, recentSpanMs } from "../strategy/suppressed.ts";
import type { BucketList } from "./buckets.ts";
import { NONE } from "./node-pool.ts";
import { FINGER, FINGER_COUNT, type Records } from "./records.ts";

/**
 * The finger of the selected record. Always holds: FINGER_COUNT is the sum of the counts of the buckets from the head
 * of the list to FINGER; without one (NONE) it is 0.
 */
export class Finger {
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

  /** The rate of the live buckets that were hit within the recent span, of all that is `observed`. */
  recentPerSecond(nowMs: number, observed: number): number {
    const { words, at } = this.#records;
    const hitMs = this.#pointBeforeRecent(nowMs);
    if (hitMs + this.#spanMs <= nowMs) return 0;
    return recentPerSecond(observed - words[at + FINGER_COUNT]!, hitMs, this.#bucketMs, this.#spanMs, nowMs);
  }

  /** `amount` is about to be taken from the bucket `node`. */
  take(node: number, amount: number, nowMs: number): void {
    // Now exactly the buckets that were hit before the recent span are up to the finger.
    this.#pointBeforeRecent(nowMs);
    const { words, at } = this.#records;
    if (this.#list.hitMsOf(node) + this.#spanMs <= nowMs) words[at + FINGER_COUNT]! -= amount;
  }

  /** The oldest bucket, `node`, is about to be dropped. */
  expire(node: number): void {
    const records = this.#records;
    const finger = records.half(FINGER);
    if (finger === NONE) return;
    records.words[records.at + FINGER_COUNT]! -= this.#list.count(node);
    if (finger === node) records.setHalf(FINGER, NONE);
  }

  /** The last bucket of the list, `node`, is about to become the newest one. */
  returnTail(node: number): void {
    const records = this.#records;
    if (records.half(FINGER) !== node) return;
    records.words[records.at + FINGER_COUNT]! -= this.#list.count(node);
    records.setHalf(FINGER, this.#list.previous(node));
  }

  #next(node: number): number {
    return node === NONE ? this.#list.head : this.#list.next(node);
  }

  reset(): void {
    this.#records.setHalf(FINGER, NONE);
    this.#records.words[this.#records.at + FINGER_COUNT] = 0;
  }

  /** Has the finger be at the last bucket that was hit before the recent span. Returns when the next one was hit. */
  #pointBeforeRecent(nowMs: number): number {
    const records = this.#records;
    const list = this.#list;
    const { words, at } = records;
    let before = records.half(FINGER);
    while (before !== NONE && list.hitMsOf(before) + this.#spanMs > nowMs) {
      words[at + FINGER_COUNT]! -= list.count(before);
      before = list.previous(before);
    }
    let node = this.#next(before);
    let hitMs = before === NONE ? list.oldestMs : list.hitMsAfter(before);
    while (node !== NONE && hitMs + this.#spanMs <= nowMs) {
      words[at + FINGER_COUNT]! += list.count(node);
      before = node;
      hitMs = list.hitMsAfter(before);
      node = list.next(before);
    }
    records.setHalf(FINGER, before);
    return hitMs;
  }
}
