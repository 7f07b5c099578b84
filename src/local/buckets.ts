// The list nodes of the buckets that are older than the newest one.
//
//   byte  0             8          16         24
//        +-------------+----------+----------+------+
//        | hit ms of   | accepted | declined | next |
//        | the next    |          |          |      |
//        +-------------+----------+----------+------+
//
// A node has the hit time of the bucket after it, not its own: the record has the oldest bucket's, so the time at which
// the next bucket becomes the oldest is known without touching that bucket's node.

import { NONE, type NodePool } from "./node-pool.ts";
import { HEAD, NEWEST_MS, OLDEST_MS, type Records, TAIL } from "./records.ts";

const NEXT_HIT_MS = 0;
const ACCEPTED = 1;
const DECLINED = 2;
const NEXT = 3;

/**
 * The list of the selected record. Always holds: without nodes head and tail are both NONE; from head each node leads
 * to the next by NEXT and the tail to NONE; hit times grow along the list and up to the newest bucket.
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

  /**
   * The hit time of the oldest bucket. While there is only the newest bucket its hits do not keep OLDEST_MS up to date.
   */
  get oldestMs(): number {
    const { words, at } = this.#records;
    return words[at + (this.head === NONE ? NEWEST_MS : OLDEST_MS)]!;
  }

  next(node: number): number {
    return this.#nodes.read(node, NEXT);
  }

  accepted(node: number): number {
    return this.#nodes.read(node, ACCEPTED);
  }

  declined(node: number): number {
    return this.#nodes.read(node, DECLINED);
  }

  count(node: number): number {
    return this.#nodes.read(node, ACCEPTED) + this.#nodes.read(node, DECLINED);
  }

  /** The hit time of the bucket after `node`: another one of the list, or the newest. */
  hitMsAfter(node: number): number {
    const records = this.#records;
    if (node === records.half(TAIL)) return records.words[records.at + NEWEST_MS]!;
    return this.#nodes.read(node, NEXT_HIT_MS);
  }

  /** Appends a bucket that was hit at `hitMs`. */
  append(hitMs: number, accepted: number, declined: number): void {
    const records = this.#records;
    const nodes = this.#nodes;
    const node = nodes.take();
    nodes.write(node, ACCEPTED, accepted);
    nodes.write(node, DECLINED, declined);
    nodes.write(node, NEXT, NONE);
    const tail = records.half(TAIL);
    if (tail === NONE) {
      records.setHalf(HEAD, node);
    } else {
      nodes.write(tail, NEXT, node);
      nodes.write(tail, NEXT_HIT_MS, hitMs);
    }
    records.setHalf(TAIL, node);
  }

  dropHead(): void {
    const records = this.#records;
    const head = records.half(HEAD);
    const next = this.#nodes.read(head, NEXT);
    this.#nodes.release(head);
    records.setHalf(HEAD, next);
    if (next === NONE) records.setHalf(TAIL, NONE);
  }
}
