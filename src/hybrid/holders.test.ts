import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ForwardClock } from "../core/clock.ts";
import type { Holder } from "./holder.ts";
import { Holders } from "./holders.ts";
import { timingOf } from "./timing.ts";

const TIMING = timingOf({ windowMs: 1_000, bucketMs: 100, timeoutMs: 50 }, 10);
const SWEEP_MS = 100;

const busy = new Set<Holder>();
const scheduled: string[] = [];
const going = {
  isBusy: (holder: Holder) => busy.has(holder),
  schedule: (holder: Holder) => scheduled.push(holder.key),
};

beforeEach(() => {
  vi.useFakeTimers();
  busy.clear();
  scheduled.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
});

function makeHolders(mostKeys?: number): Holders {
  return new Holders(TIMING, new ForwardClock(Date.now), going, mostKeys);
}

function keysOf(holders: Holders): string[] {
  return Array.from(holders, ({ key }) => key);
}

it("a key has one holder, and there is no place for more keys than may be known", () => {
  const holders = makeHolders(2);
  const a = holders.getOrAdd("a");
  expect(holders.getOrAdd("a")).toBe(a);
  expect(holders.getOrAdd("b")).toBeDefined();
  expect(holders.getOrAdd("c")).toBeUndefined();
  expect(holders.get("c")).toBeUndefined();
  expect(holders.getOrAdd("a")).toBe(a);
});

it("the sweep makes place by forgetting keys of which nothing can matter, and no others", async () => {
  const holders = makeHolders(3);
  holders.getOrAdd("useless");
  holders.getOrAdd("with a hit")!.addHit(1, 0, Date.now());
  busy.add(holders.getOrAdd("with a call that waits")!);
  await vi.advanceTimersByTimeAsync(SWEEP_MS);
  expect(keysOf(holders).toSorted()).toEqual(["with a call that waits", "with a hit"]);
  expect(holders.getOrAdd("new")).toBeDefined();
});

it("of many keys the sweep looks at some at a time, and each key that stays is found where it was moved to", async () => {
  const holders = makeHolders();
  for (let i = 0; i < 12_000; i++) {
    const holder = holders.getOrAdd(`k${i}`)!;
    if (i % 3 === 0) holder.addHit(i + 1, 0, Date.now());
  }
  const sizes: number[] = [];
  for (let sweep = 0; sweep < 3; sweep++) {
    await vi.advanceTimersByTimeAsync(SWEEP_MS);
    sizes.push(keysOf(holders).length);
  }
  expect(sizes).toEqual([8_666, 5_333, 4_000]);
  for (let i = 0; i < 12_000; i++) {
    const counts = holders.get(`k${i}`)?.outbox.hits.map(({ count }) => count);
    expect(counts).toEqual(i % 3 === 0 ? [i + 1] : undefined);
  }
});

it("who still has the holder of a forgotten key changes nothing of another key with it", async () => {
  const holders = makeHolders();
  busy.add(holders.getOrAdd("busy")!);
  const forgotten = holders.getOrAdd("a")!;
  await vi.advanceTimersByTimeAsync(SWEEP_MS);
  const other = holders.getOrAdd("b")!;
  expect(other.row).toBe(forgotten.row);
  forgotten.addHit(3, 0, Date.now());
  expect(other.outbox.isEmpty).toBe(true);
  expect(forgotten.outbox.hits).toMatchObject([{ count: 3 }]);
});

it("a lease that nobody spends is returned, and the key is forgotten when Redis has it back", async () => {
  const holders = makeHolders();
  const { lease } = holders.getOrAdd("a")!;
  lease.noteSetAside(5, Date.now() + 10_000);
  await vi.advanceTimersByTimeAsync(SWEEP_MS);
  expect(scheduled).toEqual(["a"]);
  expect(keysOf(holders)).toEqual(["a"]);
  lease.end();
  await vi.advanceTimersByTimeAsync(SWEEP_MS);
  expect(keysOf(holders)).toEqual([]);
});

it("the sweep has no timer once no key is known, and none any longer when it is stopped", async () => {
  const holders = makeHolders();
  holders.getOrAdd("a");
  await vi.advanceTimersByTimeAsync(SWEEP_MS);
  expect(vi.getTimerCount()).toBe(0);
  holders.getOrAdd("b")!.addHit(1, 0, Date.now());
  await vi.advanceTimersByTimeAsync(SWEEP_MS);
  expect(vi.getTimerCount()).toBe(1);
  holders.stop();
  expect(vi.getTimerCount()).toBe(0);
});
