// @ts-expect-error: the package has no types.
import calculateSlot from "cluster-key-slot";
import { expect, it } from "vitest";
import { slotOf } from "./slot.ts";

it.each(["", "k", "{k}", "a{b}c", "{}", "a}b{c", "p:{:é😀}s", "{", "x".repeat(300), "123456789"])(
  "finds the slot of %s as a Cluster does",
  (key) => {
    expect(slotOf(key)).toBe(calculateSlot(key));
  },
);
