// Which texts occur most often, in bounded memory: the space-saving sketch of Metwally, Agrawal and El Abbadi
// ("Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005).
//
// A sketch has a fixed number of counters. A text with a counter adds to it. Any other text takes over the counter with
// the least count, and the count that it finds there is its error: some of these occurrences may have been its own.

import { copyOf } from "./key.ts";

/** How often a text has occurred: at most `count` times, and at least `count - error` times. */
export interface Counter {
  readonly id: string;
  readonly count: number;
  readonly error: number;
}

/** The counters of a sketch, or of several. */
export interface Summary {
  readonly counters: readonly Counter[];
  /** How often a text at most has occurred that isn't among them. */
  readonly floor: number;
}

export const NOTHING: Summary = { counters: [], floor: 0 };

interface PlacedCounter {
  /** Empty for a counter that no text has had yet. */
  id: string;
  count: number;
  error: number;
  at: number;
}

/**
 * These always hold:
 * - The counts add up to N, the number of all occurrences. So the least of `size` counts is at most N / size, and a
 *   text that has occurred more often than that has a counter.
 * - No text has occurred more often than its counter says, and none less often than that without the error.
 * - `#heap` is a binary heap with the least count first, and `at` is a counter's place in it.
 */
export class Sketch {
  readonly #byId = new Map<string, PlacedCounter>();
  readonly #heap: PlacedCounter[];

  constructor(size: number) {
    this.#heap = Array.from({ length: size }, (_, at) => ({ id: "", count: 0, error: 0, at }));
  }

  get isEmpty(): boolean {
    return this.#byId.size === 0;
  }

  add(id: string): void {
    const counter = this.#byId.get(id) ?? this.#takeOver(id);
    counter.count++;
    this.#sink(counter);
  }

  get summary(): Summary {
    const counters = Array.from(this.#byId.values(), ({ id, count, error }) => ({ id, count, error }));
    return { counters, floor: this.#heap[0]!.count };
  }

  #takeOver(id: string): PlacedCounter {
    const counter = this.#heap[0]!;
    this.#byId.delete(counter.id);
    counter.id = copyOf(id);
    counter.error = counter.count;
    this.#byId.set(counter.id, counter);
    return counter;
  }

  /** Brings a counter that has grown to its place. */
  #sink(counter: PlacedCounter): void {
    const heap = this.#heap;
    for (;;) {
      const left = 2 * counter.at + 1;
      const right = left + 1;
      const least = right < heap.length && heap[right]!.count < heap[left]!.count ? right : left;
      if (least >= heap.length || heap[least]!.count >= counter.count) return;
      const risen = heap[least]!;
      risen.at = counter.at;
      heap[risen.at] = risen;
      counter.at = least;
      heap[least] = counter;
    }
  }
}

/**
 * One summary of several, with the `size` largest counts. What holds for each sketch holds for it, with N of all of
 * them (Cafaro, Pulimeno and Tempesta, "A parallel space saving algorithm for frequent items", 2016). The script
 * `limited_keys.lua` does the same in Redis.
 */
export function merged(summaries: readonly Summary[], size: number): Summary {
  const floor = summaries.reduce((sum, summary) => sum + summary.floor, 0);
  const byId = new Map<string, { id: string; count: number; error: number }>();
  for (const summary of summaries) {
    for (const { id, count, error } of summary.counters) {
      // A text may have occurred up to the floor's number of times in each summary that doesn't have it.
      const counter = byId.get(id) ?? { id, count: floor, error: floor };
      counter.count += count - summary.floor;
      counter.error += error - summary.floor;
      byId.set(id, counter);
    }
  }
  const counters = [...byId.values()].sort((one, other) => other.count - one.count);
  return { counters: counters.slice(0, size), floor: counters[size]?.count ?? floor };
}
