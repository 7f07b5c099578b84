// What `adjust` and `setIf` do to the buckets of the selected record. They take and give at the ends of the list, so a
// correction costs as much as the buckets that it empties, however many there are.

import { shrunk } from "../strategy/corrections.ts";
import type { BucketList } from "./buckets.ts";
import type { Finger } from "./finger.ts";
import type { Milestones } from "./milestones.ts";
import { NONE } from "./node-pool.ts";
import type { Overload } from "./overload.ts";
import { NEWEST_ACCEPTED, NEWEST_MS, OLDEST_MS, type Records, USED } from "./records.ts";

/**
 * Corrects the counts of the selected record. After each method the newest bucket counts something, unless nothing is
 * left at all.
 */
export class Corrections {
  readonly #records: Records;
  readonly #list: BucketList;
  readonly #overload: Overload;
  readonly #finger: Finger;
  readonly #milestones: Milestones;

  constructor(records: Records, list: BucketList, overload: Overload, finger: Finger, milestones: Milestones) {
    this.#records = records;
    this.#list = list;
    this.#overload = overload;
    this.#finger = finger;
    this.#milestones = milestones;
  }

  /**
   * Takes `amount` from the newest buckets back: first what was accepted, for that is what a caller gives back, and
   * only then what was declined.
   */
  refund(amount: number, nowMs: number): void {
    const overload = this.#overload;
    let left = this.#refundNewest(amount);
    while (this.#newestCount === 0 && this.#resumeTail()) left = this.#refundNewest(left);
    if (left > 0) left = this.#refundBelow(left, nowMs);
    // Whatever is left now was declined.
    while (left > 0) {
      const taken = Math.min(left, overload.newestDeclined);
      overload.takeFromNewest(taken);
      left -= taken;
      if (left > 0 && !this.#resumeTail()) return;
    }
    while (this.#newestCount === 0 && this.#resumeTail());
  }

  growNewest(amount: number): void {
    const { words, at } = this.#records;
    words[at + NEWEST_ACCEPTED]! += amount;
    words[at + USED]! += amount;
  }

  growOldest(amount: number, nowMs: number): void {
    const list = this.#list;
    const { head } = list;
    if (head === NONE) {
      this.growNewest(amount);
      return;
    }
    this.#setCounts(head, list.accepted(head) + amount, list.declined(head), nowMs);
  }

  /** Takes from the newest buckets until the total is `count`, which is more than 0. */
  shrinkNewest(count: number): void {
    while (this.#observed - this.#newestCount >= count) {
      this.#setNewest(0, 0);
      this.#resumeTail();
    }
    const { newestDeclined } = this.#overload;
    const kept = this.#newestCount - (this.#observed - count);
    const declined = shrunk(newestDeclined, this.#newestCount, kept);
    this.#setNewest(kept - declined, declined);
  }

  /** Takes from the oldest buckets until the total is `count`, which is more than 0. */
  shrinkOldest(count: number, nowMs: number): void {
    const list = this.#list;
    let { head } = list;
    while (head !== NONE && this.#observed - list.count(head) >= count) {
      this.#setCounts(head, 0, 0, nowMs);
      head = list.head;
    }
    if (head === NONE) {
      this.shrinkNewest(count);
      return;
    }
    const kept = list.count(head) - (this.#observed - count);
    const declined = shrunk(list.declined(head), list.count(head), kept);
    this.#setCounts(head, kept - declined, declined, nowMs);
  }

  get #observed(): number {
    return this.#used + this.#overload.declined;
  }

  get #newestCount(): number {
    return this.#records.words[this.#records.at + NEWEST_ACCEPTED]! + this.#overload.newestDeclined;
  }

  /** Takes up to `amount` of what is accepted in the newest bucket. Returns how much of `amount` is left. */
  #refundNewest(amount: number): number {
    const taken = Math.min(amount, this.#records.words[this.#records.at + NEWEST_ACCEPTED]!);
    this.growNewest(-taken);
    return amount - taken;
  }

  /** The same for the buckets of the list, from the tail on, which stay where they are. The newest has none left. */
  #refundBelow(amount: number, nowMs: number): number {
    const list = this.#list;
    const { head, tail } = list;
    if (head === NONE) return amount;
    let left = amount;
    let node = tail;
    while (left > 0 && this.#used > list.accepted(head)) {
      node = list.acceptingFrom(node);
      left = this.#refundNode(node, left, nowMs);
    }
    // The next refund begins where this one ended.
    if (list.accepted(tail) === 0) list.lead(tail, list.acceptingFrom(node));
    return left === 0 ? 0 : this.#refundNode(head, left, nowMs);
  }

  #refundNode(node: number, amount: number, nowMs: number): number {
    const list = this.#list;
    const accepted = list.accepted(node);
    const taken = Math.min(amount, accepted);
    this.#setCounts(node, accepted - taken, list.declined(node), nowMs);
    return amount - taken;
  }

  get #used(): number {
    return this.#records.words[this.#records.at + USED]!;
  }

  #setNewest(accepted: number, declined: number): void {
    const { words, at } = this.#records;
    words[at + USED]! += accepted - words[at + NEWEST_ACCEPTED]!;
    words[at + NEWEST_ACCEPTED] = accepted;
    this.#overload.takeFromNewest(this.#overload.newestDeclined - declined);
  }

  #setCounts(node: number, accepted: number, declined: number, nowMs: number): void {
    const list = this.#list;
    const taken = list.count(node) - accepted - declined;
    this.#finger.take(node, taken, nowMs);
    this.#milestones.take(node, taken);
    this.#records.words[this.#records.at + USED]! += accepted - list.accepted(node);
    this.#overload.expire(list.declined(node) - declined);
    list.setCounts(node, accepted, declined);
    if (accepted + declined > 0) return;
    if (node === list.head) this.#dropEmptyHeads();
    else list.expireWhenHead(node);
  }

  #dropEmptyHeads(): void {
    const list = this.#list;
    const { words, at } = this.#records;
    for (let { head } = list; head !== NONE && list.count(head) === 0; head = list.head) {
      words[at + OLDEST_MS] = list.hitMsAfter(head);
      this.#finger.expire(head);
      this.#milestones.expire(head);
      list.dropHead();
    }
  }

  /** Makes the tail the newest bucket, which has nothing left. Returns false where there is no other bucket. */
  #resumeTail(): boolean {
    const list = this.#list;
    const { tail } = list;
    if (tail === NONE) return false;
    const { words, at } = this.#records;
    this.#finger.returnTail(tail);
    this.#milestones.returnTail(tail);
    words[at + NEWEST_MS] = list.hitMsOf(tail);
    words[at + NEWEST_ACCEPTED] = list.accepted(tail);
    this.#overload.resumeBucket(list.declined(tail));
    list.dropTail();
    return true;
  }
}
