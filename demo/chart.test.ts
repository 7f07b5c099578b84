import { describe, expect, it } from "vitest";
import { type ChartStyle, headingOf, rowOf } from "./chart.ts";
import type { Second } from "./load.ts";

const plainStyle = (width: number): ChartStyle => ({ width, paint: (_ink, text) => text });

function second(figures: Partial<Second>): Second {
  return { offered: 0, admitted: 0, denied: 0, failed: 0, factor: 0, askedRedis: 0, admittedBy: [0], ...figures };
}

const row = (figures: Partial<Second>, width = 58) => rowOf(7, second(figures), 100, plainStyle(width));

describe("a row", () => {
  it("shows what is admitted solid, what else is offered light, and a mark at the limit", () => {
    expect(row({ offered: 50, admitted: 50 })).toBe("   7       50        50    0.00  █████     │");
    expect(row({ offered: 200, admitted: 120, factor: 0.4 })).toBe(
      "   7      200       120    0.40  ██████████│█░░░░░░░░",
    );
    expect(row({ offered: 200, admitted: 60, factor: 0.7 })).toBe(
      "   7      200        60    0.70  ██████░░░░│░░░░░░░░░",
    );
    expect(row({})).toBe("   7        0         0    0.00            │");
  });

  it("shows that a bar goes on beyond the scale", () => {
    expect(row({ offered: 1_000, admitted: 100, factor: 0.9 })).toBe(
      "   7     1000       100    0.90  ██████████│░░░░░░░░░░░░░…",
    );
    expect(row({ offered: 400, admitted: 400 })).toBe("   7      400       400    0.00  ██████████│█████████████…");
  });

  it("shows what each of several servers admitted", () => {
    expect(row({ offered: 200, admitted: 120, factor: 0.4, admittedBy: [30, 0, 90] }, 73)).toBe(
      "   7      200       120    0.40   30    0   90  ██████████│█░░░░░░░░",
    );
  });

  it("shows failures", () => {
    expect(row({ offered: 50, admitted: 40, failed: 10 }, 68)).toBe(
      "   7       50        40    0.00  10 failed  ████░     │",
    );
  });

  it("is never wider than it may be, and then has no bar", () => {
    const figures = { offered: 1_000, admitted: 300, failed: 700, factor: 0.5 };
    for (let width = 0; width <= 200; width++) expect(row(figures, width).length).toBeLessThanOrEqual(width);
    expect(row({ offered: 50, admitted: 50 }, 42)).toBe("   7       50        50    0.00");
    expect(row({ offered: 50, admitted: 50 }, 13)).toBe("   7       50");
  });

  it("paints each kind of cell, and the failures, with their ink", () => {
    const style: ChartStyle = { width: 68, paint: (ink, text) => `<${ink}>${text}</>` };
    expect(rowOf(7, second({ offered: 150, admitted: 50, failed: 9 }), 100, style)).toBe(
      "   7      150        50    0.00<failed>  9 failed</>  " +
        "<admitted>█████</><offered>░░░░░</><limit>│</><offered>░░░░</>",
    );
  });
});

describe("the heading", () => {
  it("names the columns and explains the bar", () => {
    expect(headingOf(plainStyle(80))).toBe("   s  offered  admitted  factor  █ admitted  ░ offered  │ limit");
  });

  it("names what each of several servers admitted", () => {
    expect(headingOf(plainStyle(80), 3)).toBe(
      "   s  offered  admitted  factor      by server  █ admitted  ░ offered  │ limit",
    );
  });

  it("leaves out what does not fit", () => {
    expect(headingOf(plainStyle(50))).toBe("   s  offered  admitted  factor");
    expect(headingOf(plainStyle(13))).toBe("   s  offered");
  });
});
