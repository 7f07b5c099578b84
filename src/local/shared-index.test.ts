// That stores which share an index count as stores with indexes of their own do, and keep rows for their keys only.

import fc from "fast-check";
import { seededRandom } from "trypema/testing";
import { afterEach, expect, it, vi } from "vitest";
import { ForwardClock } from "../core/clock.ts";
import { perSecond } from "../core/rate.ts";
import { createLimits } from "../limits/limits.ts";
import { createLocalProvider } from "./provider.ts";
import { SharedIndex } from "./shared-index.ts";
import { Table } from "./table.ts";
import { WindowStore } from "./window-store.ts";

const RATE = perSecond(5);
const WINDOW_MS = 1_000;

afterEach(() => {
  vi.restoreAllMocks();
});

class Stores {
  nowMs = 0;
  readonly index = new SharedIndex(3);
  readonly stores: readonly WindowStore[];
  readonly own: readonly WindowStore[];

  constructor(maxKeys: number) {
    const clock = new ForwardClock(() => this.nowMs);
    const open = (shared?: SharedIndex) => new WindowStore(WINDOW_MS, 10, maxKeys, clock, undefined, shared);
    this.stores = [0, 1, 2].map(() => open(this.index));
    this.own = [0, 1, 2].map(() => open());
  }

  /** Does the same to a store that shares the index and to one with its own; they have to answer the same. */
  both(place: number, act: (store: WindowStore) => unknown): void {
    expect(act(this.stores[place]!)).toEqual(act(this.own[place]!));
  }

  /** Whether each store that shares the index has counted as much for a key as the store with its own. */
  isAlike(key: string): boolean {
    return this.stores.every((store, place) => look(key)(store) === look(key)(this.own[place]!));
  }

  keys(): Set<string> {
    const keys = new Set<string>();
    for (const store of this.own) for (const key of ALL_KEYS) if (store.find(key)) keys.add(key);
    return keys;
  }
}

const ALL_KEYS = Array.from({ length: 40 }, (_, i) => `key-${i}`);

function hit(key: string, count: number) {
  return (store: WindowStore) => {
    if (!store.find(key)) store.insert(key, RATE);
    store.window.addHit(count, 0);
    return store.window.used;
  };
}

function remove(key: string) {
  return (store: WindowStore) => {
    if (!store.find(key)) return false;
    store.remove();
    return true;
  };
}

function look(key: string) {
  return (store: WindowStore) => store.find(key) && store.window.used;
}

it.each([7, 100])("stores that share an index count as stores of their own, with room for %i keys", (maxKeys) => {
  fc.assert(
    fc.property(fc.nat(), (seed) => countAlike(maxKeys, seededRandom(seed))),
    { numRuns: 20 },
  );
});

function countAlike(maxKeys: number, random: () => number): void {
  const all = new Stores(maxKeys);
  const anyOf = (count: number) => Math.floor(random() * count);
  for (let step = 0; step < 400; step++) {
    all.nowMs += anyOf(3) * 20;
    const key = ALL_KEYS[anyOf(ALL_KEYS.length)]!;
    const place = anyOf(3);
    const chance = random();
    if (chance < 0.6) all.both(place, hit(key, 1 + anyOf(5)));
    else if (chance < 0.9) all.both(place, remove(key));
    else if (chance < 0.97) all.both(place, (store) => store.sweep(40, 40, all.nowMs, WINDOW_MS));
    else all.both(place, (store) => store.clear());
    // The same key first, because its row was selected last.
    expect([key, "", ...ALL_KEYS].filter((each) => !all.isAlike(each))).toEqual([]);
    all.both(place, ({ size }) => size);
    expect(all.index.size).toBe(all.keys().size);
  }
}

