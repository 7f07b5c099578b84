// What a limit may be, and what is said of each mistake.

import { perMinute, perSecond, unlimited } from "trypema";
import { describe, expect, it } from "vitest";
import { type LimitDefinition, type LimitOverride, rateFrom, resolveLimit } from "./definition.ts";

const WINDOW_MS = 60_000;
const FACTOR = 1.5;

function resolve(definition: unknown, name = "day") {
  return resolveLimit(name, definition as LimitDefinition, FACTOR);
}

function refuses(call: () => unknown, code: string, message: RegExp): void {
  expect(call).toThrow(
    expect.objectContaining({ name: "TrypemaError", code, message: expect.stringMatching(message) }),
  );
}

describe("a limit", () => {
  it("has the defaults of a provider where it says nothing", () => {
    expect(resolve({ limit: 90, windowMs: WINDOW_MS })).toEqual({
      name: "day",
      strategy: "absolute",
      windowMs: WINDOW_MS,
      bucketMs: 100,
      hardLimitFactor: FACTOR,
      rate: perMinute(90),
      blockMs: 0,
    });
    expect(resolve({ limit: 1, windowMs: 20 }).bucketMs).toBe(20);
  });

  it("has what it says", () => {
    const suppressed = {
      rate: perSecond(5),
      windowMs: 10_000,
      bucketMs: 50,
      strategy: "suppressed",
      hardLimitFactor: 3,
    };
    expect(resolve(suppressed)).toMatchObject(suppressed);
    expect(resolve({ limit: 5, windowMs: 10, strategy: "absolute", blockMs: 700 })).toMatchObject({ blockMs: 700 });
    expect(resolve({ ...suppressed, hardLimitFactor: 1 }).hardLimitFactor).toBe(1);
    expect(resolve({ rate: unlimited(), windowMs: 10 }).rate).toBe(Number.POSITIVE_INFINITY);
  });

  it.each<[unknown, RegExp]>([
    [
      { windowMs: WINDOW_MS },
      /^day\.limit: got undefined, expected a positive integer, or rate: perMinute\(60\) in its place \(node_modules/,
    ],
    [
      { limit: 5, rate: perMinute(5), windowMs: WINDOW_MS },
      /^day\.limit: got 5 beside a rate, expected a positive integer, or rate/,
    ],
    ...[0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "5", null, {}].map((limit): [unknown, RegExp] => [
      { limit, windowMs: WINDOW_MS },
      /^day\.limit: got .*, expected a positive integer, or rate: perMinute\(60\) in its place \(node_modules/,
    ]),
    [{ limit: 5 }, /^day\.windowMs: missing; expected milliseconds, such as minutes/],
    [{ limit: 5, windowMs: 0 }, /^windowMs: got 0/],
    [{ limit: 5, windowMs: 10, bucketMs: 11 }, /^bucketMs: got 11/],
    [{ limit: 5, windowMs: 10, hardLimitFactor: 0.5 }, /^hardLimitFactor: got 0\.5/],
    [
      { limit: 5, windowMs: 10, strategy: "fixed" },
      /^day\.strategy: got "fixed", expected "absolute" or "suppressed" \(node_modules/,
    ],
    [{ limit: 5, windowMs: 10, strategy: null }, /^day\.strategy: got null/],
    [{ limit: 5, windowMs: 10, blockMs: 0 }, /^day\.blockMs: got 0, expected a number of milliseconds from 1 /],
    [{ limit: 5, windowMs: 10, blockMs: "5" }, /^day\.blockMs: got "5"/],
    [
      { limit: 5, windowMs: 10, strategy: "suppressed", blockMs: 5 },
      /^day\.blockMs: only an absolute limit can block \(node_modules/,
    ],
    [{ limit: 5, windowMs: 10, blockMS: 5 }, /^limit "day"\.blockMS is not an option; there are limit, rate, windowMs/],
    [null, /^limit "day": got null, expected an object \(node_modules/],
    [5, /^limit "day": got 5/],
    [[], /^limit "day": got an array/],
  ])("can't be %j", (definition, message) => {
    refuses(() => resolve(definition), "INVALID_OPTION", message);
  });

  it("has a rate that fits into its window", () => {
    refuses(() => resolve({ rate: -1, windowMs: WINDOW_MS }), "INVALID_RATE", /^rate: got -1/);
    refuses(() => resolve({ rate: perMinute(1), windowMs: 1_000 }), "CAPACITY_BELOW_ONE", /at least 60000/);
  });

  it.each(["a", "x".repeat(60), "api:v2/day", "__proto__", "constructor", "don't"])("may be called %s", (name) => {
    expect(resolve({ limit: 5, windowMs: 10 }, name).name).toBe(name);
  });

  it.each(["", "x".repeat(61), "a b", "a{b", "a}b", "a|b", "é", "a\n", "\u007f"])("can't be called %j", (name) => {
    refuses(() => resolve({ limit: 5, windowMs: 10 }, name), "INVALID_OPTION", /^limit ".*: a name has 1 to 60 char/);
  });
});

describe("another limit for one call", () => {
  it("is a count, the same as a limit, or a rate", () => {
    for (const given of [90, { limit: 90 }, { rate: perMinute(90) }]) {
      expect(rateFrom("overrides.day", given, WINDOW_MS)).toBe(perMinute(90));
    }
  });

  it.each([0, 1.5, "5", null, {}, { limit: 0 }, { limit: 5, rate: perMinute(5) }, () => 5])("can't be %s", (given) => {
    const call = () => rateFrom("overrides.day", given as LimitOverride, WINDOW_MS);
    refuses(call, "INVALID_OPTION", /^overrides\.day\.limit: got/);
  });

  it("is a rate that fits into the window", () => {
    refuses(() => rateFrom("overrides.day", { rate: perMinute(1) }, 1_000), "CAPACITY_BELOW_ONE", /at least 60000/);
    refuses(() => rateFrom("overrides.day", { rate: "5" as never }, 1_000), "INVALID_RATE", /^rate: got "5"/);
  });
});
