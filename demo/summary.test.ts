import { createLocalProvider, perSecond } from "trypema";
import { manualClock, seededRandom } from "trypema/testing";
import { describe, expect, it } from "vitest";
import { arrivals } from "./load.ts";
import { SHOW_LIMIT } from "./show.ts";
import { countedSpan, notesOn, type PhaseResult, tableOf } from "./summary.ts";

function result(strategy: PhaseResult["strategy"], timesLimit: number, admitted: number[]): PhaseResult {
  const offered = timesLimit * 100;
  const seconds = admitted.map((count) => {
    return {
      offered,
      admitted: count,
      denied: offered - count,
      failed: 0,
      factor: 0,
      askedRedis: offered / 4,
      admittedBy: [count],
    };
  });
  return { strategy, timesLimit, seconds };
}

describe("the table", () => {
  it("has a row for each phase, over the counted seconds alone", () => {
    const results = [
      result("absolute", 0.5, [999, 50, 50, 50, 50]),
      result("absolute", 10, [999, 200, 0, 200, 0]),
      result("suppressed", 10, [999, 110, 90, 110, 110]),
    ];
    expect(tableOf(results, 100, { first: 2, last: 5 })).toEqual([
      "strategy    load  offered/s  admitted/s  of the limit  variation  asked Redis",
      "absolute    0.5x       50.0        50.0          50 %       0.00       25.0 %",
      "absolute     10x     1000.0       100.0         100 %       1.00       25.0 %",
      "suppressed   10x     1000.0       105.0         105 %       0.08       25.0 %",
    ]);
  });

  it("claims no share of the limit where the phases were too short to tell", () => {
    expect(tableOf([result("absolute", 10, [200])], 100, undefined)[1]).toBe(
      "absolute   10x     1000.0       200.0             -          -       25.0 %",
    );
  });

  it("has no variation where nothing was admitted", () => {
    expect(tableOf([result("absolute", 1, [0, 0])], 100, { first: 1, last: 2 })[1]).toBe(
      "absolute    1x      100.0         0.0           0 %          -       25.0 %",
    );
  });
});

describe("the counted seconds", () => {
  it.each([
    { phaseSeconds: 8, first: 3, last: 8 },
    { phaseSeconds: 9, first: 4, last: 9 },
    { phaseSeconds: 4, first: 3, last: 4 },
  ])(
    "are all whole windows but the first, up to the end, of a phase of $phaseSeconds s",
    ({ phaseSeconds, first, last }) => {
      expect(countedSpan(phaseSeconds, 2)).toEqual({ first, last });
    },
  );

  it.each([1, 2, 3])("do not exist where a phase of %d s has no second window", (phaseSeconds) => {
    expect(countedSpan(phaseSeconds, 2)).toBeUndefined();
  });
});

it("the notes say what was counted, how much randomness alone would vary, and how near the limit to expect it", () => {
  const notes = notesOn({ first: 3, last: 8 }, 100).join("\n");
  expect(notes).toContain("Counted: seconds 3 to 8 of each phase.");
  expect(notes).toContain("vary by 0.10 by themselves");
  expect(notes).toContain("may be a tenth off");
  expect(notesOn(undefined, 100).join("\n")).toContain("Counted: all of each phase, which was too short");
});

it("the limit that is shown has a capacity for which suppression promises its mean", () => {
  expect((SHOW_LIMIT.perSecond * SHOW_LIMIT.options.windowMs!) / 1_000).toBeGreaterThanOrEqual(256);
});

it("what the notes say of the mean holds for nearly all runs", () => {
  const { perSecond: limit, options } = SHOW_LIMIT;
  const { first, last } = countedSpan(9, options.windowMs! / 1_000)!;
  const runs = Array.from({ length: 40 }, (_, seed) => {
    const random = seededRandom(seed);
    const clock = manualClock();
    const { suppressed } = createLocalProvider({ ...options, random, clock, cleanup: false });
    let admitted = 0;
    for (let second = 1; second <= last; second++) {
      const startMs = clock();
      for (const dueMs of arrivals(10 * limit, random)) {
        clock.advance(startMs + dueMs - clock());
        if (suppressed.inc("k", perSecond(limit)).allowed && second >= first) admitted++;
      }
      clock.advance(startMs + 1_000 - clock());
    }
    return admitted / (last - first + 1) / limit;
  });
  expect(runs.filter((mean) => Math.abs(mean - 1) <= 0.1).length).toBeGreaterThanOrEqual(36);
});
