import { expect, it, vi } from "vitest";
import { ForwardClock } from "../core/clock.ts";
import { perSecond } from "../core/rate.ts";
import { BucketList } from "./buckets.ts";
import { WindowStore } from "./window-store.ts";

it("reads few buckets for a heavy call after one that is much like it, and for one that needs all", () => {
  let nowMs = 0;
  const store = new WindowStore(100_000, 10, 10, new ForwardClock(() => nowMs));
  store.find("key");
  store.insert("key", perSecond(1));
  for (let bucket = 0; bucket < 3_000; bucket++) {
    nowMs += 10;
    store.find("key");
    store.window.addHit(1, 0);
  }
  const reads = vi.spyOn(BucketList.prototype, "count");
  const readsFor = (missing: number) => {
    const before = reads.mock.calls.length;
    store.window.waitMsFor(missing);
    return reads.mock.calls.length - before;
  };
  expect(readsFor(1_500)).toBeGreaterThan(1_000);
  expect(readsFor(1_502)).toBeLessThan(10);
  expect(readsFor(1_498)).toBeLessThan(10);
  expect(readsFor(3_000)).toBe(0);
  expect(readsFor(1)).toBe(0);
  reads.mockRestore();
});
