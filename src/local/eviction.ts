// Which key a full store forgets for a new one: the CLOCK algorithm, also called second chance. A hand goes round the
// table of records. What it passes is forgotten if it has expired; live keys get a second chance, until the hand comes
// again.

import type { Watch } from "../core/watch.ts";
import type { WindowStore } from "./window-store.ts";

/** How many records the hand passes for one new key. */
const LOOKS = 128;

/** What eviction needs of the store that it is for. */
type Evictable = Pick<WindowStore, "size" | "lookAtRecord" | "observed" | "useOfCapacity" | "remove" | "vacate">;

/**
 * Always holds: the store has at most `maxKeys` and the spare keys; a key at its limit is forgotten only when all are
 * at their limits, and then only in a spare place, or a flood of fresh keys would free whoever is limited.
 */
export class Eviction {
  readonly #maxKeys: number;
  readonly #watch: Pick<Watch, "noteEviction">;
  /**
   * How many keys there may be beyond `maxKeys`: enough for every record to be looked at twice while they are taken.
   */
  readonly #spareKeys: number;
  /** The record that is looked at next. */
  #hand = 0;
  /** The spare record that was given to a new key last, when all were at their limits. */
  #turn = 0;

  constructor(maxKeys: number, watch: Pick<Watch, "noteEviction">) {
    this.#maxKeys = maxKeys;
    this.#watch = watch;
    this.#spareKeys = 2 * Math.ceil((maxKeys / LOOKS) * 1.1);
  }

  /**
   * Forgets some keys of a store that is full. Returns a vacated record for the new key, or -1 when one can be added.
   */
  makeRoom(store: Evictable): number {
    if (store.size < this.#maxKeys) return -1;
    this.#goRound(store);
    if (store.size < this.#maxKeys + this.#spareKeys) return -1;
    // All are at their limits: new keys take turns in the spare places, and nobody else is forgotten.
    this.#turn = this.#turn + 1 < store.size ? Math.max(this.#turn + 1, this.#maxKeys) : this.#maxKeys;
    store.vacate(this.#turn);
    this.#watch.noteEviction();
    return this.#turn;
  }

  /**
   * Passes the next records and forgets the expired ones. New keys take spare places meanwhile. When half of the spare
   * places are taken, all records have been passed once, and live keys go too: those with at least half of their
   * capacity unused, until the spare places are free again. And when all places are taken, the least used key of those
   * passed.
   */
  #goRound(store: Evictable): void {
    const crowded = store.size >= this.#maxKeys + this.#spareKeys / 2;
    let leastUse = 1;
    let leastUsed = -1;
    for (let looks = LOOKS; looks > 0 && store.size > 0; looks--) {
      if (this.#hand >= store.size) this.#hand = 0;
      store.lookAtRecord(this.#hand);
      const use = store.useOfCapacity;
      if (store.observed === 0 || (crowded && use <= 0.5 && store.size > this.#maxKeys)) {
        if (store.observed > 0) this.#watch.noteEviction();
        store.remove();
        // The last record is in its place now.
        if (leastUsed === store.size) leastUsed = this.#hand;
        continue;
      }
      if (use < leastUse) {
        leastUse = use;
        leastUsed = this.#hand;
      }
      this.#hand++;
    }
    if (store.size < this.#maxKeys + this.#spareKeys || leastUsed === -1) return;
    store.lookAtRecord(leastUsed);
    store.remove();
    this.#watch.noteEviction();
  }
}
