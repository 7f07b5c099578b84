import { perSecond } from "trypema";
import { expect, it } from "vitest";
import { Records } from "./records.ts";

it("keep no memory when there are none any longer", () => {
  const records = new Records();
  const add = (key: string) => {
    records.select(records.add());
    records.begin(key, perSecond(1));
  };
  for (let i = 0; i < 100_000; i++) add(`k${i}`);
  for (let i = 99_999; i >= 0; i--) {
    records.select(i);
    records.remove();
  }
  expect([records.words.length, records.halves.length]).toEqual([0, 0]);
  add("k");
  expect(records.keyOf(records.selected)).toBe("k");
  records.clear();
  expect([records.words.length, records.halves.length]).toEqual([0, 0]);
});
