import { expect, it } from "vitest";
import { ForwardClock } from "./clock.ts";

function timesOf(readings: number[]): number[] {
  const left = [...readings];
  const clock = new ForwardClock(() => left.shift()!);
  return readings.map(() => clock.now());
}

it("is the clock it was given while that goes forward", () => {
  expect(timesOf([-5, 0, 0.25, 7, 7])).toEqual([-5, 0, 0.25, 7, 7]);
});

it("stands still when that steps back, and goes on from there", () => {
  expect(timesOf([1_000, 400, 450, 1_400])).toEqual([1_000, 1_000, 1_050, 2_000]);
});

it("stands still for a reading that is no time", () => {
  expect(timesOf([5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 8])).toEqual([5, 5, 5, 5, 8]);
});

it("has a time even before the first one, and goes on from there", () => {
  expect(timesOf([Number.NaN, Number.NaN, 1_000, 1_003, 400])).toEqual([0, 0, 0, 3, 3]);
});

it("takes no infinity for a time, not even for the first", () => {
  const infinity = Number.POSITIVE_INFINITY;
  expect(timesOf([-infinity, infinity, 5, -infinity, 7])).toEqual([0, 0, 0, 0, 2]);
});

it("shows its last time to who can't tell anybody that it throws", () => {
  const readings = [undefined, 5, undefined, 7];
  const clock = new ForwardClock(() => {
    const reading = readings.shift();
    if (reading === undefined) throw new Error("no time");
    return reading;
  });
  expect([clock.nowOrLast(), clock.now(), clock.nowOrLast(), clock.nowOrLast()]).toEqual([0, 0, 0, 2]);
  expect(() => clock.now()).toThrow("no time");
});
