import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ForwardClock } from "../core/clock.ts";
import { perSecond } from "../core/rate.ts";
import { Cleanup } from "./cleanup.ts";
import { createLocalProvider, type LocalProvider } from "./provider.ts";
import { WindowStore } from "./window-store.ts";

const WINDOW_MS = 1_000;

afterEach(() => {
  vi.restoreAllMocks();
});

/** Two stores: `count` keys hit at 0 and then as many hit at 500, in the first; nothing in the second. */
function open(count: number, staleAfterMs = WINDOW_MS) {
  let nowMs = 0;
  const clock = new ForwardClock(() => nowMs);
  const store = new WindowStore(WINDOW_MS, 10, 1_000_000, clock);
  const hit = (key: string) => {
    if (!store.find(key)) store.insert(key, perSecond(5));
    store.window.addHit(1, 0);
  };
  for (let i = 0; i < count; i++) hit(`old-${i}`);
  nowMs = 500;
  for (let i = 0; i < count; i++) hit(`new-${i}`);
  const other = new WindowStore(WINDOW_MS, 10, 1_000_000, clock);
  const cleanup = new Cleanup(clock, 30_000, staleAfterMs, "running");
  for (const swept of [store, other]) cleanup.add(swept, WINDOW_MS);
  const at = (ms: number) => {
    nowMs = ms;
  };
  return { store, other, cleanup, hit, at };
}

function sweep(cleanup: Cleanup, between = () => {}): number {
  for (let slices = 1; ; slices++) {
    if (cleanup.slice()) return slices;
    between();
  }
}

it("forgets the keys that are stale and no others", () => {
  const { store, cleanup, at } = open(5_000);
  at(999);
  sweep(cleanup);
  expect(store.size).toBe(10_000);
  at(1_000);
  sweep(cleanup);
  expect(store.size).toBe(5_000);
  expect(store.findLive("new-0")).toBe(true);
  expect(store.findLive("new-4999")).toBe(true);
  at(1_500);
  sweep(cleanup);
  expect(store.size).toBe(0);
});

it("keeps keys for as long as staleAfterMs says", () => {
  const { store, cleanup, at } = open(10, 3_000);
  at(2_999);
  sweep(cleanup);
  expect(store.size).toBe(20);
  at(3_000);
  sweep(cleanup);
  expect(store.size).toBe(10);
});

it("gives way to the program after a millisecond", () => {
  const { store, cleanup, at } = open(5_000);
  let ms = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (ms += 0.25));
  at(2_000);
  cleanup.slice();
  expect(store.size).toBeLessThan(10_000);
  expect(store.size).toBeGreaterThan(9_800);
});

it("gives way where the clock stands still between two events", () => {
  const { store, cleanup, at } = open(20_000);
  vi.spyOn(performance, "now").mockImplementation(() => 7);
  at(2_000);
  expect(cleanup.slice()).toBe(false);
  expect(store.size).toBe(40_000 - 16_384);
  sweep(cleanup);
  expect(store.size).toBe(0);
});

it("takes no harm from what happens to the keys between two slices", () => {
  const { store, cleanup, hit, at } = open(5_000);
  let ms = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (ms += 0.1));
  at(1_200);
  let i = 0;
  const slices = sweep(cleanup, () => {
    hit(`fresh-${i}`);
    hit(`old-${i}`);
    if (store.find(`new-${i}`)) store.remove();
    i++;
  });
  expect(slices).toBeGreaterThan(30);
  sweep(cleanup);
  const live = (name: string) => Array.from({ length: 5_000 }, (_, n) => store.findLive(`${name}-${n}`));
  expect(live("fresh").filter(Boolean)).toHaveLength(i);
  expect(live("old").filter(Boolean)).toHaveLength(i);
  expect(live("new").filter(Boolean)).toHaveLength(5_000 - i);
  expect(store.size).toBe(5_000 + i);
});

