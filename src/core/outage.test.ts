import { expect, it } from "vitest";
import { Outage } from "./outage.ts";

it("begins with the first call that something else decides about", () => {
  const outage = new Outage();
  expect(outage.lasts).toBe(false);
  expect(outage.endAt(0)).toBeUndefined();
  expect([outage.addCall(10), outage.addCall(20)]).toEqual([true, false]);
  expect(outage.lasts).toBe(true);
});

it("ends with an answer five seconds after the last such call, and tells how many there were", () => {
  const outage = new Outage();
  for (const nowMs of [1_000, 2_500, 4_000]) outage.addCall(nowMs);
  expect(outage.endAt(8_999)).toBeUndefined();
  expect(outage.lasts).toBe(true);
  expect(outage.endAt(9_000)).toEqual({ calls: 3, durationMs: 3_000 });
  expect(outage.lasts).toBe(false);
});

it("is one outage while the backend comes and goes, and another one after that", () => {
  const outage = new Outage();
  let begun = 0;
  for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000) {
    if (outage.addCall(nowMs)) begun++;
    expect(outage.endAt(nowMs + 500)).toBeUndefined();
  }
  expect(begun).toBe(1);
  expect(outage.endAt(64_000)).toMatchObject({ calls: 60 });
  expect(outage.addCall(65_000)).toBe(true);
});
