// The store of windows against plain arrays: what the classes of this folder say always holds is checked after each
// step.

import fc from "fast-check";
import { expect, it } from "vitest";
import { timesOnBorders } from "../../test/support/borders.ts";
import { adjusted, withTotal } from "../../test/support/plain-corrections.ts";
import { ForwardClock } from "../core/clock.ts";
import { perSecond } from "../core/rate.ts";
import { type Bucket, cellStartOf } from "../strategy/bucket.ts";
import { recentPerSecond } from "../strategy/suppressed.ts";
import { RECORD_BYTES } from "./records.ts";
import { WindowStore } from "./window-store.ts";

const WINDOW_MS = 3_000;
const BUCKET_MS = 100;
const SPAN_MS = 1_000;

/** A key in plain arrays. */
interface PlainWindow {
  buckets: Bucket[];
  /** Whether the key needs an overload node: something was declined or a factor kept since nothing was counted. */
  overloaded: boolean;
  /** The hit times of buckets between the others that a refund has emptied. Their nodes are kept as long as those. */
  emptiedMs: number[];
}

const ABSOLUTE = [
  ...["hit", "hit", "hit", "hit", "hit", "remove", "look", "refund", "refund", "refund", "grow"],
  ...["replace", "preserve-newest", "preserve-oldest"],
] as const;
const SUPPRESSED = [...ABSOLUTE, "deny", "deny", "keepFactor"] as const;
type Method = (typeof SUPPRESSED)[number];

const stepsOf = (methods: readonly Method[]) =>
  fc.array(
    fc.record({
      waitMs: fc.constantFrom(0, 1, 40, 100, 250, 990, 1_000, 2_990, 3_000),
      key: fc.constantFrom("a", "b", "c"),
      method: fc.constantFrom(...methods),
      count: fc.integer({ min: 1, max: 9 }),
    }),
    { maxLength: 120 },
  );

const sum = (buckets: readonly Bucket[], of: (bucket: Bucket) => number) =>
  buckets.reduce((total, bucket) => total + of(bucket), 0);

function addPlainHit(buckets: Bucket[], hitMs: number, count: number, declined: number, bucketMs = BUCKET_MS): void {
  const newest = buckets.at(-1);
  if (newest === undefined || newest.hitMs < cellStartOf(hitMs, bucketMs)) {
    buckets.push({ hitMs, count, declined });
  } else {
    buckets[buckets.length - 1] = { hitMs, count: newest.count + count, declined: newest.declined + declined };
  }
}

class Model {
  nowMs = 10_000;
  readonly store = new WindowStore(WINDOW_MS, BUCKET_MS, 100, new ForwardClock(() => this.nowMs));
  readonly plain = new Map<string, PlainWindow>();

  take(key: string, method: Method, count: number): void {
    const { store } = this;
    const { window } = store;
    const known = store.find(key);
    expect(known).toBe(this.plain.has(key));
    if (!known) {
      if (method !== "hit" && method !== "deny") return;
      store.insert(key, perSecond(1));
      this.plain.set(key, { buckets: [], overloaded: false, emptiedMs: [] });
    }
    const plain = this.live(key);
    const { buckets } = plain;
    const newest = buckets.at(-1);
    if (method === "hit" || method === "deny") {
      const declined = method === "deny" ? count : 0;
      if (method === "hit") this.#hit(buckets, count);
      else window.addHit(count, declined);
      addPlainHit(buckets, this.nowMs, count, declined);
      expect(window.moreAfterHitMs()).toBe(Math.ceil(window.oldestExpiresInMs));
      expect(window.moreAfterHitAt(this.nowMs, window.oldestHitMs)).toBe(window.moreAfterHitMs());
      plain.overloaded ||= declined > 0;
    } else if (method === "keepFactor" && newest !== undefined) {
      window.keepFactor(0.5);
      plain.overloaded = true;
      expect(window.keptFactor(1)).toBe(0.5);
    } else if ((method === "refund" || method === "grow") && newest !== undefined) {
      const delta = method === "refund" ? -count : count;
      window.adjust(delta);
      this.#correct(plain, adjusted(buckets, delta));
      if (plain.buckets.length === 0) this.take(key, "remove", 0);
    } else if (method === "replace" || method === "preserve-newest" || method === "preserve-oldest") {
      const total = method === "replace" ? count : count * count;
      window.setTotal(total, method);
      if (method === "replace" || buckets.length === 0) plain.overloaded = false;
      this.#correct(plain, withTotal(buckets, total, method, this.nowMs));
      plain.overloaded ||= plain.buckets.some(({ declined }) => declined > 0);
    } else if (method === "remove") {
      store.remove();
      this.plain.delete(key);
    }
  }