it("harms no program by a clock that throws, and goes on when it shows a time again", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  let read: () => number = () => 0;
  const clock = new ForwardClock(() => read());
  const store = new WindowStore(WINDOW_MS, 10, 1_000_000, clock);
  store.find("k");
  store.insert("k", perSecond(5));
  store.window.addHit(1, 0);
  const cleanup = new Cleanup(clock, 30_000, WINDOW_MS, "running");
  cleanup.add(store, WINDOW_MS);
  read = () => {
    throw new Error("no time");
  };
  cleanup.run();
  vi.runOnlyPendingTimers();
  expect(store.size).toBe(1);
  read = () => WINDOW_MS;
  cleanup.run();
  expect(store.size).toBe(0);
  vi.useRealTimers();
});

it("sweeps every store", () => {
  const { store, other, cleanup, at } = open(0);
  for (const key of ["a", "b", "c"]) {
    other.find(key);
    other.insert(key, perSecond(5));
    other.window.addHit(1, 0);
  }
  at(500 + WINDOW_MS);
  sweep(cleanup);
  expect([store.size, other.size]).toEqual([0, 0]);
});

it("sweeps without timers where these end with requests, a slice with each new key", async () => {
  vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
  vi.resetModules();
  const { Cleanup: IsolateCleanup } = await import("./cleanup.ts");
  vi.unstubAllGlobals();
  const timers = vi.spyOn(globalThis, "setTimeout");
  const { store, other, at } = open(5_000);
  const nowMs = 1_500;
  vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  const cleanup = new IsolateCleanup(new ForwardClock(() => nowMs), 30_000, WINDOW_MS, "running");
  for (const swept of [store, other]) cleanup.add(swept, WINDOW_MS);
  at(nowMs);
  for (let calls = 0; store.size > 0; calls++) {
    expect(calls).toBeLessThan(10_000);
    const before = store.size;
    cleanup.noteNewKey();
    expect(before - store.size).toBeLessThanOrEqual(2_048);
  }
  cleanup.noteNewKey();
  expect(timers).not.toHaveBeenCalled();
});

describe("a provider's cleanup", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const INTERVAL_MS = 100;
  const LATER_MS = 10 * INTERVAL_MS;
  const cleanup = { intervalMs: INTERVAL_MS };
  const sizeOf = ({ absolute }: LocalProvider) => (absolute as unknown as { store: WindowStore }).store.size;

  it("stops and starts as often as it is told, and forgets what became stale meanwhile", async () => {
    const provider = createLocalProvider({ windowMs: 10, cleanup, clock: () => Date.now() });
    const kept: number[] = [];
    for (const step of ["stopCleanup", "stopCleanup", "startCleanup", "startCleanup", "stopCleanup"] as const) {
      provider[step]();
      provider.absolute.inc("k", perSecond(100));
      await vi.advanceTimersByTimeAsync(LATER_MS);
      kept.push(sizeOf(provider));
    }
    expect(kept).toEqual([1, 1, 0, 0, 1]);
    provider.startCleanup();
    await vi.advanceTimersByTimeAsync(LATER_MS);
    expect(sizeOf(provider)).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("starts where there was none, in all windows, and never again once it is closed", async () => {
    const provider = createLocalProvider({ windowMs: 10, cleanup: false, clock: () => Date.now() });
    const other = provider.withWindow({ windowMs: 20 });
    other.absolute.inc("k", perSecond(100));
    await vi.advanceTimersByTimeAsync(40_000);
    expect([sizeOf(other), vi.getTimerCount()]).toEqual([1, 0]);
    provider.startCleanup();
    await vi.advanceTimersByTimeAsync(40_000);
    expect(sizeOf(other)).toBe(0);
    provider.close();
    other.startCleanup();
    other.absolute.inc("k", perSecond(100));
    await vi.advanceTimersByTimeAsync(40_000);
    expect([sizeOf(other), vi.getTimerCount()]).toEqual([1, 0]);
    other.stopCleanup();
    other.startCleanup();
    await vi.advanceTimersByTimeAsync(40_000);
    expect(sizeOf(other)).toBe(1);
  });
});
