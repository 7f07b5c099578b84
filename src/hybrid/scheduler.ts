// Visits items in rounds: one round at a time, with as many items at once as there are, and none when no item asks for
// a visit. Knows nothing of what a visit does.

import { BackgroundTimer } from "../core/timer.ts";

/** How many visits go on at once. More would keep the event loop from its other work. */
const MOST_AT_ONCE = 1_000;
/** The pause between two rounds while Redis is out. */
const RETRY_MS = 100;

/**
 * When an item is visited next:
 *
 * | state | on `soon` | on `later` | when its round begins |
 * |---|---|---|---|
 * | none | soon | later | |
 * | soon | | | none |
 * | later | soon | | soon, `lingerMs` after the first item became `later` |
 */
export type NextVisit = "none" | "soon" | "later";

/** What can be visited. It carries its state itself, because a look into a table would cost each call some 30 ns. */
export class Visited {
  #next: NextVisit = "none";

  get nextVisit(): NextVisit {
    return this.#next;
  }

  /** For the scheduler alone. */
  static setNext(item: Visited, next: NextVisit): void {
    item.#next = next;
  }
}

export interface Visitor<Item> {
  /** Undefined if nothing has to be waited for. Never throws or rejects. Schedules the item again if there is more. */
  visit(item: Item): Promise<void> | undefined;
  /** Whether Redis is out: then one visit at a time finds out whether it is back. */
  readonly isOut: boolean;
}

export class Scheduler<Item extends Visited> {
  readonly #visitor: Visitor<Item>;
  readonly #intervalMs: number;
  readonly #lingerMs: number;
  readonly #soonTimer = new BackgroundTimer(() => void this.#round());
  readonly #laterTimer = new BackgroundTimer(() => this.#hasten());
  // Each item is in the one that its state says, and in the other one never.
  #soon: Item[] = [];
  readonly #later = new Set<Item>();
  #isRunning = false;

  /**
   * @param intervalMs from when an item is scheduled soon until its round, and between two rounds
   * @param lingerMs how long an item may wait that is scheduled later
   */
  constructor(visitor: Visitor<Item>, intervalMs: number, lingerMs: number) {
    this.#visitor = visitor;
    this.#intervalMs = intervalMs;
    this.#lingerMs = lingerMs;
  }

  /** Has `item` visited then, or at the time that it was promised before, if that is sooner. */
  schedule(item: Item, when: "soon" | "later"): void {
    if (item.nextVisit === "soon" || item.nextVisit === when) return;
    this.#later.delete(item);
    Visited.setNext(item, when);
    if (when === "later") {
      this.#later.add(item);
      this.#laterTimer.start(this.#lingerMs);
      return;
    }
    this.#soon.push(item);
    if (!this.#isRunning) this.#soonTimer.start(this.#intervalMs);
  }

  /** For good. */
  stop(): void {
    this.#soonTimer.stop();
    this.#laterTimer.stop();
  }

  #hasten(): void {
    if (this.#later.size === 0) return;
    for (const item of this.#later) {
      Visited.setNext(item, "soon");
      this.#soon.push(item);
    }
    this.#later.clear();
    if (!this.#isRunning) this.#soonTimer.start(0);
  }

  async #round(): Promise<void> {
    this.#isRunning = true;
    const items = this.#soon;
    this.#soon = [];
    let visits: Promise<void>[] = [];
    for (const item of items) {
      Visited.setNext(item, "none");
      const visit = this.#visitor.visit(item);
      if (visit === undefined) continue;
      visits.push(visit);
      if (visits.length < (this.#visitor.isOut ? 1 : MOST_AT_ONCE)) continue;
      await Promise.all(visits);
      visits = [];
    }
    await Promise.all(visits);
    this.#isRunning = false;
    if (this.#soon.length > 0) this.#soonTimer.start(this.#visitor.isOut ? RETRY_MS : this.#intervalMs);
  }
}
