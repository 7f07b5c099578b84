// What is refused: it throws, says why, and counts nothing.

import { perSecond, type Rate } from "trypema";
import { describe, expect, it } from "vitest";
import { NOTHING, refused, STRATEGIES, type Unchecked } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeHostileInput({ open }: Subject): void {
  describe.each(STRATEGIES)("%s", (strategy) => {
    it.each<[string, unknown, RegExp]>([
      ["an empty string", "", /empty/],
      ["256 bytes of ASCII", "x".repeat(256), /255 bytes/],
      ["256 bytes in pairs", "é".repeat(128), /255 bytes/],
      ["256 bytes in fours", "🐪".repeat(64), /255 bytes/],
      ["a million characters", "x".repeat(1_000_000), /1000000 characters/],
      ["half a surrogate pair", "\ud83d", /surrogate/],
      ["undefined", undefined, /undefined/],
      ["null", null, /null/],
      ["a number", 7, /7/],
      ["an object", {}, /object/],
      ["a symbol", Symbol("s"), /Symbol\(s\)/],
    ])("refuses %s as a key, in every method", async (_, key, message) => {
      const code = "INVALID_KEY";
      const provider = await open();
      const limiter = provider[strategy];
      const rate = perSecond(5);
      await refused(() => (limiter.inc as Unchecked).call(limiter, key, rate), code, message);
      await refused(() => (limiter.isAllowed as Unchecked).call(limiter, key), code, message);
      await refused(() => (limiter.get as Unchecked).call(limiter, key), code, message);
      await refused(() => (limiter.adjust as Unchecked).call(limiter, key, 1), code, message);
      await refused(() => (limiter.delete as Unchecked).call(limiter, key), code, message);
      await refused(() => (limiter.setIf as Unchecked).call(limiter, key, rate, { op: "always" }, 1), code, message);
      if (strategy === "suppressed") {
        const { suppressed } = provider;
        await refused(() => (suppressed.getSuppressionFactor as Unchecked).call(suppressed, key), code, message);
      }
    });

    it.each<[unknown, RegExp]>([
      [0, /got 0, expected a positive integer/],
      [-1, /got -1/],
      [1.5, /got 1\.5/],
      [Number.NaN, /got NaN/],
      [Number.POSITIVE_INFINITY, /got Infinity/],
      [2 ** 53, /got 9007199254740992/],
      ["1", /got "1"/],
      [null, /got null/],
      [1n, /got 1n/],
      [{}, /got an object/],
    ])("refuses %s as a count", async (count, shown) => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 3);
      await refused(() => (limiter.inc as Unchecked).call(limiter, "k", perSecond(5), count), "INVALID_COUNT", shown);
      await refused(() => (limiter.inc as Unchecked).call(limiter, "new", perSecond(5), count), "INVALID_COUNT", shown);
      await refused(() => (limiter.isAllowed as Unchecked).call(limiter, "k", count), "INVALID_COUNT", shown);
      expect((await limiter.get("k")).total).toBe(3);
      expect(await limiter.get("new")).toEqual(NOTHING);
    });

    it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53, "1", null, undefined])(
      "refuses %s as a correction",
      async (delta) => {
        const limiter = (await open())[strategy];
        await limiter.inc("k", perSecond(5), 3);
        await refused(() => (limiter.adjust as Unchecked).call(limiter, "k", delta), "INVALID_COUNT", /delta: got/);
        expect((await limiter.get("k")).total).toBe(3);
      },
    );

    it.each([0, -1, Number.NaN, Number.NEGATIVE_INFINITY, "5", null, undefined, {}, 5n])(
      "refuses %s as a rate",
      async (rate) => {
        const limiter = (await open())[strategy];
        await limiter.inc("k", perSecond(5), 3);
        const message = /^rate: got .*perSecond/;
        await refused(() => limiter.inc("k", rate as Rate), "INVALID_RATE", message);
        await refused(() => limiter.inc("new", rate as Rate), "INVALID_RATE", message);
        await refused(() => limiter.setIf("k", rate as Rate, { op: "always" }, 1), "INVALID_RATE", message);
        if (rate !== undefined) {
          await refused(() => limiter.isAllowed("k", 1, rate as Rate), "INVALID_RATE", message);
          await refused(() => limiter.isAllowed("new", 1, rate as Rate), "INVALID_RATE", message);
        }
        expect(await limiter.get("k")).toMatchObject({ total: 3, limit: 5 });
        expect(await limiter.get("new")).toEqual(NOTHING);
      },
    );

    it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, undefined])(
      "takes %s of a clock for a pause, also before its first time",
      async (noTime) => {
        let reading: unknown = noTime;
        const limiter = (await open({ clock: () => reading as number, hardLimitFactor: 1 }))[strategy];
        const admitted = async () => {
          const { allowed } = await limiter.inc("k", perSecond(2));
          return allowed;
        };
        expect([await admitted(), await admitted(), await admitted()]).toEqual([true, true, false]);
        for (const time of [1_700_000_000_000, noTime, 1_700_000_000_999]) {
          reading = time;
          expect(await admitted()).toBe(false);
        }
        reading = 1_700_000_002_000;
        expect(await admitted()).toBe(true);
      },
    );

    it("refuses a rate that could never admit anything, and says which window would do", async () => {
      const limiter = (await open({ windowMs: 1_000 }))[strategy];
      const rate = perSecond(0.25);
      await refused(() => limiter.inc("k", rate), "CAPACITY_BELOW_ONE", /windowMs to at least 4000/);
      await refused(() => limiter.setIf("k", rate, { op: "always" }, 1), "CAPACITY_BELOW_ONE", /4000/);
      await refused(() => limiter.isAllowed("k", 1, rate), "CAPACITY_BELOW_ONE", /4000/);
      expect(await limiter.get("k")).toEqual(NOTHING);
    });

    it.each([
      [[{ op: "le", value: 1 }, 1], "INVALID_OPTION", /condition\.op: got "le"/],
      [[{}, 1], "INVALID_OPTION", /condition\.op: got undefined/],
      [[undefined, 1], "INVALID_OPTION", /condition\.op/],
      [[null, 1], "INVALID_OPTION", /condition\.op/],
      [[{ op: "lt" }, 1], "INVALID_COUNT", /condition\.value: got undefined/],
      [[{ op: "lt", value: Number.NaN }, 1], "INVALID_COUNT", /condition\.value: got NaN/],
      [[{ op: "lt", value: "9" }, 1], "INVALID_COUNT", /condition\.value: got "9"/],
      [[{ op: "always" }, -1], "INVALID_COUNT", /count: got -1/],
      [[{ op: "always" }, 1.5], "INVALID_COUNT", /count: got 1\.5/],
      [[{ op: "always" }], "INVALID_COUNT", /count: got undefined/],
      [[{ op: "always" }, 1, "keep"], "INVALID_OPTION", /history: got "keep"/],
      [[{ op: "always" }, 1, null], "INVALID_OPTION", /history: got null/],
    ] as const)("refuses setIf(key, rate, ...%j)", async (args, code, message) => {
      const limiter = (await open())[strategy];
      await limiter.inc("k", perSecond(5), 3);
      await refused(() => (limiter.setIf as Unchecked).call(limiter, "k", perSecond(9), ...args), code, message);
      expect(await limiter.get("k")).toMatchObject({ total: 3, limit: 5 });
    });
  });
}
