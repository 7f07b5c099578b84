// One index for several stores whose limits are asked together, mostly for the same keys.

import type { Ask } from "../core/family.ts";
import { KeyIndex, MOST_KEYS } from "./key-index.ts";
import { NONE } from "./node-pool.ts";
import type { Records } from "./records.ts";
import { Table } from "./table.ts";

/** What a store needs of its index: the number of each key's record. */
export type RecordIndex = Pick<KeyIndex, "get" | "set" | "delete" | "clear">;

/** A row of more would waste memory where each limit has keys of its own. */
const MOST_STORES = 16;

/** A 32-bit integer holds no higher number, and wraps those that are too high or too low. */
const MOST_SURE_TAKES = 2 ** 31 - 1;

/**
 * What a free row has in place of its first record: the next free row, as a number that no record has. NONE becomes -1
 * and 0 becomes -2, and the other way round.
 */
const leadTo = (row: number) => -2 - row;

/**
 * Each key has one row, with the number of its record in each store. So a take looks its key up once for all limits,
 * and there is one table of keys. With 100 k keys a take of three limits takes a sixth less time, and a key takes 324
 * instead of 357 bytes.
 *
 * A row also has how many takes are sure to be admitted, and until when. Only takes of one list of asks, `#asks`, can
 * be sure. Until then each of these limits has room for them, nothing that the limit has counted expires, its newest
 * bucket stays the newest, and the key isn't blocked and keeps its rate. So a sure take has nothing to look at, and
 * just counts. On a hot key that saves it a quarter of its time.
 *
 * Always holds: there is a row for each key that any store has. All other rows are free, and no store has a record in
 * them. `#key` is the key of the selected row. Where that row is free, or none is selected, `#key` is the empty text,
 * which no store has as a key. After anything but a take has looked a key up, or has changed the number of one of its
 * records, the key has no sure takes.
 */
export class SharedIndex {
  readonly #rowOf = new KeyIndex();
  readonly #rows: Table;
  /**
   * The free row that the next new key gets; NONE if there is none. To move the last row into each gap would leave no
   * row free. But a sweep would take twice as long where each store has keys of its own.
   */
  #firstFree = NONE;
  #freeRows = 0;
  /** The records of each store. */
  readonly #stores: Records[] = [];
  /** As the caller has it, so that to compare it with the next one takes no time; it is one text for each index. */
  #key = "";
  /** Where a row has how many takes are sure: the number of a 32-bit integer. And until when: the number of a word. */
  readonly #sureTakesHalf: number;
  readonly #sureUntilWord: number;
  /**
   * The asks that sure takes are for: the first list that comes twice in a row. A `createLimits` has one list for all
   * calls that say nothing but a key, and a call with counts or limits of its own has a new list.
   */
  #asks: readonly Ask[] | undefined;
  #lastAsks: readonly Ask[] | undefined;

  /** @param stores how many stores may join */
  constructor(stores: number) {
    // A word has two integers.
    this.#sureTakesHalf = stores;
    this.#sureUntilWord = (stores + 2) >>> 1;
    this.#rows = new Table(this.#sureUntilWord + 1);
  }

  /** Whether so many stores may share an index, with so many keys each. */
  static suits(stores: number, maxKeys: number): boolean {
    return stores > 1 && stores <= MOST_STORES && stores * maxKeys <= MOST_KEYS;
  }

  /** How many keys there are. */
  get size(): number {
    return this.#rows.size - this.#freeRows;
  }

