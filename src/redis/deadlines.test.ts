import { afterEach, beforeEach, expect, it, vi } from "vitest";

const LENGTH_MS = 20;

/** Loads the module anew, because it holds the clock and the timers that are there when it is loaded. */
async function makeDeadlines() {
  vi.resetModules();
  const { Deadline, Deadlines } = await import("./deadlines.ts");
  const missed: string[] = [];
  class Named extends Deadline {
    readonly name: string;

    constructor(name: string) {
      super();
      this.name = name;
    }
  }
  const deadlines = new Deadlines<Named>(LENGTH_MS, ({ name }) => missed.push(name));
  const start = (name: string) => {
    const deadline = new Named(name);
    deadlines.start(deadline);
    return deadline;
  };
  return { deadlines, start, missed };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

it("misses a deadline once, after a second look, and none that was met", async () => {
  const { deadlines, start, missed } = await makeDeadlines();
  const first = start("first");
  await vi.advanceTimersByTimeAsync(5);
  const met = start("met");
  const last = start("last");
  expect(deadlines.meet(met)).toBe(true);
  await vi.advanceTimersByTimeAsync(15);
  expect(missed).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(missed).toEqual(["first"]);
  await vi.advanceTimersByTimeAsync(5);
  expect(missed).toEqual(["first", "last"]);
  await vi.advanceTimersByTimeAsync(10 * LENGTH_MS);
  expect(missed).toEqual(["first", "last"]);
  expect([first, met, last].map((deadline) => deadlines.meet(deadline))).toEqual([false, false, false]);
});

it("misses a deadline that waits for its second look, though the one after it is met meanwhile", async () => {
  const { deadlines, start, missed } = await makeDeadlines();
  start("first");
  await vi.advanceTimersByTimeAsync(5);
  const next = start("next");
  start("last");
  await vi.advanceTimersByTimeAsync(15);
  expect(deadlines.meet(next)).toBe(true);
  await vi.advanceTimersByTimeAsync(10 * LENGTH_MS);
  expect(missed).toEqual(["first", "last"]);
});

it("gives deadlines that it looks at late as much time again, for the answers that have come meanwhile", async () => {
  const now = performance.now.bind(performance);
  let lateMs = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + lateMs);
  const { start, missed } = await makeDeadlines();
  start("any");
  await vi.advanceTimersByTimeAsync(LENGTH_MS - 1);
  lateMs = 10;
  await vi.advanceTimersByTimeAsync(1 + 9);
  expect(missed).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(missed).toEqual(["any"]);
  clock.mockRestore();
});

it("gives a deadline its whole time where another timer has to be made, because there are false timers now", async () => {
  vi.useRealTimers();
  const clock = vi.spyOn(performance, "now").mockReturnValue(performance.now());
  const { deadlines, start, missed } = await makeDeadlines();
  start("any");
  // The timer is made in a reaction.
  await Promise.resolve().then();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  deadlines.keepTimer();
  await vi.advanceTimersByTimeAsync(LENGTH_MS / 2);
  expect(missed).toEqual([]);
  await vi.advanceTimersByTimeAsync(LENGTH_MS);
  expect(missed).toEqual(["any"]);
  clock.mockRestore();
});

it("has one timer, however many deadlines wait", async () => {
  const { start } = await makeDeadlines();
  for (let i = 0; i < 100; i++) start("any");
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(10 * LENGTH_MS);
  expect(vi.getTimerCount()).toBe(0);
});
