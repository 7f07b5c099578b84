// Work that comes in large heaps and would hold the event loop up: it is done in slices, with a turn of the loop after
// each.

import { atTurnsEnd } from "../core/timer.ts";

/** How many pieces of work a slice has. */
const MOST_AT_ONCE = 500;

export class Slices {
  #done = 0;
  #pause: Promise<void> | undefined = undefined;

  /**
   * Undefined if one more piece of work may be done now, and that counts it. Else what has to be waited for before
   * asking again.
   */
  next(): Promise<void> | undefined {
    if (this.#pause === undefined && this.#done < MOST_AT_ONCE) {
      this.#done++;
      return undefined;
    }
    this.#pause ??= new Promise((resolve) => {
      atTurnsEnd(() => {
        this.#pause = undefined;
        this.#done = 0;
        resolve();
      });
    });
    return this.#pause;
  }
}
