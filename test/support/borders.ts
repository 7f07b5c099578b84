// Random times on the borders of the cells of a grid, and some roundings before and after them, as fast-check makes and
// shrinks them. The cells have lengths with a fraction: then two ways to compute a border may differ by a rounding.

import fc from "fast-check";
import { step } from "./schedules.ts";

const lengthsMs = fc.oneof(
  fc.constantFrom(1_000 / 3, 100 / 3, 33.3, 1.1),
  fc.double({ min: 1, max: 1_000, noNaN: true }),
);

/** How many cells after the one before, and how many roundings before or after its beginning. */
const place = fc.record({ cells: fc.constantFrom(0, 0, 0, 1, 2), roundings: fc.integer({ min: -6, max: 6 }) });

type Place = { readonly cells: number; readonly roundings: number };

function timesOf(places: readonly Place[], bucketMs: number, firstCell: number): number[] {
  let cell = firstCell;
  let nowMs = Number.NEGATIVE_INFINITY;
  return places.map(({ cells, roundings }) => {
    cell += cells;
    const borderMs = cell * bucketMs;
    nowMs = Math.max(nowMs, borderMs + (roundings * Math.abs(borderMs) * Number.EPSILON) / 2);
    return nowMs;
  });
}

/** Times in their order, before and after the time 0. */
export const timesOnBorders = fc
  .record({
    bucketMs: lengthsMs,
    firstCell: fc.oneof(fc.integer({ min: -100, max: 100 }), fc.integer({ min: -1e10, max: 1e10 })),
    places: fc.array(place, { minLength: 1, maxLength: 60, size: "max" }),
  })
  .map(({ bucketMs, firstCell, places }) => ({ bucketMs, timesMs: timesOf(places, bucketMs, firstCell) }));

/** Calls of any method to limits of one window, and the time of each, whatever its wait is. */
export const callsOnBorders = fc
  .record({
    bucketMs: lengthsMs,
    buckets: fc.integer({ min: 1, max: 12 }),
    firstCell: fc.oneof(fc.integer({ min: -100, max: 100 }), fc.integer({ min: -1e10, max: 1e10 })),
  })
  .chain(({ bucketMs, buckets, firstCell }) => {
    const windowMs = Math.ceil(buckets * bucketMs);
    const placed = fc.array(fc.tuple(place, step(windowMs, bucketMs, "anything")), { maxLength: 80, size: "max" });
    return fc.record({ placed, seed: fc.nat() }).map(({ placed, seed }) => {
      const places = placed.map(([where]) => where);
      const calls = placed.map(([, call]) => call);
      return { size: { windowMs, bucketMs }, seed, calls, timesMs: timesOf(places, bucketMs, firstCell) };
    });
  });