  /** Has one more store share the index. */
  join(records: Records): Column {
    return new Column(this, this.#stores.push(records) - 1);
  }

  /** Selects the row of `key`, if there is one. */
  find(key: string): boolean {
    if (key === this.#key) return key !== "";
    const row = this.#rowOf.get(key);
    if (row === undefined) return false;
    this.#select(row, key);
    return true;
  }

  /** The number that the record of the selected key has in a store; less than 0 where there is no record. */
  recordIn(store: number): number {
    return this.#rows.half(store) ?? NONE;
  }

  /** Notes that these asks were taken. Returns whether sure takes are for them. */
  noteAsks(asks: readonly Ask[]): boolean {
    if (asks === this.#lastAsks) this.#asks ??= asks;
    this.#lastAsks = asks;
    return asks === this.#asks;
  }

  /** So many takes of `#asks` are sure for the selected key, until that time. */
  noteSureTakes(takes: number, untilMs: number): void {
    const { words, at } = this.#rows;
    words[at + this.#sureUntilWord] = untilMs;
    this.#rows.setHalf(this.#sureTakesHalf, Math.max(0, Math.min(takes, MOST_SURE_TAKES)));
  }

  /** No take of the selected key is sure any longer. */
  forgetSureTakes(): void {
    this.#rows.setHalf(this.#sureTakesHalf, 0);
  }

  /** Uses up one sure take of the selected key. Returns whether there was one for these asks. */
  useSureTake(asks: readonly Ask[], nowMs: number): boolean {
    const { words, halves, at } = this.#rows;
    const left = halves[at * 2 + this.#sureTakesHalf]!;
    const isSure = asks === this.#asks && left > 0 && nowMs < words[at + this.#sureUntilWord]!;
    if (isSure) halves[at * 2 + this.#sureTakesHalf] = left - 1;
    return isSure;
  }

  /** The number of the record that a store has for `key`. Whoever asks may change that record. */
  get(store: number, key: string): number | undefined {
    const record = this.find(key) ? this.recordIn(store) : NONE;
    if (record < 0) return undefined;
    this.forgetSureTakes();
    return record;
  }

  set(store: number, key: string, record: number): void {
    if (!this.find(key)) this.#add(key);
    this.#setRecord(store, record);
  }

  /** Forgets the record that a store has for `key`. */
  delete(store: number, key: string): void {
    this.find(key);
    this.#setRecord(store, NONE);
    if (!this.#hasRecord) this.#remove();
  }

  /** Forgets all records of a store, which has them still. */
  clear(store: number): void {
    const records = this.#stores[store]!;
    if (records.size === 0) return;
    if (this.#stores.every((other) => other === records || other.size === 0)) {
      this.#forgetAll();
      return;
    }
    for (let row = 0; row < this.#rows.size; row++) {
      this.#rows.select(row);
      const record = this.recordIn(store);
      if (record < 0) continue;
      this.#key = records.keyOf(record);
      this.#setRecord(store, NONE);
      if (!this.#hasRecord) this.#remove();
    }
    this.#nameSelected();
  }

  /** Whether any store has a record of the selected key. */
  get #hasRecord(): boolean {
    for (let store = 0; store < this.#stores.length; store++) if (this.recordIn(store) >= 0) return true;
    return false;
  }

  #setRecord(store: number, record: number): void {
    this.#rows.setHalf(store, record);
    this.forgetSureTakes();
  }

  #select(row: number, key: string): void {
    this.#rows.select(row);
    this.#key = key;
  }

  /** Adds and selects the row of a key, in which no store has a record yet. */
  #add(key: string): void {
    const row = this.#firstFree === NONE ? this.#rows.add() : this.#firstFree;
    this.#rowOf.set(key, row);
    this.#select(row, key);
    if (row === this.#firstFree) {
      this.#firstFree = leadTo(this.#rows.half(0));
      this.#freeRows--;
    }
    for (const store of this.#stores.keys()) this.#setRecord(store, NONE);
  }

  /** Frees the selected row, in which no store has a record any longer. */
  #remove(): void {
    this.#rowOf.delete(this.#key);
    this.#rows.setHalf(0, leadTo(this.#firstFree));
    this.#firstFree = this.#rows.selected;
    this.#freeRows++;
    this.#key = "";
    if (this.size === 0) this.#forgetAll();
  }

  #forgetAll(): void {
    this.#rowOf.clear();
    this.#rows.clear();
    this.#firstFree = NONE;
    this.#freeRows = 0;
    this.#key = "";
  }

  /** Notes whose row is selected. Each store that has a record of a row knows the key. */
  #nameSelected(): void {
    const store = this.#stores.findIndex((_, place) => this.recordIn(place) >= 0);
    this.#key = store < 0 ? "" : this.#stores[store]!.keyOf(this.recordIn(store));
  }
}

/** A shared index, as the index of one of its stores. */
export class Column implements RecordIndex {
  readonly #index: SharedIndex;
  /** The number of the store. */
  readonly store: number;

  constructor(index: SharedIndex, store: number) {
    this.#index = index;
    this.store = store;
  }

  get(key: string): number | undefined {
    return this.#index.get(this.store, key);
  }

  set(key: string, record: number): void {
    this.#index.set(this.store, key, record);
  }

  delete(key: string): void {
    this.#index.delete(this.store, key);
  }

  clear(): void {
    this.#index.clear(this.store);
  }
}
