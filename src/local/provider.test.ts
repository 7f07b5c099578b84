import { expect, it } from "vitest";
import { perSecond } from "../core/rate.ts";
import { createLocalProvider, type LocalOptions } from "./provider.ts";

it.each<[Record<string, unknown>, RegExp]>([
  [{ windowMs: 0 }, /windowMs: got 0, expected a number from 1/],
  [{ windowMs: 0.5 }, /windowMs: got 0\.5/],
  [{ windowMs: -1 }, /windowMs: got -1/],
  [{ windowMs: Number.NaN }, /windowMs: got NaN/],
  [{ windowMs: Number.POSITIVE_INFINITY }, /windowMs: got Infinity/],
  [{ windowMs: "60000" }, /windowMs: got "60000"/],
  [{ windowMs: null }, /windowMs: got null/],
  [{ windowMs: 60_000n }, /windowMs: got 60000n/],
  [{ bucketMs: 0 }, /bucketMs: got 0, expected a number from 1 to 60000/],
  [{ bucketMs: Number.NaN }, /bucketMs: got NaN/],
  [{ bucketMs: 60_001 }, /bucketMs: got 60001, expected a number from 1 to 60000/],
  [{ windowMs: 50, bucketMs: 51 }, /bucketMs: got 51, expected a number from 1 to 50/],
  [{ hardLimitFactor: 0.99 }, /hardLimitFactor: got 0\.99, expected a number from 1/],
  [{ hardLimitFactor: Number.NaN }, /hardLimitFactor: got NaN/],
  [{ hardLimitFactor: Number.POSITIVE_INFINITY }, /hardLimitFactor: got Infinity/],
  [{ suppressionCacheMs: -1 }, /suppressionCacheMs: got -1, expected a number from 0/],
  [{ suppressionCacheMs: Number.NaN }, /suppressionCacheMs: got NaN/],
  [{ random: 0.5 }, /random: got 0\.5, expected a function/],
  [{ random: null }, /random: got null/],
  [{ clock: new Date() }, /clock: got an object, expected a function/],
  [{ maxKeys: 0 }, /maxKeys: got 0, expected a number from 1 to 16000000/],
  [{ maxKeys: 1.5 }, /maxKeys: got 1\.5, expected a whole number/],
  [{ maxKeys: 16_000_001 }, /maxKeys: got 16000001/],
  [{ maxKeys: Number.POSITIVE_INFINITY }, /maxKeys: got Infinity/],
  [{ cleanup: true }, /cleanup: got true, expected an object or false/],
  [{ cleanup: null }, /cleanup: got null, expected an object or false/],
  [{ cleanup: 30_000 }, /cleanup: got 30000/],
  [{ cleanup: [] }, /cleanup: got an array/],
  [{ cleanup: { intervalMs: 0 } }, /cleanup\.intervalMs: got 0, expected a number from 1 to 2147483647/],
  [{ cleanup: { intervalMs: 2 ** 31 } }, /cleanup\.intervalMs: got 2147483648/],
  [{ cleanup: { intervalMs: Number.NaN } }, /cleanup\.intervalMs: got NaN/],
  [{ cleanup: { staleAfterMs: 59_999 } }, /cleanup\.staleAfterMs: got 59999, expected a number from 60000/],
  [{ cleanup: { staleAfterMs: Number.NaN } }, /cleanup\.staleAfterMs: got NaN/],
  [{ cleanup: { interval: 5 } }, /cleanup\.interval is not an option; there are intervalMs, staleAfterMs/],
  [{ windowMS: 5 }, /windowMS is not an option; there are windowMs, bucketMs/],
])("refuses the options %o", (options, message) => {
  expect(() => createLocalProvider(options as LocalOptions)).toThrowError(
    expect.objectContaining({ name: "TrypemaError", code: "INVALID_OPTION", message: expect.stringMatching(message) }),
  );
});

it.each([null, 5, "60000", [], () => 0])("refuses %o for options", (options) => {
  expect(() => createLocalProvider(options as LocalOptions)).toThrowError(
    expect.objectContaining({
      code: "INVALID_OPTION",
      message: expect.stringMatching(/options: got .*, expected an object/),
    }),
  );
});

it("takes every option at its least, and undefined as the default", () => {
  const least = {
    windowMs: 1,
    bucketMs: 1,
    hardLimitFactor: 1,
    suppressionCacheMs: 0,
    maxKeys: 1,
    cleanup: { intervalMs: 1, staleAfterMs: 1 },
  };
  expect(createLocalProvider(least).absolute.inc("k", perSecond(1_000)).limit).toBe(1);
  const unset = Object.fromEntries(Object.keys({ ...least, random: 0, clock: 0 }).map((name) => [name, undefined]));
  expect(createLocalProvider(unset as LocalOptions).absolute.inc("k", perSecond(1)).limit).toBe(60);
});

it("has a bucket that is no longer than a short window by default", () => {
  let nowMs = 0;
  const { absolute } = createLocalProvider({ windowMs: 10, clock: () => nowMs });
  absolute.inc("k", perSecond(200));
  nowMs = 10;
  expect(absolute.get("k").total).toBe(0);
});

it("reads its options once, so that changing the object later changes nothing", () => {
  const options = { windowMs: 1_000, clock: () => 0 };
  const { absolute } = createLocalProvider(options);
  options.windowMs = 5_000;
  expect(absolute.inc("k", perSecond(1)).limit).toBe(1);
});

it("works with using, and limits go on after close", () => {
  let absolute: ReturnType<typeof createLocalProvider>["absolute"];
  {
    using provider = createLocalProvider();
    absolute = provider.absolute;
    provider.close();
  }
  expect(absolute.inc("k", perSecond(1), 60).allowed).toBe(true);
  expect(absolute.inc("k", perSecond(1)).allowed).toBe(false);
});
