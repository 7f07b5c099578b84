import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Scheduler, Visited, type Visitor } from "./scheduler.ts";

class Item extends Visited {
  visits = 0;
  /** What to schedule again on the next visit. */
  again: "soon" | "later" | undefined = undefined;
}

class Recorder implements Visitor<Item> {
  isOut = false;
  atOnce = 0;
  mostAtOnce = 0;
  scheduler: Scheduler<Item> = new Scheduler(this, 10, 100);

  visit(item: Item): Promise<void> {
    item.visits++;
    if (item.again !== undefined) this.scheduler.schedule(item, item.again);
    item.again = undefined;
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
    return new Promise((resolve) => {
      setTimeout(() => {
        this.atOnce--;
        resolve();
      }, 1);
    });
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Each row: what is scheduled before, what is scheduled then, and the state and the time of the visit that follow. */
it.each([
  ["none", "soon", "soon", 10],
  ["none", "later", "later", 100],
  ["soon", "soon", "soon", 10],
  ["soon", "later", "soon", 10],
  ["later", "soon", "soon", 10],
  ["later", "later", "later", 100],
] as const)("an item that is scheduled %s, and then %s, is visited %s", async (before, then, state, afterMs) => {
  const { scheduler } = new Recorder();
  const item = new Item();
  if (before !== "none") scheduler.schedule(item, before);
  scheduler.schedule(item, then);
  expect(item.nextVisit).toBe(state);
  await vi.advanceTimersByTimeAsync(afterMs - 1);
  expect(item.visits).toBe(0);
  await vi.advanceTimersByTimeAsync(2);
  expect(item.visits).toBe(1);
  expect(item.nextVisit).toBe("none");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(item.visits).toBe(1);
});

it("an item that is scheduled during its visit is visited in the next round", async () => {
  const { scheduler } = new Recorder();
  const item = new Item();
  item.again = "soon";
  scheduler.schedule(item, "soon");
  await vi.advanceTimersByTimeAsync(15);
  expect(item.visits).toBe(1);
  await vi.advanceTimersByTimeAsync(10);
  expect(item.visits).toBe(2);
});

it("all items of a round are visited at once, and one after the other while Redis is out", async () => {
  const visitor = new Recorder();
  const items = Array.from({ length: 5 }, () => new Item());
  for (const item of items) visitor.scheduler.schedule(item, "soon");
  await vi.advanceTimersByTimeAsync(20);
  expect(visitor.mostAtOnce).toBe(5);
  Object.assign(visitor, { isOut: true, mostAtOnce: 0 });
  for (const item of items) visitor.scheduler.schedule(item, "soon");
  await vi.advanceTimersByTimeAsync(20);
  expect(visitor.mostAtOnce).toBe(1);
  expect(items.map(({ visits }) => visits)).toEqual([2, 2, 2, 2, 2]);
});

it("one round is over before the next begins, however long it takes", async () => {
  let end = () => {};
  const slow = new Item();
  const rounds = new Scheduler<Item>(
    { isOut: false, visit: (item) => (++item.visits > 1 ? undefined : new Promise((resolve) => (end = resolve))) },
    10,
    100,
  );
  rounds.schedule(slow, "soon");
  await vi.advanceTimersByTimeAsync(10);
  const [soon, later] = [new Item(), new Item()];
  rounds.schedule(soon, "soon");
  rounds.schedule(later, "later");
  await vi.advanceTimersByTimeAsync(500);
  // What waits for the round is visited once, whatever it is scheduled for meanwhile.
  rounds.schedule(later, "soon");
  expect([slow, soon, later].map(({ visits }) => visits)).toEqual([1, 0, 0]);
  end();
  await vi.advanceTimersByTimeAsync(10);
  end();
  expect([slow, soon, later].map(({ visits }) => visits)).toEqual([1, 1, 1]);
});

it("an item that was visited isn't visited again with the items that are scheduled later than it", async () => {
  const { scheduler } = new Recorder();
  const [first, second] = [new Item(), new Item()] as const;
  scheduler.schedule(first, "later");
  await vi.advanceTimersByTimeAsync(150);
  scheduler.schedule(second, "later");
  await vi.advanceTimersByTimeAsync(150);
  expect([first, second].map(({ visits }) => visits)).toEqual([1, 1]);
});

it("once stopped, nothing is visited", async () => {
  const { scheduler } = new Recorder();
  const items = [new Item(), new Item()] as const;
  scheduler.schedule(items[0], "soon");
  scheduler.schedule(items[1], "later");
  scheduler.stop();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(items.map(({ visits }) => visits)).toEqual([0, 0]);
});
