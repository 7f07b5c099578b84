import { createLocalProvider, perMinute } from "trypema";
import { manualClock } from "trypema/testing";
import { expect, it } from "vitest";

it("stands still until it is moved, and then shows just that time", () => {
  const clock = manualClock(1_000);
  expect([clock(), clock()]).toEqual([1_000, 1_000]);
  clock.advance(0.5);
  expect(clock()).toBe(1_000.5);
  clock.advance(-1_000);
  expect(clock()).toBe(0.5);
  clock.set(7);
  expect(clock()).toBe(7);
});

it("lets a minute's limit be tested at once", () => {
  const clock = manualClock();
  const { absolute } = createLocalProvider({ windowMs: 60_000, clock });
  expect(absolute.inc("key", perMinute(1)).allowed).toBe(true);
  clock.advance(59_999);
  expect(absolute.inc("key", perMinute(1)).allowed).toBe(false);
  clock.advance(1);
  expect(absolute.inc("key", perMinute(1)).allowed).toBe(true);
});

it.each([Number.NaN, Number.POSITIVE_INFINITY, "5", undefined])("refuses %s as a time", (ms) => {
  const clock = manualClock();
  const refusal = expect.objectContaining({ code: "INVALID_OPTION" });
  expect(() => clock.advance(ms as number)).toThrow(refusal);
  expect(() => clock.set(ms as number)).toThrow(refusal);
  if (ms !== undefined) expect(() => manualClock(ms as number)).toThrow(refusal);
  expect(clock()).toBe(0);
});
