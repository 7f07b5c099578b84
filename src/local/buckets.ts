// The list nodes of the buckets that are older than the newest one.
//
//   byte  0             8                 16         24     28
//        +-------------+-----------------+----------+------+----------+
//        | hit ms of   | accepted, or    | declined | next | previous |
//        | the next    | the accepting   |          |      |          |
//        |             | node before     |          |      |          |
//        +-------------+-----------------+----------+------+----------+
//
// A node has the hit time of the bucket after it, not its own: the record has the oldest bucket's, so the time at which
// the next bucket becomes the oldest is known without touching that bucket's node.
//
// A refund takes what was accepted last, and suppression can put a day of buckets on top of it in which nothing was
// accepted. So a bucket in which nothing was accepted leads to the nearest older one in which something was. The word
// that would count what was accepted is free for that: it is negative then.

import { NONE, type NodePool } from "./node-pool.ts";
import { HEAD, NEWEST_MS, OLDEST_MS, type Records, TAIL } from "./records.ts";

const NEXT_HIT_MS = 0;
/** What was accepted; negative where nothing was. */
export const ACCEPTED = 1;
const DECLINED = 2;
// The last word has two 32-bit numbers of nodes, at these places of the same memory.
const NEXT = 6;
const PREVIOUS = 7;

/** What ACCEPTED has in a node that leads to `node`, and the other way round. NONE becomes -1, and 0 becomes -2. */
const leadTo = (node: number) => -2 - node;

/**
 * The list of the selected record. Always holds: without nodes head and tail are both NONE; from head each node leads
 * to the next by NEXT and the tail to NONE, and from the tail to the one before by PREVIOUS up to the head; hit times
 * grow along the list and up to the newest bucket. A bucket in the middle that has lost all its counts stays in the
 * list, as if hit at -Infinity, until it is the head and expires, or the tail; the head is never such a bucket.
 *
 * Where any node but the head has something accepted, `acceptingFrom(tail)` leads to the last such node. Else it may be
 * any number, because the node that it led to has been dropped.
 */
export class BucketList {
  readonly #records: Records;
  readonly #nodes: NodePool;

  constructor(records: Records, nodes: NodePool) {
    this.#records = records;
    this.#nodes = nodes;
  }

  /** The oldest bucket; NONE when there is only the newest bucket, which lies in the record. */
  get head(): number {
    return this.#records.half(HEAD);
  }

  /** The bucket before the newest; NONE when there is only the newest bucket. */
  get tail(): number {
    return this.#records.half(TAIL);
  }

  /**
   * The hit time of the oldest bucket. While there is only the newest bucket its hits do not keep OLDEST_MS up to date.
   */
  get oldestMs(): number {
    const { words, at, halves } = this.#records;
    return words[at + (halves[at * 2 + HEAD] === NONE ? NEWEST_MS : OLDEST_MS)]!;
  }

  next(node: number): number {
    return this.#nodes.readHalf(node, NEXT);
  }

  /** The head's PREVIOUS is not kept up to date, so that to drop a node touches no other one's memory. */
  previous(node: number): number {
    return node === this.head ? NONE : this.#nodes.readHalf(node, PREVIOUS);
  }

  accepted(node: number): number {
    const accepted = this.#nodes.read(node, ACCEPTED);
    return accepted > 0 ? accepted : 0;
  }

  declined(node: number): number {
    return this.#nodes.read(node, DECLINED);
  }

  count(node: number): number {
    return this.accepted(node) + this.declined(node);
  }

  /** The hit time of the bucket after `node`: another one of the list, or the newest. */
  hitMsAfter(node: number): number {
    const records = this.#records;
    if (node === records.half(TAIL)) return records.words[records.at + NEWEST_MS]!;
    return this.#nodes.read(node, NEXT_HIT_MS);
  }

  hitMsOf(node: number): number {
    const previous = this.previous(node);
    return previous === NONE ? this.oldestMs : this.#nodes.read(previous, NEXT_HIT_MS);
  }

  /** The last bucket up to `node` in which something was accepted, `node` included. See the class for its limits. */
  acceptingFrom(node: number): number {
    if (node === NONE) return NONE;
    const accepted = this.#nodes.read(node, ACCEPTED);
    return accepted >= 0 ? node : leadTo(accepted);
  }

  /** Has `node`, in which nothing is accepted, lead to `accepting`. */
  lead(node: number, accepting: number): void {
    this.#nodes.write(node, ACCEPTED, leadTo(accepting));
  }

  /** Appends a bucket that was hit at `hitMs`. */
  append(hitMs: number, accepted: number, declined: number): void {
    const records = this.#records;
    const nodes = this.#nodes;
    const node = nodes.take();
    const tail = records.half(TAIL);
    const words = nodes.chunkOf(node);
    const halves = nodes.halfChunkOf(node);
    const place = nodes.placeOf(node);
    words[place + ACCEPTED] = accepted > 0 ? accepted : leadTo(this.acceptingFrom(tail));
    words[place + DECLINED] = declined;
    halves[place * 2 + NEXT] = NONE;
    halves[place * 2 + PREVIOUS] = tail;
    if (tail === NONE) {
      records.setHalf(HEAD, node);
    } else {
      nodes.writeHalf(tail, NEXT, node);
      nodes.write(tail, NEXT_HIT_MS, hitMs);
    }
    records.setHalf(TAIL, node);
  }

  /** What a node counts from now on. */
  setCounts(node: number, accepted: number, declined: number): void {
    const word = accepted > 0 ? accepted : leadTo(this.acceptingFrom(this.previous(node)));
    this.#nodes.write(node, ACCEPTED, word);
    this.#nodes.write(node, DECLINED, declined);
  }

  /** Has a node that counts nothing, and is not the head, be gone once it is. */
  expireWhenHead(node: number): void {
    this.#nodes.write(this.previous(node), NEXT_HIT_MS, Number.NEGATIVE_INFINITY);
  }

  dropHead(): void {
    const records = this.#records;
    const head = records.half(HEAD);
    const next = this.next(head);
    this.#nodes.release(head);
    records.setHalf(HEAD, next);
    if (next === NONE) records.setHalf(TAIL, NONE);
  }

  dropTail(): void {
    const records = this.#records;
    const tail = records.half(TAIL);
    const previous = this.previous(tail);
    if (previous === NONE) {
      records.setHalf(HEAD, NONE);
    } else {
      this.#nodes.writeHalf(previous, NEXT, NONE);
      // Nothing was accepted in either, so both lead to the same node. What the tail leads to is the more up to date.
      if (this.accepted(tail) === 0 && this.accepted(previous) === 0) this.lead(previous, this.acceptingFrom(tail));
    }
    this.#nodes.release(tail);
    records.setHalf(TAIL, previous);
  }
}
