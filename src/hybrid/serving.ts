// What one answer of Redis gives to the calls that waited for it. It lasts while these calls are decided, and is handed
// from function to function, so no call that comes later can take anything of it.

import { type Answer, isDenial, type Report } from "./protocol.ts";

export class Serving {
  /** What Redis has counted for them and none of them has taken yet. */
  #counted: number;
  /** The count from which on calls are denied. */
  readonly #deniedFrom: number;
  readonly #factor: number;

  constructor(answer: Answer, report: Report) {
    this.#counted = answer.counted;
    this.#deniedFrom = isDenial(answer, report) ? report.asked : Number.POSITIVE_INFINITY;
    this.#factor = answer.factorLeftMs >= 0 ? answer.factor : -1;
  }

  /** Takes `count` of what Redis has counted, if it is there. */
  tryTake(count: number): boolean {
    if (count > this.#counted) return false;
    this.#counted -= count;
    return true;
  }

  /**
   * Whether a call was denied with no more than that. How long heavier calls have to wait isn't known exactly:
   * at least as long. To ask for each of them would take a round trip each.
   */
  isDenied(count: number): boolean {
    return count >= this.#deniedFrom;
  }

  /** Suppressed: the factor that Redis computed for these calls, however short a factor is kept; -1 without one. */
  get factor(): number {
    return this.#factor;
  }
}
