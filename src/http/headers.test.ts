// What is sent, and that a parser of structured fields reads the same.

import fc from "fast-check";
import { parseDictionary, parseItem, parseList } from "structured-headers";
import { describe, expect, it } from "vitest";
import { type HeaderForm, type ServiceLimit, serialiserOf } from "./headers.ts";

const burst: ServiceLimit = {
  limiter: "burst",
  limit: 100,
  remaining: 50,
  windowSeconds: 60,
  resetSeconds: 30,
  denied: false,
  hidesRemaining: false,
};
const daily: ServiceLimit = {
  ...burst,
  limiter: "daily",
  limit: 1_000,
  remaining: 0,
  windowSeconds: 86_400,
  denied: true,
};

function fieldsOf(
  form: HeaderForm,
  limits: readonly ServiceLimit[],
): { readonly [name: string]: string; readonly ratelimit: string } {
  const fields = serialiserOf(form)!(limits);
  return Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]!]] : []))) as ReturnType<
    typeof fieldsOf
  >;
}

describe("the header fields", () => {
  it("of draft 10", () => {
    expect(fieldsOf("draft-10", [burst])).toEqual({
      "ratelimit-policy": '"burst";q=100;w=60',
      ratelimit: '"burst";r=50;t=30',
    });
    expect(fieldsOf("draft-10", [{ ...burst, resetSeconds: undefined }, daily])).toEqual({
      "ratelimit-policy": '"burst";q=100;w=60, "daily";q=1000;w=86400',
      ratelimit: '"burst";r=50, "daily";r=0;t=30',
    });
  });

  it("of draft 7, of the tightest limiter", () => {
    expect(fieldsOf("draft-7", [burst, daily])).toEqual({
      "ratelimit-policy": "100;w=60, 1000;w=86400",
      ratelimit: "limit=1000, remaining=0, reset=30",
    });
  });

  it("of draft 6, of the tightest limiter", () => {
    expect(fieldsOf("draft-6", [{ ...burst, resetSeconds: undefined }])).toEqual({
      "ratelimit-policy": "100;w=60",
      "ratelimit-limit": "100",
      "ratelimit-remaining": "50",
      "ratelimit-reset": "60",
    });
  });

  it("of before, with a reset in seconds since 1970", () => {
    const before = Math.ceil(Date.now() / 1_000) + 30;
    const { "x-ratelimit-reset": reset, ...others } = fieldsOf("x-ratelimit", [burst]);
    expect(others).toEqual({ "x-ratelimit-limit": "100", "x-ratelimit-remaining": "50" });
    expect(Number(reset)).toBeGreaterThanOrEqual(before);
    expect(Number(reset)).toBeLessThanOrEqual(Math.ceil(Date.now() / 1_000) + 30);
  });

  it.each(["draft-10", "draft-7", "draft-6", "x-ratelimit"] as const)("of %s never say what is hidden", (form) => {
    const hidden = { ...burst, limiter: "hidden", remaining: 7, resetSeconds: 9 };
    const limits = [{ ...hidden, hidesRemaining: true }, daily];
    const shown = fieldsOf(form, [daily]);
    const { "ratelimit-policy": policy, ...usage } = fieldsOf(form, limits);
    const { "ratelimit-policy": _, ...expected } = shown;
    expect(Object.keys(usage)).toEqual(Object.keys(expected));
    if (form !== "x-ratelimit") expect(usage).toEqual(expected);
    expect(policy?.split(", ")).toEqual(form === "x-ratelimit" ? undefined : [expect.any(String), expect.any(String)]);
    const names = Object.keys(fieldsOf(form, [limits[0]!]));
    expect(names.filter((name) => !/-(policy|limit)$/.test(name))).toEqual([]);
  });

  it("are none, or an error", () => {
    expect(serialiserOf("none")).toBeUndefined();
    expect(() => serialiserOf("toString" as HeaderForm)).toThrow(/headers: got "toString", expected one of draft-10/);
  });

  it("follow a limit that changes", () => {
    const serialise = serialiserOf("draft-10")!;
    const policies = [100, 100, 7, 100].map((limit) => serialise([{ ...burst, limit }])[1]);
    expect(policies.map((policy) => /q=(\d+)/.exec(policy!)![1])).toEqual(["100", "100", "7", "100"]);
  });

  const serviceLimit = fc.record({
    limiter: fc.stringMatching(/^[\w./*-]{1,64}$/),
    limit: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    remaining: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    windowSeconds: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    resetSeconds: fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), { nil: undefined }),
    denied: fc.boolean(),
    hidesRemaining: fc.constant(false),
  });
  const clamped = (value: number) => Math.min(value, 999_999_999_999_999);

  it("are structured fields that say what they were made of", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(serviceLimit, { minLength: 1, maxLength: 4, selector: ({ limiter }) => limiter }),
        (all) => {
          const ten = fieldsOf("draft-10", all);
          expect(parseList(ten["ratelimit-policy"]!)).toEqual(
            all.map(({ limiter, limit, windowSeconds }) => [
              limiter,
              new Map([
                ["q", clamped(limit)],
                ["w", clamped(windowSeconds)],
              ]),
            ]),
          );
          expect(parseList(ten.ratelimit)).toEqual(
            all.map(({ limiter, remaining, resetSeconds }) => [
              limiter,
              new Map([
                ["r", clamped(remaining)],
                ...(resetSeconds === undefined ? [] : [["t", clamped(resetSeconds)] as [string, number]]),
              ]),
            ]),
          );
          const seven = fieldsOf("draft-7", all);
          expect([...parseDictionary(seven.ratelimit).keys()]).toEqual(["limit", "remaining", "reset"]);
          expect(parseList(seven["ratelimit-policy"]!)).toHaveLength(all.length);
          for (const [name, value] of Object.entries(fieldsOf("draft-6", all))) {
            if (name !== "ratelimit-policy") expect(parseItem(value)[0]).toBe(Number(value));
          }
        },
      ),
      { seed: 5, numRuns: 500 },
    );
  });
});
