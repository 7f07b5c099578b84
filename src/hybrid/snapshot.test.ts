import { expect, it } from "vitest";
import { NO_SNAPSHOT, Snapshot } from "./snapshot.ts";
import type { Timing } from "./timing.ts";

const TIMING = { windowMs: 1_000, bucketMs: 100 } as Timing;

it("of a key without hits, the first hit makes the first bucket", () => {
  expect(NO_SNAPSHOT.withHit(3, 50, TIMING)).toMatchObject({ buckets: 1, first: { expiryMs: 1_050, accepted: 3 } });
});

it("hits in the cell of the only bucket keep it alive", () => {
  const one = NO_SNAPSHOT.withHit(3, 50, TIMING).withHit(2, 99, TIMING);
  expect(one).toMatchObject({ buckets: 1, first: { expiryMs: 1_099, accepted: 5 } });
});

it("a hit in a later cell leaves the first bucket as it is, and so do all that follow", () => {
  const two = NO_SNAPSHOT.withHit(3, 50, TIMING).withHit(2, 100, TIMING);
  expect(two).toMatchObject({ buckets: 2, first: { expiryMs: 1_050, accepted: 3 } });
  expect(two.withHit(7, 500, TIMING)).toBe(two);
});

it("when the first bucket has expired, the second is the first, once", () => {
  const first = { expiryMs: 100, accepted: 3 };
  const second = { expiryMs: 200, accepted: 4 };
  const many = new Snapshot(3, first, second, false);
  const next = many.withoutFirst(150);
  expect(next).toMatchObject({ first: second, second: undefined });
  expect(next?.withoutFirst(250)).toBeUndefined();
});

it("of a bucket that grows, nobody knows when it expires", () => {
  const two = new Snapshot(2, { expiryMs: 100, accepted: 3 }, undefined, false);
  expect(two.withoutFirst(100)).toBeUndefined();
  const late = new Snapshot(3, { expiryMs: 100, accepted: 3 }, { expiryMs: 120, accepted: 1 }, false);
  expect(late.withoutFirst(120)).toBeUndefined();
});