it("keeps more keys apart than one chunk of rows has, while a store forgets them and others don't", () => {
  const all = new Stores(1_000_000);
  const [first, second] = all.stores as [WindowStore, WindowStore];
  const keys = Array.from({ length: 140_000 }, (_, i) => `key-${i}`);
  for (const [i, key] of keys.entries()) {
    if (i % 2 === 0) hit(key, i + 1)(first);
    hit(key, i + 2)(second);
  }
  for (const [i, key] of keys.entries()) if (i % 3 === 0) remove(key)(second);
  expect(all.index.size).toBe(keys.filter((_, i) => i % 2 === 0 || i % 3 !== 0).length);
  let wrong = 0;
  for (const [i, key] of keys.entries()) {
    if (look(key)(first) !== (i % 2 === 0 ? i + 1 : false)) wrong++;
    if (look(key)(second) !== (i % 3 !== 0 ? i + 2 : false)) wrong++;
  }
  expect(wrong).toBe(0);
  second.clear();
  expect(all.index.size).toBe(70_000);
  for (const [i, key] of keys.entries()) if (look(key)(first) !== (i % 2 === 0 ? i + 1 : false)) wrong++;
  expect(wrong).toBe(0);
  first.clear();
  expect(all.index.size).toBe(0);
});

it("touches no other key's entry while keys that one store has for itself are forgotten", () => {
  const all = new Stores(1_000);
  const [first, second] = all.stores as [WindowStore, WindowStore];
  for (let i = 0; i < 100; i++) {
    hit(`first-${i}`, 1)(first);
    hit(`second-${i}`, 1)(second);
  }
  const set = vi.spyOn(Map.prototype, "set");
  for (let i = 0; i < 50; i++) remove(`first-${i}`)(first);
  first.clear();
  const calls = set.mock.calls.length;
  vi.restoreAllMocks();
  expect(calls).toBe(0);
  expect(all.index.size).toBe(100);
});

it("gives the rows of forgotten keys to new ones", () => {
  const all = new Stores(10);
  const [first, second] = all.stores as [WindowStore, WindowStore];
  hit("kept", 1)(second);
  for (const key of ["a", "b", "c"]) hit(key, 1)(first);
  for (const key of ["b", "a", "c"]) remove(key)(first);
  const add = vi.spyOn(Table.prototype, "add");
  for (const key of ["d", "e", "f"]) hit(key, 1)(first);
  // A record each, and no row.
  expect(add).toHaveBeenCalledTimes(3);
  expect(["d", "e", "f"].map((key) => look(key)(first))).toEqual([1, 1, 1]);
  expect(["d", "e", "f"].map((key) => look(key)(second))).toEqual([false, false, false]);
  expect([look("kept")(second), all.index.size]).toEqual([1, 4]);
});

it("finds no key that isn't a text, and not the empty one", () => {
  const all = new Stores(10);
  for (const key of ["", undefined, null, 5, {}]) {
    for (const store of all.stores) expect(store.find(key as string)).toBe(false);
  }
});

it("is shared by the limits that are asked together, up to sixteen of them and their keys in one Map", () => {
  expect([SharedIndex.suits(1, 10), SharedIndex.suits(2, 10), SharedIndex.suits(16, 10)]).toEqual([false, true, true]);
  expect([SharedIndex.suits(17, 10), SharedIndex.suits(2, 8e6), SharedIndex.suits(2, 9e6)]).toEqual([
    false,
    true,
    false,
  ]);
});

it("has a take look its key up once, whether the take is admitted or denied", () => {
  const limits = createLimits(createLocalProvider({ cleanup: false }), {
    burst: { limit: 3, windowMs: 60_000 },
    minute: { limit: 20, windowMs: 60_000, strategy: "suppressed" },
    day: { limit: 30, windowMs: 86_400_000 },
  });
  for (const key of ["key", "other"]) limits.take(key);
  const get = vi.spyOn(Map.prototype, "get");
  for (const [key, count] of [
    ["key", 1],
    ["other", 3],
  ] as const)
    limits.take(key, count);
  const keys = get.mock.calls.map(([key]) => key);
  expect(keys.filter((key) => key === "key" || key === "other")).toEqual(["key", "other"]);
});