  #hit(buckets: readonly Bucket[], count: number): void {
    const { window } = this.store;
    const used = sum(buckets, (bucket) => bucket.count - bucket.declined) + count;
    expect(window.accept(count)).toBe(used);
  }

  #correct(plain: PlainWindow, corrected: Bucket[]): void {
    const kept = new Set(corrected.map(({ hitMs }) => hitMs));
    plain.emptiedMs.push(...plain.buckets.map(({ hitMs }) => hitMs).filter((hitMs) => !kept.has(hitMs)));
    plain.buckets = corrected;
  }

  /** The plain window without what has expired. */
  live(key: string): PlainWindow {
    const plain = this.plain.get(key)!;
    plain.buckets = plain.buckets.filter(({ hitMs }) => hitMs + WINDOW_MS > this.nowMs);
    if (plain.buckets.length === 0) plain.overloaded = false;
    const [oldestMs = 0, newestMs = 0] = [plain.buckets[0]?.hitMs, plain.buckets.at(-1)?.hitMs];
    plain.emptiedMs = plain.emptiedMs.filter((hitMs) => oldestMs < hitMs && hitMs < newestMs);
    return plain;
  }

  check(looksAtRecent: boolean): void {
    let nodes = 0;
    for (const key of this.plain.keys()) {
      const { buckets, overloaded, emptiedMs } = this.live(key);
      expect(this.store.find(key)).toBe(true);
      const { window } = this.store;
      expect(window.buckets()).toEqual(buckets);
      expect(window.observed).toBe(sum(buckets, ({ count }) => count));
      expect(window.declined).toBe(sum(buckets, ({ declined }) => declined));
      expect(window.used).toBe(window.observed - window.declined);
      nodes += Math.max(0, buckets.length - 1) + emptiedMs.length + (overloaded ? 1 : 0);
      const oldest = buckets[0];
      if (oldest === undefined) continue;
      expect(window.oldestExpiresInMs).toBe(oldest.hitMs + WINDOW_MS - this.nowMs);
      expect(window.oldestAccepted).toBe(oldest.count - oldest.declined);
      if (!overloaded) this.#checkWait(buckets);
      if (looksAtRecent) this.#checkRecent(buckets);
    }
    expect(this.store.size).toBe(this.plain.size);
    expect(this.store.nodes).toBe(nodes);
  }

  #checkWait(buckets: readonly Bucket[]): void {
    const { window } = this.store;
    let freed = 0;
    const waits = buckets.map(({ hitMs, count }) => {
      freed += count;
      return { count, freed, waitMs: hitMs + WINDOW_MS - this.nowMs };
    });
    // Heavier and heavier calls, and then lighter and lighter ones.
    for (const { count, freed, waitMs } of [...waits, ...waits.toReversed()]) {
      for (const missing of [freed - count + 1, freed]) {
        expect(window.waitMsFor(missing)).toBe(waitMs);
        expect(window.freedWith(missing)).toBe(freed);
      }
    }
  }

  #checkRecent(buckets: readonly Bucket[]): void {
    const recent = buckets.filter(({ hitMs }) => hitMs + SPAN_MS > this.nowMs);
    const count = sum(recent, (bucket) => bucket.count);
    const rate = recent[0] && recentPerSecond(count, recent[0].hitMs, BUCKET_MS, SPAN_MS, this.nowMs);
    expect(this.store.window.recentPerSecond()).toBe(rate ?? 0);
  }
}

it.each([
  ["under absolute", ABSOLUTE, false],
  ["under suppressed, with a look at the recent rate after each step", SUPPRESSED, true],
  ["under suppressed, with few such looks", SUPPRESSED, false],
])("keeps every window as plain arrays would, %s", (_, methods, looksAtRecent) => {
  fc.assert(
    fc.property(stepsOf(methods), (steps) => {
      const model = new Model();
      for (const { waitMs, key, method, count } of steps) {
        model.nowMs += waitMs;
        model.take(key, method, count);
        model.check(looksAtRecent || method === "look");
      }
    }),
    { numRuns: 200 },
  );
});

it("counts a hit on the border of two cells in the bucket that a grid without memory says, whoever was hit before", () => {
  const hit = fc.record({ key: fc.constantFrom("a", "b"), declined: fc.constantFrom(0, 1) });
  fc.assert(
    fc.property(timesOnBorders, fc.array(hit, { minLength: 60, maxLength: 60 }), ({ bucketMs, timesMs }, hits) => {
      let nowMs = 0;
      const store = new WindowStore(200 * bucketMs, bucketMs, 100, new ForwardClock(() => nowMs));
      const plain: Record<string, Bucket[]> = { a: [], b: [] };
      for (const [i, timeMs] of timesMs.entries()) {
        nowMs = timeMs;
        const { key, declined } = hits[i]!;
        if (!store.find(key)) store.insert(key, perSecond(1));
        store.window.addHit(1, declined);
        addPlainHit(plain[key]!, nowMs, 1, declined, bucketMs);
        expect(store.window.buckets()).toEqual(plain[key]);
      }
    }),
    { numRuns: 200 },
  );
});

it("has a record in one cache line", () => {
  expect(RECORD_BYTES).toBe(64);
});
