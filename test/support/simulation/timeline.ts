// Virtual time: what is to happen stands in a queue, and time goes from one event to the next at once. An actor is a
// program in this time: its timers, its `performance.now()` and its `Date.now()` are virtual, and it can crash, stall
// and be suspended.

import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate } from "node:timers/promises";

/** The actor whose code runs, however deep in promises and timers; none in the code of the test. */
const present = new AsyncLocalStorage<Actor>();

/** Gives virtual time to the actors' code, by the names that real time has; returns how to undo it. */
export function virtualizeTime(): () => void {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const now = performance.now;
  const wallNow = Date.now;
  globalThis.setTimeout = ((run: () => void, delayMs: number) => {
    const actor = present.getStore();
    if (actor === undefined) return set(run, delayMs);
    const { timeline } = actor;
    // As real timers are: in whole ms, and 1 at least.
    const timer = timeline.at(timeline.nowMs + Math.max(1, Math.trunc(delayMs)), run, actor);
    timer.isTimer = true;
    return timer as never;
  }) as typeof setTimeout;
  globalThis.clearTimeout = ((timer: never) => {
    if ((timer as unknown) instanceof Event) (timer as Event).cancel();
    else clear(timer);
  }) as typeof clearTimeout;
  performance.now = () => present.getStore()?.monotonicMs ?? now.call(performance);
  Date.now = () => present.getStore()?.wallMs ?? wallNow();
  return () => {
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
    Date.now = wallNow;
    Reflect.deleteProperty(performance, "now");
  };
}

/**
 * Until what follows at the same time from what has been done has been done too. That may be the end of a turn, where
 * calls that wait for each other are sent, so the end of this turn isn't late enough.
 */
const consequences = async () => {
  await setImmediate();
  await setImmediate();
};

export class Event {
  timeMs: number;
  isTimer = false;
  readonly #run: () => unknown;
  readonly actor: Actor | undefined;
  #isCancelled = false;

  constructor(timeMs: number, run: () => unknown, actor: Actor | undefined) {
    this.timeMs = timeMs;
    this.#run = run;
    this.actor = actor;
  }

  cancel(): void {
    this.#isCancelled = true;
  }

  /** A virtual timer keeps no program alive. */
  unref(): void {}

  async happen(): Promise<void> {
    const { actor } = this;
    if (this.#isCancelled || actor?.crashed) return;
    if (actor !== undefined && actor.stalledUntilMs > this.timeMs) {
      actor.putOff(this);
      return;
    }
    await (actor === undefined ? this.#run() : actor.do(this.#run));
    await consequences();
    actor?.assertSound();
  }
}

export class Timeline {
  nowMs = 0;
  /** In order of time. */
  readonly #events: Event[] = [];

  /** @param actor whose code it is that runs then, unless the actor has crashed */
  at(timeMs: number, run: () => unknown, actor?: Actor): Event {
    const event = new Event(timeMs, run, actor);
    this.put(event);
    return event;
  }

  put(event: Event): void {
    const before = this.#events.findLastIndex((other) => other.timeMs <= event.timeMs);
    this.#events.splice(before + 1, 0, event);
  }

  /** Has the timers of an actor fire so much later. */
  delayTimers(actor: Actor, ms: number): void {
    const timers = this.#events.filter((event) => event.isTimer && event.actor === actor);
    for (const timer of timers) {
      this.#events.splice(this.#events.indexOf(timer), 1);
      timer.timeMs += ms;
      this.put(timer);
    }
  }

  async runUntil(endMs: number): Promise<void> {
    await consequences();
    while (this.#events.length > 0 && this.#events[0]!.timeMs <= endMs) {
      const event = this.#events.shift()!;
      this.nowMs = event.timeMs;
      await event.happen().catch((cause: Error) => {
        throw new Error(`at ${this.nowMs} ms: ${cause.message}`, { cause });
      });
    }
    this.nowMs = endMs;
  }

  /** Goes on until `promise` is settled. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let waiting = true;
    const done = () => {
      waiting = false;
    };
    promise.then(done, done);
    while (waiting) await this.runUntil(this.nowMs + 10);
    return promise;
  }

  /** Whether nothing will ever happen again by itself. */
  get isStill(): boolean {
    return this.#events.length === 0;
  }
}

const AFTER_TIMERS_MS = 1e-6;
/** A machine takes longer than that to fall asleep and to wake, and its monotonic clock goes on meanwhile. */
const WAKING_MS = 2;
const WALL_CLOCK_MS = 1_800_000_000_000;

/** How the monotonic clock of an actor differs from the timeline. */
export interface Clock {
  readonly aheadMs: number;
  /** How much faster it goes, as a share. */
  readonly drift: number;
}

export const EXACT: Clock = { aheadMs: 0, drift: 0 };

/** A program in virtual time. */
export class Actor {
  readonly timeline: Timeline;
  /** Nothing of it runs from then on. */
  crashed = false;
  /** Nothing of it runs before this time, because it is busy or was stopped. Its clocks go on. */
  stalledUntilMs = 0;
  /** How long its monotonic clock has stood still. */
  #suspendedMs = 0;
  /** How far its wall clock was set forward. */
  #wallStepMs = 0;
  readonly #clock: Clock;

  constructor(timeline: Timeline, clock: Clock = EXACT) {
    this.timeline = timeline;
    this.#clock = clock;
  }

  /** What its `performance.now()` returns. */
  get monotonicMs(): number {
    return this.#clock.aheadMs + (this.timeline.nowMs - this.#suspendedMs) * (1 + this.#clock.drift);
  }

  /** What its `Date.now()` returns. */
  get wallMs(): number {
    return Math.floor(WALL_CLOCK_MS + this.timeline.nowMs * (1 + this.#clock.drift) + this.#wallStepMs);
  }

  /**
   * Suspends the machine that it runs on: nothing of it runs, and its monotonic clock stands still. A test has it call
   * nothing before the machine wakes.
   */
  suspendUntil(wakeMs: number): void {
    const suspendedMs = wakeMs - this.timeline.nowMs - WAKING_MS;
    this.stalledUntilMs = wakeMs;
    this.#suspendedMs += suspendedMs;
    this.timeline.delayTimers(this, suspendedMs);
  }

  /** Sets its wall clock, as NTP may do. */
  setWallClock(forwardMs: number): void {
    this.#wallStepMs += forwardMs;
  }

  /** Runs what the program would, as this actor. */
  do<T>(run: () => T): T {
    return present.run(this, run);
  }

  /** Runs it now, and again after each pause, for as long as the actor lives. */
  repeat(run: () => void, pauseMs: () => number): void {
    run();
    const { timeline } = this;
    timeline.at(timeline.nowMs + pauseMs(), () => this.repeat(run, pauseMs), this);
  }

  /**
   * Puts off what happens while it is stalled: its timers come first then, as in Node, and what has arrived after them.
   */
  putOff(event: Event): void {
    event.timeMs = this.stalledUntilMs + (event.isTimer ? 0 : AFTER_TIMERS_MS);
    this.timeline.put(event);
  }

  /** Throws where something doesn't hold that always should. It is called after each event of this actor. */
  assertSound(): void {}
}
