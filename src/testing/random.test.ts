import { seededRandom } from "trypema/testing";
import { expect, it } from "vitest";

function draws(seed: number, count: number): number[] {
  return Array.from({ length: count }, seededRandom(seed));
}

it("makes the same draws of the same seed, and others of another", () => {
  expect(draws(7, 100)).toEqual(draws(7, 100));
  expect(draws(7, 100)).not.toEqual(draws(8, 100));
  // What tests of users rest on: a change of these is a breaking one.
  expect(draws(1, 3)).toEqual([0.3678755429573357, 0.08161311969161034, 0.8205357783008367]);
});

it("draws evenly from 0 to just under 1, and without memory from one to the next", () => {
  const many = draws(42, 100_000);
  expect(Math.min(...many.slice(0, 50_000))).toBeGreaterThanOrEqual(0);
  expect(Math.max(...many.slice(0, 50_000))).toBeLessThan(1);
  const tenths = new Array<number>(10).fill(0);
  for (const draw of many) tenths[Math.floor(draw * 10)]!++;
  for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  const rises = many.filter((draw, i) => i > 0 && draw > many[i - 1]!).length;
  expect(Math.abs(rises - 50_000)).toBeLessThan(1_000);
});
