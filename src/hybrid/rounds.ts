// Looks after the keys with something to report or to give back, in rounds: one at a time, with as many keys in a
// round trip as there are, and none when nobody has anything to say.

import { BackgroundTimer } from "../core/timer.ts";
import type { Backend } from "../redis/limiter.ts";
import type { KeyState } from "./key-state.ts";

/** How many exchanges are on their way at once; more would keep the event loop from its other work. */
const MOST_AT_ONCE = 1_000;
/** How often to look whether Redis is back. */
const RETRY_MS = 100;

export class Rounds {
  readonly #intervalMs: number;
  readonly #patienceMs: number;
  readonly #backend: Backend;
  readonly #visit: (state: KeyState) => Promise<void>;
  readonly #areDue: (states: readonly KeyState[]) => readonly KeyState[];
  readonly #timer = new BackgroundTimer(() => void this.#round());
  readonly #patientTimer = new BackgroundTimer(() => this.#hurry());
  #listed: KeyState[] = [];
  /** Those that can wait. */
  #patient: KeyState[] = [];
  #isRunning = false;

  /**
   * @param visit lists the state again if there is more to do; never rejects
   * @param areDue those for which there still is anything to do
   */
  constructor(
    intervalMs: number,
    patienceMs: number,
    backend: Backend,
    visit: (state: KeyState) => Promise<void>,
    areDue: (states: readonly KeyState[]) => readonly KeyState[],
  ) {
    this.#intervalMs = intervalMs;
    this.#patienceMs = patienceMs;
    this.#backend = backend;
    this.#visit = visit;
    this.#areDue = areDue;
  }

  list(state: KeyState): void {
    const { isPatient } = state;
    if (state.listed && (isPatient || !state.isDeferred)) return;
    state.listed = true;
    state.isDeferred = isPatient;
    if (isPatient) {
      this.#patient.push(state);
      this.#patientTimer.start(this.#patienceMs);
      return;
    }
    this.#listed.push(state);
    if (!this.#isRunning) this.#timer.start(this.#intervalMs);
  }

  stop(): void {
    this.#timer.stop();
    this.#patientTimer.stop();
  }

  #hurry(): void {
    const states = this.#patient.filter(({ isDeferred }) => isDeferred);
    for (const state of states) state.isDeferred = false;
    this.#listed = this.#listed.concat(states);
    this.#patient = [];
    if (!this.#isRunning) this.#timer.start(0);
  }

  #keep(states: readonly KeyState[]): void {
    const due = this.#areDue(states);
    for (const state of states) state.listed = false;
    for (const state of due) state.listed = true;
    this.#listed = due.concat(this.#listed);
  }

  async #round(): Promise<void> {
    this.#isRunning = true;
    const states = this.#listed;
    this.#listed = [];
    let next = 0;
    while (next < states.length && !this.#backend.refuses) {
      // While Redis is out, one finds out whether it is back.
      const some = states.slice(next, next + (this.#backend.isOut ? 1 : MOST_AT_ONCE));
      next += some.length;
      for (const state of some) state.listed = false;
      await Promise.all(some.map(this.#visit));
    }
    if (next < states.length) this.#keep(states.slice(next));
    this.#isRunning = false;
    if (this.#listed.length > 0) this.#timer.start(this.#backend.isOut ? RETRY_MS : this.#intervalMs);
  }
}
