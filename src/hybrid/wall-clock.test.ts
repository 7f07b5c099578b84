import { afterEach, expect, it, vi } from "vitest";
import { WallClock } from "./wall-clock.ts";

/** What a wall clock says, one reading after the other. */
function stubReadings(...readings: number[]): void {
  const reading = vi.spyOn(Date, "now");
  for (const ms of readings) reading.mockReturnValueOnce(ms);
}

afterEach(() => {
  vi.restoreAllMocks();
});

it("a wall clock is ahead by what it has gained on the monotonic time since it was asked first", () => {
  stubReadings(1_000_000, 1_000_010, 1_007_020, 1_000_030);
  const wall = new WallClock(true);
  expect(wall.aheadMs(500)).toBe(0);
  expect(wall.aheadMs(510)).toBe(0);
  expect(wall.aheadMs(520)).toBe(7_000);
  expect(wall.aheadMs(530)).toBe(0);
});

it("it is not looked at twice within a millisecond", () => {
  stubReadings(1_000_000, 1_500_000);
  const wall = new WallClock(true);
  expect(wall.aheadMs(0)).toBe(0);
  expect(wall.aheadMs(0.9)).toBe(0);
  expect(wall.aheadMs(1)).toBe(499_999);
});

it("it is never ahead where it isn't used, or says what is no time", () => {
  const unused = new WallClock(false);
  expect(unused.aheadMs(0)).toBe(0);
  stubReadings(1_000_000, Number.NaN);
  expect(unused.aheadMs(10)).toBe(0);
  const strange = new WallClock(true);
  expect([strange.aheadMs(0), strange.aheadMs(10) > 0]).toEqual([0, false]);
});
