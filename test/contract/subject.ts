// The provider under test, its time and its random numbers.

import type { LimiterOptions, Provider } from "trypema";
import { type ManualClock, manualClock } from "trypema/testing";
import { afterEach, beforeEach } from "vitest";
import { soundUsages } from "../support/usage.ts";

/** A provider of the kind under test, with no keys. The contract closes it. */
export type MakeProvider = (options: LimiterOptions) => Provider | Promise<Provider>;

/** What each promise is tested with. */
export interface Subject {
  /**
   * A provider with a window of a second and buckets of 10 ms, unless the options say otherwise.
   *
   * @param draws the random numbers in the order of their use, and zeros after them: 0 is denied by any factor above
   *   it, and 0.999 passes any factor below it. A provider may draw one ahead of its use, but skips none.
   */
  open(options?: LimiterOptions, draws?: readonly number[]): Promise<Provider>;
  /** Moves the time of all providers on. */
  advance(ms: number): void;
  /** How many random numbers were drawn in this test. */
  drawn(): number;
}

/** The subject of the tests that are declared in the same suite. */
export function useSubject(makeProvider: MakeProvider): Subject {
  let clock: ManualClock;
  let draws: number[];
  let drawn: number;
  const opened: Provider[] = [];

  beforeEach(() => {
    clock = manualClock(1_000_000);
    draws = [];
    drawn = 0;
  });

  afterEach(async () => {
    for (const provider of opened.splice(0)) {
      // Whatever a test has done: most use this key.
      await soundUsages(provider, "k");
      await provider.close();
    }
  });

  const random = () => {
    drawn++;
    return draws.shift() ?? 0;
  };

  return {
    async open(options = {}, given = []) {
      draws = [...given];
      const provider = await makeProvider({ windowMs: 1_000, bucketMs: 10, clock, random, ...options });
      opened.push(provider);
      return provider;
    },
    advance: (ms) => clock.advance(ms),
    drawn: () => drawn,
  };
}
