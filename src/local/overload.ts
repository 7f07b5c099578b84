// What only a key under suppression needs, in a node of its own: declined counts and the factor that was computed last.
//
//   byte  0        8             16         24
//        +--------+-------------+----------+-------------+
//        | factor | computed at | declined | declined in |
//        |        | ms          | in all   | the newest  |
//        +--------+-------------+----------+-------------+

import { NONE, type NodePool } from "./node-pool.ts";
import { OVERLOAD, type Records } from "./records.ts";

export const FACTOR = 0;
/** -Infinity for no factor. */
export const FACTOR_MS = 1;
export const DECLINED = 2;
export const NEWEST_DECLINED = 3;

/**
 * The overload node of the selected record. Always holds: a record without the node has nothing declined and no factor;
 * `declined` is the sum over the live buckets, `newestDeclined` the newest bucket's part.
 */
export class Overload {
  readonly #records: Records;
  readonly #nodes: NodePool;

  constructor(records: Records, nodes: NodePool) {
    this.#records = records;
    this.#nodes = nodes;
  }

  get declined(): number {
    const node = this.#records.half(OVERLOAD);
    return node === NONE ? 0 : this.#nodes.read(node, DECLINED);
  }

  get newestDeclined(): number {
    const node = this.#records.half(OVERLOAD);
    return node === NONE ? 0 : this.#nodes.read(node, NEWEST_DECLINED);
  }

  /** Adds to what is declined in the newest bucket. */
  decline(count: number): void {
    const node = this.#ensureNode();
    const words = this.#nodes.chunkOf(node);
    const place = this.#nodes.placeOf(node);
    words[place + DECLINED]! += count;
    words[place + NEWEST_DECLINED]! += count;
  }

  /** So much of what was declined in another bucket than the newest is gone. */
  expire(declined: number): void {
    if (declined === 0) return;
    const node = this.#records.half(OVERLOAD);
    this.#nodes.write(node, DECLINED, this.#nodes.read(node, DECLINED) - declined);
  }

  /** The newest bucket is older than a new one from now on. */
  startBucket(): void {
    const node = this.#records.half(OVERLOAD);
    if (node !== NONE) this.#nodes.write(node, NEWEST_DECLINED, 0);
  }

  /** A bucket with so much declined is the newest again. */
  resumeBucket(declined: number): void {
    const node = this.#records.half(OVERLOAD);
    if (node !== NONE) this.#nodes.write(node, NEWEST_DECLINED, declined);
  }

  /** Takes `count` from what is declined in the newest bucket. */
  takeFromNewest(count: number): void {
    if (count > 0) this.decline(-count);
  }

  /** The factor that was computed less than `maxAgeMs` ago, or -1. */
  keptFactor(nowMs: number, maxAgeMs: number): number {
    const node = this.#records.half(OVERLOAD);
    if (node === NONE) return -1;
    const words = this.#nodes.chunkOf(node);
    const place = this.#nodes.placeOf(node);
    return nowMs - words[place + FACTOR_MS]! < maxAgeMs ? words[place + FACTOR]! : -1;
  }

  keepFactor(nowMs: number, factor: number): void {
    const node = this.#ensureNode();
    this.#nodes.write(node, FACTOR, factor);
    this.#nodes.write(node, FACTOR_MS, nowMs);
  }

  forgetFactor(): void {
    const node = this.#records.half(OVERLOAD);
    if (node !== NONE) this.#nodes.write(node, FACTOR_MS, Number.NEGATIVE_INFINITY);
  }

  /** Nothing is declined and no factor is kept any longer. */
  release(): void {
    const node = this.#records.half(OVERLOAD);
    if (node === NONE) return;
    this.#nodes.release(node);
    this.#records.setHalf(OVERLOAD, NONE);
  }

  #ensureNode(): number {
    const node = this.#records.half(OVERLOAD);
    return node === NONE ? this.makeNode() : node;
  }

  /** Gives the record, which has none, a node with nothing declined and no factor. */
  makeNode(): number {
    const nodes = this.#nodes;
    const node = nodes.take();
    nodes.write(node, FACTOR_MS, Number.NEGATIVE_INFINITY);
    nodes.write(node, DECLINED, 0);
    nodes.write(node, NEWEST_DECLINED, 0);
    this.#records.setHalf(OVERLOAD, node);
    return node;
  }
}
