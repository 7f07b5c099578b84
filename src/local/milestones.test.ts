import fc from "fast-check";
import { expect, it, vi } from "vitest";
import { adjusted, withTotal } from "../../test/support/plain-corrections.ts";
import { ForwardClock } from "../core/clock.ts";
import { perSecond } from "../core/rate.ts";
import type { Bucket } from "../strategy/bucket.ts";
import { BucketList } from "./buckets.ts";
import { SPAN } from "./milestones.ts";
import { WindowStore } from "./window-store.ts";

const BUCKET_MS = 10;
const WINDOW_MS = 5_000;

let nowMs = 0;

function createStore(): WindowStore {
  nowMs = 0;
  return new WindowStore(WINDOW_MS, BUCKET_MS, 10, new ForwardClock(() => nowMs));
}

/** Hits `key` once in each of the next cells. */
function hit(store: WindowStore, key: string, counts: readonly number[]): void {
  for (const count of counts) {
    nowMs += BUCKET_MS;
    if (!store.find(key)) store.insert(key, perSecond(1));
    store.window.addHit(count, 0);
  }
}

it("reads few buckets for a heavy call, whatever the calls before have asked for", () => {
  const store = createStore();
  hit(store, "key", Array(400).fill(1));
  const reads = vi.spyOn(BucketList.prototype, "count");
  const readsFor = (missing: number) => {
    const before = reads.mock.calls.length;
    store.window.waitMsFor(missing);
    return reads.mock.calls.length - before;
  };
  expect(readsFor(390)).toBeGreaterThan(380);
  for (const missing of [5, 390, 200, 201, 40, 399, 2, 33, 32, 31]) expect(readsFor(missing)).toBeLessThanOrEqual(SPAN);
  // The newest bucket is needed, and the oldest one only.
  expect([readsFor(400), readsFor(1)]).toEqual([0, 0]);
  hit(store, "key", Array(50).fill(1));
  expect(readsFor(449)).toBeGreaterThan(SPAN);
  expect(readsFor(448)).toBeLessThanOrEqual(SPAN);
  reads.mockRestore();
});

it("keeps nothing for a key that is forgotten, emptied or has expired, nor for a short list", () => {
  const store = createStore();
  const { window } = store;
  const walk = (key: string) => {
    hit(store, key, Array(2 * SPAN).fill(1));
    window.waitMsFor(2 * SPAN - 1);
    expect(window.keysWithMilestones).toBe(1);
  };
  hit(store, "short", Array(SPAN).fill(1));
  window.waitMsFor(SPAN - 1);
  expect(window.keysWithMilestones).toBe(0);
  walk("removed");
  store.remove();
  expect(window.keysWithMilestones).toBe(0);
  walk("replaced");
  window.setTotal(5, "replace");
  expect(window.keysWithMilestones).toBe(0);
  walk("expired but for a few buckets");
  nowMs += WINDOW_MS - 10 * BUCKET_MS;
  store.find("expired but for a few buckets");
  expect([window.used, window.keysWithMilestones]).toEqual([10, 0]);
  walk("expired");
  nowMs += WINDOW_MS;
  store.find("expired");
  expect(window.keysWithMilestones).toBe(0);
  walk("made small");
  window.setTotal(5, "preserve-newest");
  expect(window.keysWithMilestones).toBe(0);
  walk("given back");
  window.adjust(1 - 2 * SPAN);
  expect(window.keysWithMilestones).toBe(0);
  walk("cleared");
  store.clear();
  expect(window.keysWithMilestones).toBe(0);
});

it("knows what its milestones count also when a key has counted more than 2^53 in its life", () => {
  const store = createStore();
  const { window } = store;
  const count = 2 ** 43 - 1;
  for (let round = 0; round < 40; round++) {
    hit(store, "key", Array(99).fill(count));
    const buckets = window.used / count;
    for (const part of [0.3, 0.9, 0.5]) {
      const needed = Math.ceil(part * buckets);
      expect(window.freedWith(needed * count)).toBe(needed * count);
      // The oldest bucket expires after `oldestExpiresInMs`, and the others follow.
      expect(window.waitMsFor(needed * count)).toBe(window.oldestExpiresInMs + (needed - 1) * BUCKET_MS);
    }
  }
  expect(40 * 99 * count).toBeGreaterThan(3 * 2 ** 53);
  expect(window.keysWithMilestones).toBe(1);
});

