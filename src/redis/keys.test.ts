// @ts-expect-error: the package has no types.
import calculateSlot from "cluster-key-slot";
import { expect, it } from "vitest";
import { KeyNames, readStateName } from "./keys.ts";

const window = { windowMs: 1_000, bucketMs: 100 };
const limiters = [
  new KeyNames("trypema", { name: "", strategy: "absolute", ...window }),
  new KeyNames("trypema", { name: "", strategy: "suppressed", ...window }),
  new KeyNames("trypema", { name: "", strategy: "absolute", windowMs: 86_400_000, bucketMs: 0.5 }),
  new KeyNames("trypema", { name: "burst", strategy: "absolute", ...window }),
  new KeyNames("trypema", { name: "a:{b}", strategy: "absolute", ...window }),
  new KeyNames("another", { name: "", strategy: "absolute", ...window }),
];
const keys = ["k", "{k}", "}", "{", "{}", "}{", "a}b", "a{b}c", ":", "é}", "x}b", "x"];

it.each(keys)("names all Redis keys of the key %s for one slot of a Cluster", (key) => {
  const names = limiters.flatMap((limiter) => limiter.withLeases(key));
  expect(new Set(names.map((name) => calculateSlot(name))).size).toBe(1);
});

it("gives no two keys, strategies or windows a Redis key in common", () => {
  const names = limiters.flatMap((limiter) => keys.flatMap((key) => limiter.withLeases(key)));
  expect(new Set(names).size).toBe(names.length);
});

it("reads the limit and the key from the name of a state, and from no other name", () => {
  const limits = ["", "burst", "a:{b}%", "é"].flatMap((name) =>
    (["absolute", "suppressed"] as const).map((strategy) => ({ name, strategy, windowMs: 86_400_000, bucketMs: 1.5 })),
  );
  for (const prefix of ["trypema", "a:a:1:1", "*"]) {
    for (const limit of limits) {
      for (const key of keys) {
        const [state, ...others] = new KeyNames(prefix, limit).withLeases(key);
        expect(readStateName(prefix, state)).toEqual({ limit, key });
        expect(others.map((name) => readStateName(prefix, name))).toEqual([undefined, undefined]);
        expect(readStateName("trypem", state)).toBeUndefined();
      }
    }
  }
  for (const name of ["trypema:a:1:1:%:{:k}", "trypema:x:1:1:{:k}", "trypema:a:1:{:k}", "trypema:{:k}", "trypema"]) {
    expect(readStateName("trypema", name)).toBeUndefined();
  }
});
