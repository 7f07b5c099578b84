import { expect, it } from "vitest";
import type { Answer } from "./protocol.ts";
import { rowAlone } from "./rows.ts";
import { expiresInMs, Snapshot } from "./snapshot.ts";

const GRID = { windowMs: 1_000, bucketMs: 100 };

function makeSnapshot(answer?: Partial<Answer>, grid = GRID): Snapshot {
  const snapshot = new Snapshot(rowAlone(), grid);
  if (answer !== undefined) snapshot.note({ leasedByOthers: 0, ...answer } as Answer, 0);
  return snapshot;
}

it("of a key without hits, the first hit makes the first bucket", () => {
  const snapshot = makeSnapshot();
  snapshot.addHit(3, 50);
  expect(snapshot).toMatchObject({ isGrowing: true, firstExpiryMs: 1_050, firstAccepted: 3 });
});

it("hits in the cell of the only bucket keep it alive", () => {
  const snapshot = makeSnapshot();
  snapshot.addHit(3, 50);
  snapshot.addHit(2, 99);
  expect(snapshot).toMatchObject({ isGrowing: true, firstExpiryMs: 1_099, firstAccepted: 5 });
});

it("a hit in a later cell leaves the first bucket as it is, and so do all that follow", () => {
  const snapshot = makeSnapshot();
  snapshot.addHit(3, 50);
  for (const hitMs of [100, 500]) {
    snapshot.addHit(7, hitMs);
    expect(snapshot).toMatchObject({ isGrowing: false, firstExpiryMs: 1_050, firstAccepted: 3 });
  }
});

it("a hit on the border of two cells is in the cell that Redis would count it in", () => {
  // The tenth cell begins there, though 3 000 and a third of 1 000 make the next larger number.
  const borderMs = 3_333.333_333_333_333;
  expect(3_000 + 1_000 / 3).toBeGreaterThan(borderMs);
  const snapshot = makeSnapshot(undefined, { windowMs: 1_000, bucketMs: 1_000 / 3 });
  snapshot.addHit(3, 3_000);
  snapshot.addHit(2, borderMs);
  expect(snapshot).toMatchObject({ isGrowing: false, firstExpiryMs: 4_000, firstAccepted: 3 });
});

const FIRST = { firstExpiresInMs: 100, firstAccepted: 3 };

it("when the first bucket has expired, the second is the first, once", () => {
  const snapshot = makeSnapshot({ buckets: 3, ...FIRST, secondExpiresInMs: 200, secondAccepted: 4 });
  expect(snapshot.tryDropFirst(150)).toBe(true);
  expect(snapshot).toMatchObject({ isGrowing: false, firstExpiryMs: 200, firstAccepted: 4 });
  expect(snapshot.tryDropFirst(250)).toBe(false);
  expect(snapshot).toMatchObject({ firstExpiryMs: 200, firstAccepted: 4 });
});

it("of a bucket that grows, nobody knows when it expires", () => {
  const two = makeSnapshot({ buckets: 2, ...FIRST, secondExpiresInMs: 900, secondAccepted: 20 });
  expect(two.tryDropFirst(100)).toBe(false);
  const late = makeSnapshot({ buckets: 3, ...FIRST, secondExpiresInMs: 120, secondAccepted: 1 });
  expect(late.tryDropFirst(120)).toBe(false);
});

it("of a forgotten key no bucket is known, and a hit makes none, because others may be older", () => {
  const snapshot = makeSnapshot({ buckets: 1, ...FIRST, leasedByOthers: 2 });
  expect(snapshot.isShared).toBe(true);
  snapshot.forget();
  snapshot.addHit(1, 50);
  expect(snapshot).toMatchObject({ isShared: false, firstExpiryMs: Number.POSITIVE_INFINITY, firstAccepted: 0 });
});

it("a bucket expires within a window, and is never said to expire before a millisecond has gone by", () => {
  expect([50, 99.5, 2_000].map((expiryMs) => expiresInMs(expiryMs, 49, 1_000))).toEqual([1, 50.5, 1_000]);
});