it("knows what its milestones count after the oldest buckets were corrected", () => {
  const store = createStore();
  const { window } = store;
  hit(store, "key", Array(3 * SPAN).fill(10));
  window.waitMsFor(30 * SPAN - 10);
  window.setTotal(30 * SPAN + 5, "preserve-oldest");
  expect([window.freedWith(10 * SPAN + 6), window.freedWith(20 * SPAN + 5)]).toEqual([10 * SPAN + 15, 20 * SPAN + 5]);
  // Two buckets are gone, and the oldest has 8.
  window.setTotal(30 * SPAN - 22, "preserve-newest");
  expect([window.freedWith(10 * SPAN + 9), window.freedWith(20 * SPAN - 2)]).toEqual([10 * SPAN + 18, 20 * SPAN - 2]);
  // The bucket that the first milestone stands at becomes the oldest one, and is corrected then. It has 7, 6 and 16.
  for (const [total, oldest] of [
    [20 * SPAN - 3, 7],
    [20 * SPAN - 4, 6],
  ] as const) {
    window.setTotal(total, "preserve-newest");
    expect([window.freedWith(oldest), window.freedWith(oldest + 1)]).toEqual([oldest, oldest + 10]);
    expect(window.freedWith(oldest + 10 * SPAN)).toBe(oldest + 10 * SPAN);
  }
  window.setTotal(20 * SPAN + 6, "preserve-oldest");
  expect([window.freedWith(16), window.freedWith(17), window.freedWith(27)]).toEqual([16, 26, 36]);
});

const METHODS = [
  "hit",
  "hit",
  "hit",
  "heavy",
  "heavy",
  "pass",
  "adjust",
  "preserve-newest",
  "preserve-oldest",
] as const;

const stepsOf = fc.array(
  fc.record({
    method: fc.constantFrom(...METHODS),
    key: fc.constantFrom("a", "a", "b"),
    part: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
  }),
  { maxLength: 60 },
);

const totalOf = (buckets: readonly Bucket[]) => buckets.reduce((total, { count }) => total + count, 0);

it("finds the bucket that a heavy call needs, as a walk over plain arrays does", () => {
  const property = fc.property(stepsOf, (steps) => {
    const store = createStore();
    const { window } = store;
    const plain: Record<string, Bucket[]> = { a: [], b: [] };
    const live = (key: string) => plain[key]!.filter(({ hitMs }) => hitMs + WINDOW_MS > nowMs);
    for (const { method, key, part } of steps) {
      if (method === "hit") {
        const counts = Array.from({ length: Math.ceil(90 * part) }, (_, index) => 1 + ((index * 7) % 9));
        for (const count of counts) {
          hit(store, key, [count]);
          plain[key]!.push({ hitMs: nowMs, count, declined: 0 });
        }
      }
      if (method === "pass") nowMs += Math.floor(2_000 * part);
      const buckets = live(key);
      if (!store.find(key) || buckets.length === 0) continue;
      const total = totalOf(buckets);
      if (method === "adjust") {
        const delta = -Math.ceil((total / 3) * part);
        window.adjust(delta);
        plain[key] = adjusted(buckets, delta);
      } else if (method === "preserve-newest" || method === "preserve-oldest") {
        const count = Math.ceil(1.5 * total * part) + 1;
        window.setTotal(count, method);
        plain[key] = withTotal(buckets, count, method, nowMs);
      } else if (method === "heavy") {
        const missing = Math.max(1, Math.ceil(total * part));
        const last = buckets.findIndex((_, index) => totalOf(buckets.slice(0, index + 1)) >= missing);
        expect(window.waitMsFor(missing)).toBe(buckets[last]!.hitMs + WINDOW_MS - nowMs);
        expect(window.freedWith(missing)).toBe(totalOf(buckets.slice(0, last + 1)));
      }
      expect(window.used).toBe(totalOf(live(key)));
    }
  });
  fc.assert(property, { numRuns: 500 });
});
