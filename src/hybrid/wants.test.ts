import { describe, expect, it } from "vitest";
import { recentDemand, wantedHeadroom, wantedLease } from "./wants.ts";

const HORIZON_MS = 500;
const SHORT_MS = 50;
const PLENTY = 1_000_000;

describe("the demand within the last 500 ms", () => {
  it.each([
    ["is what was called for, if that came within them", 0, 40, 100, 40],
    ["is the part of it that came within them, as if it had come evenly", 0, 40, 1_000, 20],
    ["has what was known before, faded by the time that has passed", 100, 0, 100, 80],
    ["has both together", 100, 40, 100, 120],
    ["has nothing of what is longer ago", 100, 0, 500, 0],
    ["is all of what was called for at once", 0, 40, 0, 40],
    ["begins with the first calls, before which nothing was known", 0, 40, Number.POSITIVE_INFINITY, 0],
  ])("%s", (_, before, count, spanMs, demand) => {
    expect(recentDemand(before, { count, spanMs }, HORIZON_MS)).toBeCloseTo(demand);
  });
});

describe("a lease", () => {
  it.each([
    ["is wanted for twice what was called for lately", 100, 10, 100, PLENTY, 200],
    ["is wanted for long only as a sixteenth of what nobody has", 100, 10, 100, 320, 20],
    ["is wanted for the next 50 ms, twice, however little nobody has", 100, 10, 100, 0, 20],
    ["is larger where the last calls came faster than those before", 100, 40, 50, 0, 80],
    ["counts of a longer span only the last 50 ms", 0, 40, 200, 0, 20],
    ["isn't wanted by a process that wasn't called", 0, 0, 100, PLENTY, 0],
    ["is a whole number", 0, 1, 150, 0, 0],
    ["isn't wanted less because more is used than the capacity", 100, 10, 100, -50, 20],
  ])("%s", (_, recent, count, spanMs, unleased, wanted) => {
    expect(wantedLease(recent, { count, spanMs }, unleased, HORIZON_MS, { shortHorizonMs: SHORT_MS })).toBe(wanted);
  });
});

describe("headroom", () => {
  it.each([
    ["is wanted for twice what draws admit until the next answer", 100, 0, 150, 60],
    ["is wanted for 50 ms at least", 100, 0, 10, 20],
    ["is larger where the last draws came faster than those before", 100, 40, 10, 80],
    ["is wanted for no longer than draws are looked back at", 100, 0, 10_000, 200],
    ["is at least 1 after any draw that admits", 0.1, 0, 10, 1],
    ["isn't wanted where no draw admits", 0, 0, 10, 0],
  ])("%s", (_, recent, count, spanMs, wanted) => {
    expect(wantedHeadroom(recent, { count, spanMs }, { shortHorizonMs: SHORT_MS, longHorizonMs: HORIZON_MS })).toBe(
      wanted,
    );
  });
});
