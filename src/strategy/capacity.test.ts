import { describe, expect, it } from "vitest";
import { perDay, perHour, perMinute, perSecond, type Rate, unlimited } from "../core/rate.ts";
import { capacityOf, hardLimitOf } from "./capacity.ts";

describe("capacity", () => {
  it("is exact for large numbers too", () => {
    expect(capacityOf(perSecond(1e9), 3_600_000)).toBe(3_600_000_000_000);
    expect(capacityOf(perSecond(1e15), 1_000)).toBe(1e15);
  });

  it("is exact up to the largest totals where the window is of whole seconds", () => {
    for (const count of [123_456_789_012_345, 8e12 + 1, 2 ** 51 + 1, 2 ** 52 + 1, 2 ** 53 - 1]) {
      expect(capacityOf(perSecond(count), 1_000)).toBe(count);
    }
    for (let count = 1e11 + 7; count < 2 ** 50; count = Math.floor(count * 1.37)) {
      expect(capacityOf(perSecond(count), 1_000)).toBe(count);
      expect(capacityOf(perSecond(count), 100)).toBe(Math.floor(count / 10));
      expect(capacityOf(perMinute(count), 60_000)).toBe(count);
      expect(capacityOf(perHour(count), 3_600_000)).toBe(count);
      expect(capacityOf(perDay(count), 86_400_000)).toBe(count);
      expect(hardLimitOf(perMinute(count), 60_000, 1)).toBe(count);
    }
  });

  it("is exactly what the rate was meant to give, whatever floating point makes of it", () => {
    for (let count = 1; count <= 10_000; count++) {
      expect(capacityOf(perMinute(count), 60_000)).toBe(count);
      expect(capacityOf(perHour(count), 3_600_000)).toBe(count);
      expect(capacityOf(perDay(count), 86_400_000)).toBe(count);
      expect(capacityOf(perSecond(count / 10), 10_000)).toBe(count);
    }
  });

  it("rounds down what is really a fraction", () => {
    expect(capacityOf(perSecond(5.5), 1_000)).toBe(5);
    expect(capacityOf(perSecond(1.9999), 1_000)).toBe(1);
    expect(capacityOf(perSecond(0.5), 2_000)).toBe(1);
  });

  it("is infinite without a limit", () => {
    expect(capacityOf(unlimited(), 1)).toBe(Number.POSITIVE_INFINITY);
    expect(hardLimitOf(unlimited(), 1, 1.5)).toBe(Number.POSITIVE_INFINITY);
  });

  it("refuses a window that could never admit anything, and names one that could", () => {
    expect(() => capacityOf(perSecond(0.1), 9_999)).toThrowError(/windowMs to at least 10000/);
    expect(() => capacityOf(perSecond(0.3), 1_000)).toThrowError(/windowMs to at least 3334/);
    expect(() => capacityOf(perDay(1_000), 60_000)).toThrowError(
      /^rate 1000 per day: a window of 60000 ms holds .* at least 86400; for 1000 in any day set windowMs to 86400000 \(/,
    );
    expect(() => capacityOf(perMinute(0.5), 60_000)).toThrowError(
      /^rate 30 per hour: .* at least 120000; for 30 in any hour/,
    );
    expect(() => capacityOf(perSecond(0.5), 1_000)).toThrowError(/^rate 30 per minute: .* at least 2000;/);
    expect(() => capacityOf(perSecond(Math.PI), 10)).toThrowError(/^rate 3.14\d+ per second: .* at least 319 \(/);
    expect(() => capacityOf(perSecond(20), 10)).toThrowError(
      /^rate 20 per second: .* at least 50; for 20 in any second/,
    );
    expect(() => capacityOf(perSecond(1e-7), 1_000)).toThrowError(/rate 1e-7 per second: .* at least 10000000000 \(/);
    expect(() => capacityOf(perSecond(0.1), 9_999)).toThrowError(
      expect.objectContaining({ code: "CAPACITY_BELOW_ONE" }),
    );
    expect(capacityOf(perSecond(0.1), 10_000)).toBe(1);
  });

  it.each([0, -1, Number.NaN, "5", null, undefined, 5n])("refuses %s as a rate", (rate) => {
    expect(() => capacityOf(rate as Rate, 1_000)).toThrowError(expect.objectContaining({ code: "INVALID_RATE" }));
  });

  it("has a ceiling for accepted usage that is as exact", () => {
    expect(hardLimitOf(perSecond(10), 1_000, 1.5)).toBe(15);
    expect(hardLimitOf(perSecond(10), 10_000, 1.15)).toBe(115);
    expect(hardLimitOf(perSecond(1.1), 1_000, 10)).toBe(11);
  });
});
