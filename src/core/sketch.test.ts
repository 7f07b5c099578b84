// The space-saving sketch beside a plain map that counts everything.

import fc from "fast-check";
import { expect, it } from "vitest";
import { merged, Sketch, type Summary } from "./sketch.ts";

/** Few texts often, and many seldom. */
const id = fc.oneof(fc.constantFrom("a", "b", "c"), fc.integer({ min: 0, max: 200 }).map(String));
const ids = fc.array(id, { maxLength: 400 });
const size = fc.integer({ min: 1, max: 12 });

function plainCounts(stream: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of stream) counts.set(one, (counts.get(one) ?? 0) + 1);
  return counts;
}

function summaryOf(stream: readonly string[], counters: number): Summary {
  const sketch = new Sketch(counters);
  for (const one of stream) sketch.add(one);
  return sketch.summary;
}

/** What holds for each summary, whatever the sizes of the sketches in it. */
function expectBounds({ counters, floor }: Summary, stream: readonly string[]): void {
  const truth = plainCounts(stream);
  for (const { id: one, count, error } of counters) {
    expect(count).toBeGreaterThanOrEqual(truth.get(one) ?? 0);
    expect(count - error).toBeLessThanOrEqual(truth.get(one) ?? 0);
  }
  const known = new Set(counters.map((counter) => counter.id));
  expect(known.size).toBe(counters.length);
  for (const [one, count] of truth) if (!known.has(one)) expect(count).toBeLessThanOrEqual(floor);
}

/** What holds besides where all sketches have the same size. */
function expectFrequent({ counters }: Summary, stream: readonly string[], of: number): void {
  for (const { error } of counters) expect(error).toBeLessThanOrEqual(stream.length / of);
  const known = new Set(counters.map((counter) => counter.id));
  for (const [one, count] of plainCounts(stream)) if (count > stream.length / of) expect(known).toContain(one);
}

it("has each text with more than N / size occurrences, never too few of them, and at most its error too many", () => {
  fc.assert(
    fc.property(ids, size, (stream, counters) => {
      const summary = summaryOf(stream, counters);
      expect(summary.counters.length).toBeLessThanOrEqual(counters);
      expect(summary.counters.reduce((sum, { count }) => sum + count, 0)).toBe(stream.length);
      expectBounds(summary, stream);
      expectFrequent(summary, stream, counters);
    }),
  );
});

it("counts exactly while there are no more texts than counters", () => {
  const summary = summaryOf(["a", "b", "a", "c", "a", "b"], 3);
  expect(new Map(summary.counters.map(({ id: one, count, error }) => [one, [count, error]]))).toEqual(
    new Map([
      ["a", [3, 0]],
      ["b", [2, 0]],
      ["c", [1, 0]],
    ]),
  );
});

it("holds the same for several sketches together, merged in any order of steps", () => {
  fc.assert(
    fc.property(fc.array(ids, { maxLength: 5 }), size, (streams, counters) => {
      const all = streams.flat();
      const summaries = streams.map((stream) => summaryOf(stream, counters));
      const step = summaries.reduce((sum, summary) => merged([sum, summary], counters), merged([], counters));
      for (const summary of [merged(summaries, counters), step]) {
        expect(summary.counters.length).toBeLessThanOrEqual(counters);
        expectBounds(summary, all);
        expectFrequent(summary, all, counters);
      }
    }),
  );
});

it("is never too low, and never off by more than it says, where sketches of other sizes are merged", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(ids, size), { maxLength: 5 }), size, (parts, counters) => {
      const summaries = parts.map(([stream, own]) => summaryOf(stream, own));
      expectBounds(
        merged(summaries, counters),
        parts.flatMap(([stream]) => stream),
      );
    }),
  );
});

it("has the largest counts first", () => {
  const { counters } = merged([summaryOf(["a", "b", "b", "c", "c", "c"], 5)], 2);
  expect(counters.map((counter) => counter.id)).toEqual(["c", "b"]);
});
