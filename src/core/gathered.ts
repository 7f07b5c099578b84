// Gathers what would be too many events: the first is told at once, and what follows once a second, as a number.

import { BackgroundTimer } from "./timer.ts";

/** At most one event is told in so long. */
const PAUSE_MS = 1_000;

/**
 * Always holds: what was added is told PAUSE_MS later at the latest. Where timers end with requests, it is told with
 * what is added next.
 */
export class Gathered {
  readonly #clock: () => number;
  readonly #tell: (count: number) => void;
  readonly #timer = new BackgroundTimer(() => this.#flush());
  #count = 0;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(clock: () => number, tell: (count: number) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  add(): void {
    this.#count++;
    const leftMs = this.#nextMs - this.#clock();
    if (leftMs > 0) this.#timer.start(leftMs);
    else this.#flush();
  }

  #flush(): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    this.#nextMs = this.#clock() + PAUSE_MS;
    this.#tell(count);
  }
}
